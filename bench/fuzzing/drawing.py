"""As many cases of a strategy as are wanted, the same ones for the same seed; none is left out for failing."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy


def draw[T](strategy: SearchStrategy[T], use: Callable[[T], object], *, cases: int, seed_of_run: int) -> None:
    """Hand `use` up to so many cases; fewer where the strategy has no more."""
    quiet = settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    def one(case: Any) -> None:
        use(case)

    seed(seed_of_run)(quiet(given(strategy)(one)))()

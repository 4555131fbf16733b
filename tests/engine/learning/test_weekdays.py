import numpy as np
import pytest
from scipy.stats import binomtest

from engine.errors import InvalidInput, NotEnoughData
from engine.learning.weekdays import advise_weekday

PLANNED = np.full((24, 7), 60.0)


def opened(seed: int, lift: np.ndarray, *, weekly: float = 0.1) -> np.ndarray:
    """Return opens of 24 weeks that follow a plan, days' lifts, and weeks that are good or bad as a whole."""
    rng = np.random.default_rng(seed)
    return rng.poisson(PLANNED * (1.0 + lift) * rng.normal(1.0, weekly, (24, 1)).clip(0.5)).astype(float)


def test_a_better_day_is_found_and_its_lift_held() -> None:
    lift = np.zeros(7)
    lift[3] = 0.4
    truth, held = 1.4 / (1.0 + 0.4 / 7) - 1.0, 0
    for seed in range(200):
        found = advise_weekday(opened(seed, lift), PLANNED)
        assert found.weekday == 3
        held += found.lift.low <= truth <= found.lift.high
    assert "Thursday" in found.reason
    assert binomtest(held, 200, 0.95).pvalue > 1e-4


def test_where_days_are_alike_none_is_advised() -> None:
    called = sum(advise_weekday(opened(seed, np.zeros(7)), PLANNED).weekday is not None for seed in range(400))
    assert binomtest(called, 400, 0.05, alternative="greater").pvalue > 1e-3


def test_users_and_hours_are_no_reason() -> None:
    planned = PLANNED * np.array([1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 1.0])
    opens = np.random.default_rng(1).poisson(planned).astype(float)
    assert advise_weekday(opens, planned).weekday is None


def test_too_little_is_refused() -> None:
    with pytest.raises(NotEnoughData, match="7 weeks"):
        advise_weekday(PLANNED[:7], PLANNED[:7])
    with pytest.raises(NotEnoughData, match="opens in the later"):
        advise_weekday(PLANNED / 100.0, PLANNED / 100.0)
    with pytest.raises(NotEnoughData, match="Nothing"):
        advise_weekday(np.zeros((9, 7)), np.zeros((9, 7)))
    with pytest.raises(InvalidInput, match="shape"):
        advise_weekday(PLANNED[:, :6], PLANNED[:, :6])
    with pytest.raises(InvalidInput, match="at least 0"):
        advise_weekday(-PLANNED, PLANNED)

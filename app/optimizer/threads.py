"""One thread for linear algebra on small matrices: more of them wait for each other longer than they work."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


@contextmanager
def one_thread() -> Generator[None]:
    """Hold BLAS to one thread while the context lasts; where threadpoolctl is missing, it has as many as it takes."""
    try:
        import threadpoolctl as untyped  # pyright: ignore[reportMissingTypeStubs]  # it has none
    except ModuleNotFoundError:
        yield
        return
    threads: Any = untyped
    with threads.threadpool_limits(limits=1, user_api="blas"):
        yield

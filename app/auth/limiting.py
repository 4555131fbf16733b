"""How much one caller may ask for in a while."""

from collections import OrderedDict

from app.errors import RateLimited
from app.runtime.clock import Clock

REMEMBERED_CALLERS = 100_000


class RateLimit:
    """A token bucket for each caller, kept as the time at which it will be full again.

    `per_second` is what a caller may take in the long run, `burst` what it may take at once after a rest. Each process
    counts for itself: with several web processes a caller may take up to as many times more.
    """

    def __init__(self, *, per_second: float, burst: float, clock: Clock) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._full_at: OrderedDict[object, float] = OrderedDict()

    def take(self, caller: object, amount: float = 1) -> None:
        """Take `amount`; raise RateLimited, and take nothing, where the caller has to wait.

        An amount above the burst is let through once the bucket is full, and then owed.
        """
        now = self._clock.monotonic()
        full_at = max(now, self._full_at.get(caller, now))
        wait = full_at - now - (self._burst - min(amount, self._burst)) / self._per_second
        if wait > 1e-9:  # less is rounding
            raise RateLimited(f"Too much at once: come back in {wait:.3g} seconds.", retry_after=wait)
        self._full_at[caller] = full_at + amount / self._per_second
        self._full_at.move_to_end(caller)
        if len(self._full_at) > REMEMBERED_CALLERS:
            self._full_at.popitem(last=False)

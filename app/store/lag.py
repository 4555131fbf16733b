"""How far a standby is behind, from positions in the write-ahead log: known also while nothing is written.

The time of the last replayed transaction does not tell: it grows old where there is nothing to replay, and stays young
where nothing more arrives. So positions of the primary are noted with the moment of asking, and what the standby has
replayed is compared with them.
"""

from collections import deque

MOST_POSITIONS = 3_600
"""Of a standby that stands still for longer, the oldest are forgotten: what it says is then older than it is."""


class Positions:
    """Where the primary's log was when, as far as the standby has not come; moments are seconds of one clock."""

    def __init__(self) -> None:
        self._ahead: deque[tuple[float, int]] = deque(maxlen=MOST_POSITIONS)
        self._as_of: float | None = None

    @property
    def as_of(self) -> float | None:
        """Return the latest moment whose position the standby has reached; None where it has reached none."""
        return self._as_of

    def note(self, moment: float, position: int) -> None:
        """Note where the primary's log was at a moment, later than all before."""
        if self._ahead and self._ahead[-1][1] == position:
            self._ahead.pop()  # nothing was written since: whoever has come as far has all until now
        self._ahead.append((moment, position))

    def reached(self, position: int) -> None:
        """Note how far the standby has replayed the log."""
        while self._ahead and self._ahead[0][1] <= position:
            self._as_of = self._ahead.popleft()[0]

    def lag(self, moment: float) -> float:
        """Return how many seconds old what the standby shows is at most; infinite where that is not known."""
        return float("inf") if self._as_of is None else max(moment - self._as_of, 0.0)

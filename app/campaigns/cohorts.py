"""Who converts again: users by the interval of their first conversion in a campaign."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from app.store.performance import PerformanceStore
from app.store.windows import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The users who first converted in the interval that starts at `starts_at` (UTC; a week starts on Monday).

    `retained[k]` of them converted in the k-th interval after it, `retained[0] == size`; `retention` is retained / size.
    """

    starts_at: date
    size: int
    retained: list[int]
    retention: list[float]


class CohortAnalysis:
    """Reads cohorts of campaigns."""

    def __init__(self, store: PerformanceStore) -> None:
        self._store = store

    async def cohorts(
        self, campaign_ids: Sequence[int], interval: Interval = Interval.WEEK, *, periods: int = 8
    ) -> dict[int, list[Cohort]]:
        """Return each campaign's cohorts, the earliest first, each with `periods` numbers (1 to 366).

        Raises InvalidInput for HOUR and for periods out of range.
        """
        raise NotImplementedError

"""Who converts again: users by the interval of their first conversion in a campaign."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from app.errors import InvalidInput
from app.store.performance import PerformanceStore
from app.store.windows import Interval

MAX_PERIODS = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The users who first converted in the interval that starts at `starts_at` (UTC; a week starts on Monday).

    `retained[k]` of them converted in the k-th interval after it, and `retained[0] == size`; none have in an interval
    that has not begun. `retention` is retained / size.
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
        if interval is Interval.HOUR:
            raise InvalidInput("Cohorts are by DAY or by WEEK: choose one of these.", path=("interval",))
        if not 1 <= periods <= MAX_PERIODS:
            raise InvalidInput(f"Ask for 1 to {MAX_PERIODS} periods.", path=("periods",))
        found: dict[int, dict[date, list[int]]] = {id_: {} for id_ in campaign_ids}
        for row in await self._store.cohorts(campaign_ids, interval, periods=periods):
            found[row.campaign_id].setdefault(row.cohort, [0] * periods)[row.period] = row.users
        return {
            id_: [_cohort(start, retained) for start, retained in cohorts.items()] for id_, cohorts in found.items()
        }


def _cohort(starts_at: date, retained: list[int]) -> Cohort:
    size = retained[0]
    return Cohort(starts_at=starts_at, size=size, retained=retained, retention=[users / size for users in retained])

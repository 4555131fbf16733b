"""What keeps an installation small and quick: totals folded, old months of events and old advice dropped."""

from datetime import date, timedelta

from app.runtime.clock import Clock
from app.runtime.progress import Told
from app.store.database import Database
from app.store.folding import TotalsFolding
from app.store.recommendations import RecommendationStore
from app.store.retention import EventRetention

OPEN_DAYS = 2
"""Days that are still written to in the ordinary course: today, and yesterday in zones behind UTC."""


class Upkeep:
    """Folding and retention, at the time of a clock.

    `keep_months` is how many whole months before the present one keep their events, `keep_advice_days` how many days
    advice is kept that no longer stands; None keeps all.
    """

    def __init__(
        self, database: Database, *, clock: Clock, keep_months: int | None, keep_advice_days: int | None = None
    ) -> None:
        self._folding = TotalsFolding(database)
        self._retention = EventRetention(database)
        self._clock = clock
        self._keep_months = keep_months
        self._recommendations = RecommendationStore(database)
        self._keep_advice_days = keep_advice_days

    async def fold_totals(self, *, told: Told) -> int:
        """Fold the totals of days that are over; return how many rows were moved."""
        moved = 0
        async for folded in self._folding.run(self._today() - timedelta(days=OPEN_DAYS - 1)):
            moved += folded.rows
            await told(folded.progress, f"{folded.table}: {moved:,} rows moved")
        return moved

    async def drop_old_events(self, *, told: Told) -> list[str]:
        """Drop the months that are no longer kept; return their names."""
        first = self.kept_from()
        if first is None:
            return []
        await self._retention.keep_from(first)
        months = await self._retention.months_before(first)
        for number, month in enumerate(months, start=1):
            await self._retention.drop(month)
            await told(number / (len(months) + 1), f"{month:%Y-%m} dropped")
        while forgotten := await self._retention.forget_keys(first):
            await told(len(months) / (len(months) + 1), f"{forgotten:,} keys forgotten")
        return [f"{month:%Y-%m}" for month in months]

    async def forget_advice(self) -> int:
        """Forget advice that has not stood for long; return how many pieces of it."""
        if self._keep_advice_days is None:
            return 0
        return await self._recommendations.forget(self._clock.now() - timedelta(days=self._keep_advice_days))

    def kept_from(self) -> date | None:
        """Return the first day whose events are kept now; None where all are."""
        if self._keep_months is None:
            return None
        today = self._today()
        months = today.year * 12 + today.month - 1 - self._keep_months
        return date(months // 12, months % 12 + 1, 1)

    def _today(self) -> date:
        return self._clock.now().date()

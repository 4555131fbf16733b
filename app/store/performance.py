"""The totals ladder: whole days, whole hours, and the ragged edges of a window from the events themselves."""

from app.store.database import Database


class PerformanceStore:
    """Reads measures of campaigns' events from the totals, and from the events where a window cuts an hour."""

    def __init__(self, database: Database) -> None:
        self._database = database

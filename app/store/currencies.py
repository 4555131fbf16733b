"""In which currencies campaigns count their money."""

from app.store.database import Database


class CurrencyStore:
    """Reads them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_campaigns(self) -> dict[int, str]:
        """Return every campaign's currency."""
        rows = await self._database.fetch("SELECT id, currency FROM campaign")
        return {row["id"]: row["currency"] for row in rows}

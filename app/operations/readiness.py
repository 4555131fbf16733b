"""Whether requests can be served: the database answers and has this release's schema."""

from app.errors import Unavailable
from app.store.database import Database


class DatabaseReadiness:
    """Says what is missing; a schema that was found up to date once is not asked for again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._migrated = False

    async def __call__(self) -> str | None:
        """Return None when requests can be served, else in words what is missing."""
        try:
            await self._database.ping()
        except Unavailable as error:
            return error.message
        if not self._migrated:
            pending = await self._database.pending_migrations()
            if pending:
                return f"The schema lacks {', '.join(pending)}: run `winnow migrate`."
            self._migrated = True
        return None

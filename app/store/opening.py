"""A database for a command: the one DATABASE_URL names, else the data folder's own."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from app.runtime.settings import Settings
from app.store.database import Database, Progress
from app.store.embedded.server import shared_postgres


@contextmanager
def database_address(settings: Settings) -> Generator[str]:
    """Give the address of the settings' database; an embedded one that nobody runs is run for this context."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with shared_postgres(settings.data_dir) as url:
        yield url


def run_with_database[T](
    settings: Settings, work: Callable[[Database], Awaitable[T]], *, progress: Progress | None = None
) -> T:
    """Return what `work` makes of the settings' database, migrated; from the main thread, outside of an event loop."""
    with database_address(settings) as url:
        return asyncio.run(_migrated(url, settings, work, progress))


async def _migrated[T](
    url: str, settings: Settings, work: Callable[[Database], Awaitable[T]], progress: Progress | None
) -> T:
    database = await Database.open(
        url,
        pool_size=settings.pool_size,
        orm_pool_size=settings.orm_pool_size,
        default=False,  # the process may have another open
    )
    try:
        await database.migrate(progress=progress)
        with database.models():
            return await work(database)
    finally:
        await database.close()

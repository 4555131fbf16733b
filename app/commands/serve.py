"""`winnow serve`: the database, the web processes, and what keeps them running."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
import typer
from pydantic import SecretStr

from app.auth.auditing import Audit
from app.auth.keys import KeyRing
from app.commands.options import DatabaseUrl, DataDir, Host, LogFormat, LogLevel, Port, RunWorker, Workers
from app.commands.processes import listen, owned_database, shown_address, stopping_by_signal, web_processes
from app.runtime.clock import SystemClock
from app.runtime.logging import configure_logging
from app.runtime.settings import Settings
from app.store.access import AccessStore
from app.store.database import Database

APPLICATION = "app.asgi:create_app"
WORKER = "app.worker"
_CHECK_SECONDS = 0.2

log = structlog.get_logger(__name__)

type Prepare = Callable[[Database], Awaitable[None]]
"""What to do with the migrated database before anything is served."""


def command(
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    run_worker: RunWorker = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
) -> None:
    """Serve the graph, and with it everything Winnow has.

    Starts PostgreSQL in the data folder, or uses the one DATABASE_URL names; brings its schema up to date; prints one
    line when ready; stops cleanly on SIGTERM or Ctrl-C.
    """
    settings = Settings.load(
        host=host,
        port=port,
        workers=workers,
        run_worker=run_worker,
        data_dir=data_dir,
        database_url=database_url,
        log_format=log_format,
        log_level=log_level,
    )
    configure_logging(settings)
    serve(settings)


def serve(
    settings: Settings,
    *,
    application: str = APPLICATION,
    prepare: Prepare | None = None,
    beside: Sequence[Sequence[str]] = (),
    when_ready: Callable[[str], object] = lambda _address: None,
) -> None:
    """Serve until SIGTERM or SIGINT; from the main thread.

    `prepare` is done once, before anything is served. `beside` are Python modules, with arguments, that run in
    processes of their own next to the web processes and are started again where they end. `when_ready` is called with
    the server's address after the line that says so.
    """
    with (
        stopping_by_signal(),
        listen(settings.host, settings.port) as listening,
        owned_database(settings) as (url, check_database),
        _metrics_folder(settings) as metrics_dir,
    ):
        asyncio.run(_prepare(url, settings, prepare))
        port = listening.getsockname()[1]
        bound = {"database_url": SecretStr(url), "port": port, "metrics_dir": metrics_dir}
        started = settings.model_copy(update=bound)
        companions = [*beside, *([(WORKER,)] if settings.run_worker else [])]
        with web_processes(application, started, listening, beside=companions) as children:
            typer.echo(f"Winnow is ready at {shown_address(listening)}/graphql")
            when_ready(shown_address(listening))
            while True:
                time.sleep(_CHECK_SECONDS)
                check_database()
                for child in children:
                    child.check()


@contextmanager
def _metrics_folder(settings: Settings) -> Generator[Path | None]:
    if settings.workers == 1 or settings.metrics_dir is not None:
        yield settings.metrics_dir
        return
    with TemporaryDirectory(prefix="winnow-metrics-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


async def _prepare(url: str, settings: Settings, prepare: Prepare | None) -> None:
    database = await Database.open(url)
    try:
        await database.migrate(progress=lambda event, _, name: log.info("migration", step=event, migration=name))
        await _ensure_first_key(database, settings)
        if prepare is not None:
            await prepare(database)
    finally:
        await database.close()


async def _ensure_first_key(database: Database, settings: Settings) -> None:
    store = AccessStore(database)
    keys = KeyRing(store, audit=Audit(store), clock=SystemClock())
    given = settings.bootstrap_key
    made = await keys.ensure_first(given.get_secret_value() if given else None)
    if made is not None:
        typer.echo(f"The first admin key, shown this once: {made}", err=True)

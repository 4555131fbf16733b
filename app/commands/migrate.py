"""`winnow migrate`: bring the schema up to date."""

import typer

from app.commands.options import DatabaseUrl, DataDir
from app.runtime.settings import Settings
from app.store.database import Database
from app.store.opening import run_with_database


def command(database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """Bring the database's schema up to date.

    Safe at any time, in any number of processes, also while the release before still runs.
    """
    settings = Settings.load(database_url=database_url, data_dir=data_dir)
    run_with_database(settings, _say_done, progress=_say)


def _say(event: str, _app: str, migration: str) -> None:
    if event == "apply_done":
        typer.echo(f"Applied {migration}")


async def _say_done(_: Database) -> None:
    typer.echo("The schema is up to date.")

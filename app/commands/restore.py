"""`winnow restore`: what `winnow backup` wrote, into an empty database."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import DatabaseUrl, DataDir
from app.runtime.settings import Settings
from app.store.database import Database
from app.store.dumping import restore
from app.store.opening import database_address

File = Annotated[Path, typer.Argument(help="What `winnow backup` wrote.", exists=True, dir_okay=False, readable=True)]


def command(file: File, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """Fill an empty database, in a new data folder or by DATABASE_URL, and bring its schema up to date."""
    settings = Settings.load(database_url=database_url, data_dir=data_dir)
    with database_address(settings) as url:
        restore(url, file)
        asyncio.run(_up_to_date(url))
    typer.echo(f"Restored {file}.")


async def _up_to_date(url: str) -> None:
    database = await Database.open(url, default=False)
    try:
        await database.migrate()
        await database.execute("ANALYZE")  # without it the first questions are planned blindly
    finally:
        await database.close()

"""`winnow backup`: everything in one file, while Winnow runs."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import DatabaseUrl, DataDir
from app.runtime.settings import Settings
from app.store.dumping import dump
from app.store.opening import database_address

File = Annotated[
    Path, typer.Argument(help="What to write; an older file of this name is replaced once all is written.")
]


def command(file: File, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """Write everything into one file, as it is at one moment; Winnow may run meanwhile.

    `winnow restore` makes a database of it, of this release or a later one, and of the same PostgreSQL or a newer one.
    """
    settings = Settings.load(database_url=database_url, data_dir=data_dir)
    with database_address(settings) as url:
        size = dump(url, file)
    typer.echo(f"Wrote {file}: {size:,} bytes.")

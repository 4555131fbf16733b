"""`winnow export`: a test's assignments, exposures or results as a file."""

import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.console import Console
from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from app.abtests.tabulating import tabulate
from app.commands.options import DatabaseUrl, DataDir
from app.commands.use_cases import lifecycle_and_analyzing
from app.exporting.tests import Export, TestExporting, What
from app.exporting.writing import FileFormat
from app.runtime.clock import SystemClock
from app.runtime.settings import Settings
from app.store.abtests import TestStore
from app.store.database import Database
from app.store.exports import ExportStore
from app.store.opening import run_with_database


def command(
    test: Annotated[str, typer.Option(help="The test's key or id.")],
    what: Annotated[What, typer.Option(help="What of it.")],
    file_format: Annotated[FileFormat, typer.Option("--format", help="How it is written.")] = FileFormat.CSV,
    output: Annotated[Path | None, typer.Option(help="The file to write; else it goes to standard output.")] = None,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Write a test's assignments, exposures or results to a file. An existing file is replaced once all is written."""
    settings = Settings.load(database_url=database_url, data_dir=data_dir)
    run_with_database(settings, lambda database: export(database, test, what, file_format, output))


async def export(database: Database, test: str, what: What, file_format: FileFormat, output: Path | None) -> None:
    """Write one file."""
    made = await exporting(database).export(test, what, file_format=file_format)
    if output is None:
        await _copy(made, sys.stdout.buffer)
        return
    unfinished = output.with_name(output.name + ".part")
    try:
        with unfinished.open("wb") as file:  # this process does nothing else meanwhile
            await _copy(made, file)
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
    typer.echo(f"{made.rows:,} rows in {output}", err=True)


def exporting(database: Database) -> TestExporting:
    """Return the use case on a database."""
    _, analyzing = lifecycle_and_analyzing(database, SystemClock())
    return TestExporting(ExportStore(database), tests=TestStore(database), tabulate=partial(tabulate, analyzing))


async def _copy(made: Export, file: BinaryIO) -> None:
    columns = (TextColumn(made.name), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("bytes", total=None)
        async for part in _parts(made.content):
            file.write(part)
            progress.update(task, advance=len(part))
    file.flush()


async def _parts(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for part in content:
        if part:
            yield part

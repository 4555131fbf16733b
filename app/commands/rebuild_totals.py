"""`winnow rebuild-totals`: compute all totals anew from the events, and put right what differs."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.commands.options import DatabaseUrl, DataDir
from app.runtime.settings import Settings
from app.store.database import Database
from app.store.opening import run_with_database
from app.store.rebuilding import Checked, TotalsRebuilding
from app.store.unit_rebuilding import UnitRebuilding


def command(
    check: Annotated[bool, typer.Option("--check", help="Only look; exit with 1 where anything differs.")] = False,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Compute all totals anew from the events, say what differs, and put it right.

    Events may be sent meanwhile: they wait while a month of one table, or one test, is looked at.
    """
    settings = Settings.load(database_url=database_url, data_dir=data_dir)
    differing = run_with_database(settings, lambda database: rebuild(database, repair=not check))
    for found in differing:
        typer.echo(f"{found.table}, {found.part}: {found.differences:,} {'differ' if check else 'put right'}")
    if not differing:
        typer.echo("Every total is what the events say.")
    elif check:
        raise typer.Exit(1)


async def rebuild(database: Database, *, repair: bool) -> list[Checked]:
    """Return the parts in which totals differed, with a progress bar."""
    totals, units = TotalsRebuilding(database), UnitRebuilding(database)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("totals", total=len(await totals.parts()) + await units.steps())
        differing: list[Checked] = []
        for checking in (totals.run(repair=repair), units.run(repair=repair)):
            async for found in checking:
                differing += [found] if found.differences else []
                progress.update(task, advance=1, description=f"{found.table} {found.part}")
    return differing

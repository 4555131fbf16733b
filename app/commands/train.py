"""`winnow train`: train models now, in this process's own time, and say what came of it."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.commands.options import DatabaseUrl, DataDir, setting
from app.commands.use_cases import training_of
from app.errors import InvalidInput
from app.runtime.clock import SystemClock
from app.runtime.cluster import compute_of
from app.runtime.logging import configure_logging
from app.runtime.settings import Settings
from app.store.database import Database
from app.store.models.codes import ModelKind
from app.store.opening import run_with_database

Kinds = Annotated[
    list[str] | None, typer.Argument(metavar="[KIND]...", help=f"{', '.join(ModelKind)}; all where none is named.")
]
Until = Annotated[datetime | None, typer.Option(help="Learn from events before this time (UTC), not the present.")]
TrainingDays = Annotated[float | None, setting("training_days")]
OutcomeDays = Annotated[float | None, setting("outcome_days")]


def command(
    kinds: Kinds = None,
    until: Until = None,
    training_days: TrainingDays = None,
    outcome_days: OutcomeDays = None,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Train models from the events so far, make the new versions active, and print what came of it.

    A worker does the same when it is asked through the graph, and every night.
    """
    settings = Settings.load(
        database_url=database_url,
        data_dir=data_dir,
        training_days=training_days,
        outcome_days=outcome_days,
        log_level="warning",
    )
    configure_logging(settings)
    asked = [_kind(kind) for kind in kinds or ModelKind]
    at = None if until is None else until.replace(tzinfo=UTC)
    result = run_with_database(settings, lambda database: train(database, settings, asked, until=at))
    for kind, made in result["made"].items():
        typer.echo(f"{kind}: version {made['version']} serves now.")
    for kind, reason in result["refused"].items():
        typer.echo(f"{kind}: not trained. {reason}")
    if not result["made"]:
        raise typer.Exit(1)


async def train(
    database: Database, settings: Settings, kinds: list[ModelKind], *, until: datetime | None
) -> dict[str, Any]:
    """Train with a progress bar, and return what came of it."""
    compute = compute_of(settings)
    training = training_of(database, compute=compute, clock=SystemClock(), settings=settings)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("reading events", total=1.0)

            async def told(progress: float, message: str) -> None:
                bar.update(task, completed=progress, description=message)

            return await training.train(kinds, told=told, activate=True, until=until)
    finally:
        await compute.close()


def _kind(name: str) -> ModelKind:
    try:
        return ModelKind(name.upper().replace("-", "_"))
    except ValueError as error:
        raise InvalidInput(f"There is no kind {name!r} of a model: name one of {', '.join(ModelKind)}.") from error

# ruff: noqa: N999  # named as the command
"""`winnow import`: users, merchants, campaigns or events out of a file, by a mapping of its columns."""

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.auth.auditing import Audit
from app.auth.principals import COMMAND_LINE
from app.campaigns.editing import MAX_USERS, CampaignDraft, CampaignEditing, MerchantDraft, UserDraft
from app.commands.options import DatabaseUrl, DataDir
from app.errors import AlreadyExists, DomainError, DomainErrors, ErrorCode
from app.ingestion.importing import Destination, EventsDestination, Fields, FileImport, Source, open_source
from app.ingestion.mappings import Kind, Unusable
from app.ingestion.pipeline import Ingestion
from app.ingestion.rejections import DropReason, Receipt, Rejected, Rejection
from app.ingestion.sources import count_rows
from app.runtime.clock import SystemClock
from app.runtime.settings import Settings
from app.store.access import AccessStore
from app.store.campaigns import CampaignStore
from app.store.catalogue import CatalogueStore
from app.store.database import Database
from app.store.events import EventStore
from app.store.imports import ImportRunRow, ImportStore
from app.store.models.codes import CampaignStatus, Channel
from app.store.opening import run_with_database


def command(
    file: Annotated[Path, typer.Argument(help="A .csv, .tsv, .jsonl or .parquet file; .gz too.")],
    mapping: Annotated[Path, typer.Option(help="The TOML file that says which column is what.")],
    kind: Annotated[Kind | None, typer.Option(help="Insist that the mapping is for these.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Where refused rows go.", show_default="FILE.rejected.jsonl")
    ] = None,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Import a file. Bad rows are written to a report; the same file again goes on where it stopped.

    docs/guide/importing.md says how a mapping is written.
    """
    source = open_source(file, mapping, kind=kind, report=report)
    settings = Settings.load(database_url=database_url, data_dir=data_dir)
    run = run_with_database(settings, lambda database: import_file(database, source))
    tell(run, source)


async def import_file(database: Database, source: Source) -> ImportRunRow:
    """Import what of a file is not imported yet, with a progress bar."""
    columns = (TextColumn(source.path.name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("rows", total=count_rows(source.path))
        importing = FileImport(destination(database, source.mapping.kind), ImportStore(database), SystemClock())
        run = await importing.run(source, advanced=lambda rows: progress.advance(task, rows))
        progress.update(task, total=run.rows_done)
    return run


def tell(run: ImportRunRow, source: Source) -> None:
    """Say what became of the rows; exit with 1 where all were refused."""
    typer.echo(
        f"{source.path.name}: {run.rows_done:,} rows, {run.accepted:,} accepted, {run.duplicates:,} there already, "
        f"{run.rejected:,} refused."
    )
    if run.rejected:
        typer.echo(f"Each refused row is in {source.report}, with its line and reason.", err=True)
    if run.rejected and not run.accepted and not run.duplicates:
        raise typer.Exit(1)


def destination(database: Database, kind: Kind) -> Destination:
    """Return where rows of a kind go."""
    clock = SystemClock()
    if kind is Kind.EVENTS:
        return EventsDestination(Ingestion(EventStore(database), clock))
    audit = Audit(AccessStore(database))
    editing = CampaignEditing(CampaignStore(database), CatalogueStore(database), audit=audit, clock=clock)
    return {Kind.USERS: UsersDestination, Kind.MERCHANTS: MerchantsDestination, Kind.CAMPAIGNS: CampaignsDestination}[
        kind
    ](editing)


class OneByOne:
    """Writes items one after another; one whose key is taken is there already, and stays as it is."""

    def __init__(self, editing: CampaignEditing) -> None:
        self._editing = editing

    async def write(self, items: Sequence[Fields]) -> Receipt:
        """Write each item and say what became of it."""
        outcomes = [await self._outcome(item) for item in items]
        rejected = [
            Rejected(place, outcome) for place, outcome in enumerate(outcomes) if isinstance(outcome, Rejection)
        ]
        return Receipt(outcomes.count("made"), outcomes.count("known"), tuple(rejected))

    async def _outcome(self, item: Fields) -> str | Rejection:
        try:
            await self._create(item)
        except DomainErrors as error:
            only = error.problems[0]
            return "known" if isinstance(only, AlreadyExists) else rejection(only, item)
        except Unusable as error:
            return Rejection(DropReason.WRONG_VALUE, error.message, error.field, shown_key(item))
        return "made"

    async def _create(self, item: Fields) -> object:
        raise NotImplementedError


class MerchantsDestination(OneByOne):
    """Creates merchants."""

    async def _create(self, item: Fields) -> object:
        return await self._editing.create_merchant(draft(item, MerchantDraft), by=COMMAND_LINE)


class CampaignsDestination(OneByOne):
    """Creates campaigns."""

    async def _create(self, item: Fields) -> object:
        values = dict(item) | {
            "merchant": item["merchantId"],
            "channels": [named(Channel, name, field="channels") for name in cast("list[str]", item["channels"])],
            "status": named(CampaignStatus, str(item.get("status", "DRAFT")), field="status"),
        }
        del values["merchantId"]
        return await self._editing.create_campaign(draft(values, CampaignDraft), by=COMMAND_LINE)


class UsersDestination:
    """Creates users and brings known ones up to date, as many at once as may be."""

    def __init__(self, editing: CampaignEditing) -> None:
        self._editing = editing

    async def write(self, items: Sequence[Fields]) -> Receipt:
        """Upsert users; those that were there count as duplicates."""
        written = Receipt()
        for first in range(0, len(items), MAX_USERS):
            done = await self._write(items[first : first + MAX_USERS])
            moved = tuple(Rejected(first + rejected.index, rejected.rejection) for rejected in done.rejected)
            written = Receipt(
                written.accepted + done.accepted, written.duplicates + done.duplicates, written.rejected + moved
            )
        return written

    async def _write(self, items: Sequence[Fields]) -> Receipt:
        try:
            return await self._upsert(items)
        except DomainErrors as error:
            bad = {int(problem.path[1]): problem for problem in error.problems}  # users, place, field
            done = await self._upsert([item for place, item in enumerate(items) if place not in bad])
        refused = tuple(Rejected(place, rejection(problem, items[place])) for place, problem in sorted(bad.items()))
        return Receipt(done.accepted, done.duplicates, refused)

    async def _upsert(self, items: Sequence[Fields]) -> Receipt:
        if not items:
            return Receipt()
        done = await self._editing.upsert_users([draft(item, UserDraft) for item in items], by=COMMAND_LINE)
        return Receipt(done.created, len(items) - done.created)


def draft[T](item: Fields, kind: type[T]) -> T:
    """Make a draft of a row's fields."""
    return cast("Any", kind)(**{_snake(name): value for name, value in item.items()})


def named[E: Enum](kind: type[E], name: str, *, field: str) -> E:
    """Return what a name stands for."""
    if name not in kind.__members__:
        raise Unusable(
            field, f"{name[:100]!r} is none of {', '.join(kind.__members__)}: correct the row or the mapping."
        )
    return kind[name]


def rejection(problem: DomainError, item: Fields) -> Rejection:
    """Return a use case's refusal as a row's."""
    reason = DropReason.UNKNOWN_MERCHANT if problem.code is ErrorCode.NOT_FOUND else DropReason.INVALID_ROW
    return Rejection(reason, problem.message, problem.path[-1] if problem.path else None, shown_key(item))


def shown_key(item: Fields) -> str | None:
    """Return by what the sender knows an item."""
    return next((str(item[name]) for name in ("key", "externalId") if name in item), None)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)

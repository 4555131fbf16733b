"""`winnow demo`: a server of its own with a simulated world in it, and live traffic."""

import os
import secrets
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.abtests.reallocating import Reallocating
from app.auth.auditing import Audit
from app.auth.keys import KEY_PREFIX
from app.campaigns.editing import CampaignEditing
from app.commands.options import Host, LogLevel, Port
from app.commands.serve import serve
from app.commands.use_cases import lifecycle_and_analyzing
from app.demo.experimenting import Experimenting, TestUseCases
from app.demo.loading import EVENTS_AT_ONCE, Loading
from app.demo.visits import PICTURES
from app.ingestion.pipeline import Ingestion
from app.runtime.broadcast import LocalBroadcast
from app.runtime.clock import Clock, SystemClock
from app.runtime.logging import configure_logging
from app.runtime.settings import Settings, default_data_dir
from app.store.abtests import TestStore
from app.store.access import AccessStore
from app.store.campaigns import CampaignStore
from app.store.catalogue import CatalogueStore
from app.store.database import Database
from app.store.events import EventStore
from app.store.imports import ImportStore
from app.store.policies import PolicyStore

TRAFFIC = "app.demo.traffic"
KEY_FILE = "demo-key"
TEST = "weekend-wording"
FOLLOW = (
    f'subscription {{ testResults(testId: "{TEST}") '
    "{ totals { variant { key } exposed converted mean } verdict { decision reasons } } }"
)
WATCH = (
    f'subscription {{ allocation(testId: "{PICTURES.key}") '
    "{ policyVersion createdAt shares { variant { key } probability } } }"
)
QUERY = "{ topCampaigns(by: ROI, first: 3) { rank value campaign { name merchant { name } } } }"


DEFAULT_DATA_DIR = default_data_dir().with_name(f"{default_data_dir().name}-demo")
DemoDataDir = Annotated[
    Path | None, typer.Option(help="Folder of the demo's own database.", show_default=str(DEFAULT_DATA_DIR))
]

Size = Annotated[
    float,
    typer.Option(help="How much of the world's history to make; another size is another world.", min=0.001, max=10),
]


def command(
    host: Host = None,
    port: Port = None,
    data_dir: DemoDataDir = None,
    size: Size = 1.0,
    log_level: LogLevel = None,
) -> None:
    """Serve a simulated world: 90 days of 40 campaigns and six A/B tests with known truth, a bandit, and live traffic.

    It has a database of its own: DATABASE_URL is not used, and nothing of it reaches your data.
    """
    settings = demo_settings(host=host, port=port, data_dir=data_dir, log_level=log_level or "warning")
    configure_logging(settings)
    serve(
        settings,
        prepare=partial(load, size=size),
        beside=[(TRAFFIC, str(size))],
        when_ready=lambda address: tell(address, settings=settings),
    )


def demo_settings(**given: object) -> Settings:
    """Return the settings of a demo: its own data folder, its own key, no other database."""
    settings = Settings.load(**{"data_dir": DEFAULT_DATA_DIR, **{k: v for k, v in given.items() if v is not None}})
    own = settings.model_copy(update={"database_url": None})
    return own if own.bootstrap_key else own.model_copy(update={"bootstrap_key": SecretStr(kept_key(own.data_dir))})


def kept_key(folder: Path) -> str:
    """Return the demo's key: made at its first start, the same ever after."""
    folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    path = folder / KEY_FILE
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(KEY_PREFIX + secrets.token_urlsafe(30))
    return path.read_text().strip()


async def load(database: Database, *, size: float = 1.0) -> None:
    """Load the world, with a progress bar where that is still to be done."""
    columns = (TextColumn("Making the demo's world"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("events", total=None, visible=False)
        await loading_of(database).load(
            size=size, progress=lambda done, total: bar.update(task, completed=done, total=total, visible=True)
        )


def loading_of(database: Database, *, clock: Clock | None = None, at_once: int = EVENTS_AT_ONCE) -> Loading:
    """Return what loads the world into a database."""
    clock, campaigns = clock or SystemClock(), CampaignStore(database)
    audit = Audit(AccessStore(database))
    return Loading(
        campaigns=campaigns,
        editing=CampaignEditing(campaigns, CatalogueStore(database), audit=audit, clock=clock),
        ingestion=Ingestion(EventStore(database), clock),
        experimenting=Experimenting(TestStore(database), partial(use_cases_of_tests, database)),
        runs=ImportStore(database),
        clock=clock,
        at_once=at_once,
    )


def use_cases_of_tests(database: Database, clock: Clock) -> TestUseCases:
    """Return what starts and ends tests at the time of a clock."""
    lifecycle, analyzing = lifecycle_and_analyzing(database, clock)
    reallocating = Reallocating(
        database,
        tests=TestStore(database),
        policies=PolicyStore(database),
        audit=Audit(AccessStore(database)),
        broadcast=LocalBroadcast(),
        clock=clock,
    )
    return TestUseCases(lifecycle=lifecycle, analyzing=analyzing, reallocating=reallocating)


def flag_call(address: str, key: str) -> str:
    """Return the command that evaluates a flag of the demo, as OpenFeature's clients do."""
    return (
        f"curl {address}/ofrep/v1/evaluate/flags/{TEST} -H 'X-API-Key: {key}' "
        """-H 'Content-Type: application/json' -d '{"context": {"targetingKey": "u-00042"}}'"""
    )


def tell(address: str, *, settings: Settings) -> None:
    """Print what can be asked, and last the dashboard's address and the key to enter there."""
    key = settings.bootstrap_key.get_secret_value() if settings.bootstrap_key else ""
    lines = (
        f"  Graph     {address}/graphql",
        f"  Ask       {QUERY}",
        f"  Follow    {FOLLOW}",
        f"  Bandit    {WATCH}",
        f"  Flag      {flag_call(address, key)}",
        f"  Data in   {settings.data_dir}",
        "Live traffic comes in all the while. Ctrl-C stops everything.",
        f"  Look at   {address}/",
        f"  Key       {key}",
    )
    typer.echo("\n".join(lines))

"""`winnow keys`: make, list and revoke API keys, on the server's own machine and with the right of whoever runs it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.auth.auditing import Audit
from app.auth.keys import REMEMBERED_SECONDS, KeyRing
from app.auth.principals import Role
from app.commands.options import DatabaseUrl, DataDir
from app.runtime.clock import SystemClock
from app.runtime.settings import Settings
from app.store.access import AccessStore, ApiKeyRow
from app.store.database import Database
from app.store.opening import run_with_database

command = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")


@command.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, such as the name of an app.")],
    role: Annotated[Role, typer.Option(help="What the key may do.")] = Role.ANALYST,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it: this is the only time it can be read.

    admin: everything. analyst: reads everything, runs tests. sender: events and users. client: evaluates flags.
    """
    new = _with_keys(database_url, data_dir, lambda keys: keys.create(name, role))
    typer.echo(f"Key {new.row.id} ({role}, {new.row.name}). Keep it safe, it is not shown again:", err=True)
    typer.echo(new.key)


@command.command("list")
def list_keys(database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """List all keys, without the keys themselves."""
    Console().print(key_table(_with_keys(database_url, data_dir, lambda keys: keys.keys())))


@command.command()
def revoke(
    key_id: Annotated[int, typer.Argument(help="The key's number, as `winnow keys list` shows it.")],
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key worthless for good."""
    row = _with_keys(database_url, data_dir, lambda keys: keys.revoke(key_id))
    typer.echo(
        f"Key {row.id} ({row.role}, {row.name}) is revoked; running servers know within {REMEMBERED_SECONDS:g} s."
    )


def key_table(rows: Sequence[ApiKeyRow]) -> Table:
    """Return what `winnow keys list` prints."""
    table = Table("id", "name", "role", "begins", "made", "last used", "revoked", box=None)
    for row in rows:
        times = (row.created_at, row.last_used_at, row.revoked_at)
        table.add_row(str(row.id), row.name, row.role, row.prefix, *(_shown(at) for at in times))
    return table


def _with_keys[T](database_url: str | None, data_dir: object, work: Callable[[KeyRing], Awaitable[T]]) -> T:
    settings = Settings.load(database_url=database_url, data_dir=data_dir)
    return run_with_database(settings, lambda database: work(key_ring(database)))


def key_ring(database: Database) -> KeyRing:
    """Return the keys of a database."""
    store = AccessStore(database)
    return KeyRing(store, audit=Audit(store), clock=SystemClock())


def _shown(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"

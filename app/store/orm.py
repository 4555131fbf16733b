"""How Tortoise reaches PostgreSQL: its client, named as an engine, and its configuration."""

from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient

APP_LABEL = "winnow"
CONNECTION = "default"
_FROM_URL = ("host", "port", "user", "password", "database")


async def keep_session(_connection: Any) -> None:
    """Leave a session as it is when its connection goes back to the pool.

    Resetting costs a round trip after every statement. Nothing here changes a session: settings are SET LOCAL,
    advisory locks those of a transaction. An open transaction is rolled back by asyncpg all the same.
    """


class OrmClient(AsyncpgDBClient):
    """Tortoise's client, connecting by a whole address as asyncpg and libpq understand it (sockets, TLS options)."""

    async def create_pool(self, **kwargs: Any) -> Any:
        """Open the pool; what the address says is not said again by Tortoise's defaults."""
        options = {name: value for name, value in kwargs.items() if name not in _FROM_URL}
        return await asyncpg.create_pool(**options, reset=keep_session)


client_class = OrmClient
"""What Tortoise looks for in a module named as an engine."""


def orm_config(url: str, *, pool_size: int = 5, server_settings: dict[str, str] | None = None) -> dict[str, Any]:
    """Return Tortoise's configuration for the database at `url`."""
    credentials = {"dsn": url, "minsize": 0, "maxsize": pool_size, "server_settings": server_settings or {}}
    app = {"models": ["app.store.models"], "migrations": "migrations", "default_connection": CONNECTION}
    return {
        "connections": {CONNECTION: {"engine": __name__, "credentials": credentials}},
        "apps": {APP_LABEL: app},
        "use_tz": True,
        "timezone": "UTC",
    }


TORTOISE_ORM = orm_config("postgresql:///winnow")
"""For `tortoise makemigrations`, which compares models and migrations without a database."""

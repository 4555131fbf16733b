"""Fails where models have changed since the last migration."""

import asyncio
import sys

from tortoise.context import TortoiseContext
from tortoise.migrations.autodetector import MigrationAutodetector

from app.store.orm import TORTOISE_ORM


async def missing() -> list[str]:
    with TortoiseContext() as context:
        await context.init(TORTOISE_ORM, init_connections=False)
        if context.apps is None:
            return ["no models"]
        migrations = await MigrationAutodetector(context.apps, TORTOISE_ORM["apps"]).changes()
        return [str(operation) for migration in migrations for operation in migration.operations]


if __name__ == "__main__":
    changes = asyncio.run(missing())
    if changes:
        print(*changes, "Run: tortoise makemigrations (see CONTRIBUTING.md)", sep="\n")
    sys.exit(bool(changes))

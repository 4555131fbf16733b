import importlib.util
from pathlib import Path

from app.store import models
from app.store.database import Database

CHECK = Path(__file__).parents[3] / "scripts" / "missing_migration.py"


async def test_no_migration_is_missing():
    spec = importlib.util.spec_from_file_location("missing_migration", CHECK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert await module.missing() == []


async def test_every_migration_goes_down_and_up_again_by_itself(new_database):
    database = await Database.open(await new_database(), default=False)
    try:
        names = [row["name"] for row in await database.fetch("SELECT name FROM tortoise_migrations ORDER BY id")]
        for earlier in reversed(names[:-1]):
            await database.migrate(earlier)
            assert (await database.pending_migrations())[0] == names[names.index(earlier) + 1]
        for name in names[1:]:
            await database.migrate(name)
        assert await database.pending_migrations() == []
    finally:
        await database.close()


# Columns that only an earlier release reads or writes: they stay while one of its processes may still run.
LEFT = {"campaign_response": {"effect"}}


async def test_the_migrated_tables_are_those_of_the_models(database: Database):
    for model in (getattr(models, name) for name in models.__all__):
        rows = await database.fetch(
            "SELECT attname, attnotnull FROM pg_attribute "
            "WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped",
            model._meta.db_table,
        )
        fields = model._meta.fields_db_projection
        described = {column: not model._meta.fields_map[name].null for name, column in fields.items()}
        left = LEFT.get(model._meta.db_table, set())
        found = {row["attname"]: row["attnotnull"] for row in rows if row["attname"] not in left}
        assert found == described, model.__name__
        assert left <= {row["attname"] for row in rows}

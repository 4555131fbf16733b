import pytest

from app.operations.readiness import DatabaseReadiness
from app.store.database import FIRST, Database


@pytest.fixture
async def fresh(new_database):
    database = await Database.open(await new_database(), default=False)
    yield database
    await database.close()


async def test_an_up_to_date_database_is_ready_and_asked_for_migrations_once(database, statements):
    readiness = DatabaseReadiness(database)
    assert await readiness() is None
    with statements.watched() as seen:
        assert await readiness() is None
    assert seen == ["SELECT 1"]


async def test_a_schema_that_lacks_a_migration_is_not_ready_until_it_has_it(fresh):
    await fresh.migrate(FIRST)
    readiness = DatabaseReadiness(fresh)
    assert "winnow migrate" in await readiness()
    await fresh.migrate()
    assert await readiness() is None


async def test_a_database_that_is_gone_is_not_ready(new_database):
    database = await Database.open(await new_database(), default=False)
    await database.close()
    assert "does not answer" in await DatabaseReadiness(database)()

"""PgQueuer's tables as our migration made them."""

from app.store.database import Database
from app.store.queue import pool_driver, queries_of


async def test_the_installed_release_of_pgqueuer_finds_its_tables_as_it_wants_them(clean_database: Database) -> None:
    plan = await queries_of(pool_driver(clean_database)).plan_upgrade()
    assert plan.statements == ()

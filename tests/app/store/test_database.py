import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest
from tortoise.transactions import in_transaction

from app.errors import DatabaseUnavailable
from app.store.database import FIRST, Database, is_unavailable
from app.store.models import Merchant


async def add_merchant(key: str) -> Merchant:
    return await Merchant.create(key=key, name=key, category="grocer")


async def test_json_travels_as_it_is(database: Database):
    value = {"words": ["é", "\u2603"], "number": 1.5, "nothing": None}
    assert await database.fetchval("SELECT $1::jsonb", value) == value
    assert await database.fetchval("SELECT $1::json", value) == value


async def test_times_are_aware_utc(database: Database):
    now = await database.fetchval("SELECT now()")
    assert now.utcoffset().total_seconds() == 0
    assert await database.fetchval("SHOW timezone") == "UTC"


async def test_transaction_rolls_back_on_error(clean_database: Database):
    async def add_and_fail() -> None:
        async with clean_database.transaction() as connection:
            await connection.execute("INSERT INTO merchant (key, name, category) VALUES ('a', 'a', 'grocer')")
            await connection.execute("SELECT 1 / 0")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await add_and_fail()
    assert await Merchant.all().count() == 0


async def test_session_is_clean_after_a_broken_transaction(clean_database: Database):
    async def change_and_fail() -> None:
        async with clean_database.transaction() as connection:
            await connection.execute("SET LOCAL statement_timeout = '1min'")
            raise ZeroDivisionError

    for _ in range(20):
        with pytest.raises(ZeroDivisionError):
            await change_and_fail()
    assert await clean_database.fetchval("SHOW statement_timeout") == "0"


async def test_rows_and_sets_see_the_same_data(clean_database: Database):
    merchant = await add_merchant("one")
    assert merchant.id == 1
    assert await clean_database.fetchval("SELECT key FROM merchant") == "one"


@pytest.mark.parametrize("_", range(3))
async def test_every_test_starts_clean(clean_database: Database, _):
    assert await Merchant.all().count() == 0
    assert (await add_merchant("again")).id == 1


async def test_models_work_from_any_task(clean_database: Database):
    async def add(number: int) -> None:
        async with in_transaction():
            await add_merchant(str(number))

    await asyncio.gather(*(asyncio.create_task(add(number)) for number in range(10)))
    assert await clean_database.fetchval("SELECT count(*) FROM merchant") == 10


async def test_statements_are_watched(database: Database, statements):
    with statements.watched() as seen:
        await database.fetchval("SELECT 41 + 1")
    await database.fetchval("SELECT 2")
    assert seen == ["SELECT 41 + 1"]


async def test_statement_timeout(new_database):
    database = await Database.open(await new_database(empty=True), statement_timeout_seconds=0.05, default=False)
    try:
        with pytest.raises(Exception, match="statement timeout"):
            await database.fetchval("SELECT pg_sleep(2)")
    finally:
        await database.close()


async def test_unreachable_server_says_what_to_do():
    with pytest.raises(DatabaseUnavailable, match="DATABASE_URL"):
        await Database.open("postgresql://nobody@127.0.0.1:1/nothing")


async def test_unknown_database_says_what_to_do(cluster):
    with pytest.raises(DatabaseUnavailable, match="does not exist"):
        await Database.open(cluster.database_url("no_such_database"))


async def test_ping_and_lost_connections(cluster, new_database):
    database = await Database.open(await new_database(empty=True), default=False)
    await database.ping()
    await cluster.drop(urlsplit(database.url).path[1:])
    with pytest.raises(DatabaseUnavailable) as refused:
        await database.ping()
    assert is_unavailable(refused.value)
    assert not is_unavailable(ValueError())
    database.pool.terminate()


async def migrated(url: str, times: int = 1) -> list[str]:
    database = await Database.open(url, default=False)
    done: list[str] = []
    for _ in range(times):
        await database.migrate(progress=lambda event, _, name: done.append(name) if event == "apply_done" else None)
    await database.close()
    return done


async def test_migrating_twice_does_it_once(new_database):
    done = await migrated(await new_database(empty=True), times=2)
    assert len(done) == len(set(done)) > 0


async def test_two_migrate_at_once(new_database):
    url = await new_database(empty=True)
    one, other = await asyncio.gather(migrated(url), migrated(url))
    assert not set(one) & set(other)
    assert sorted(one + other) == sorted(await migrated(await new_database(empty=True)))


async def schema(database: Database) -> list[tuple[str, str, str]]:
    rows = await database.fetch(
        "SELECT c.relkind::text AS kind, c.relname::text AS name, coalesce(string_agg(a.attname || ' ' || "
        "format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attname), '') AS columns FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
        "WHERE n.nspname = 'public' AND c.relname !~ 'tortoise_mi' GROUP BY 1, 2 ORDER BY 1, 2"
    )
    return [(row["kind"], row["name"], row["columns"]) for row in rows]


async def test_downgrade_and_upgrade_round_trip(new_database):
    database = await Database.open(await new_database(), default=False)
    try:
        before = await schema(database)
        await database.migrate(FIRST)
        assert await schema(database) == []
        assert len(await database.pending_migrations()) >= 2
        await database.migrate()
        assert await schema(database) == before
        assert await database.pending_migrations() == []
    finally:
        await database.close()

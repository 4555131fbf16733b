"""Every change of a live test makes another version of it; nothing else does."""

from app.store.live_tests import LiveVersions, live_versions

INSERT = (
    "INSERT INTO ab_test (key, name, status, seed) "
    "SELECT key, key, status, key FROM unnest($1::text[], $2::text[]) AS t(key, status)"
)
NOTHING = LiveVersions()


async def test_the_same_versions_are_the_same_object(clean_database) -> None:
    await clean_database.execute(INSERT, ["a", "b"], ["RUNNING", "PAUSED"])
    first = await live_versions(clean_database, NOTHING)
    assert first.by_id.keys() == {1, 2}
    assert await live_versions(clean_database, first) is first


async def test_none_at_all_is_a_digest_too(clean_database) -> None:
    first = await live_versions(clean_database, NOTHING)
    assert first.by_id == {}
    assert await live_versions(clean_database, first) is first


async def test_drafts_and_ended_tests_are_not_looked_at(clean_database) -> None:
    await clean_database.execute(INSERT, ["a", "b", "c"], ["DRAFT", "ENDED", "RUNNING"])
    first = await live_versions(clean_database, NOTHING)
    await clean_database.execute("UPDATE ab_test SET name = 'another' WHERE status <> 'RUNNING'")
    assert await live_versions(clean_database, first) is first


async def test_what_came_changed_and_went_differs(clean_database) -> None:
    await clean_database.execute(INSERT, ["a", "b", "c", "d"], ["RUNNING", "RUNNING", "RUNNING", "DRAFT"])
    first = await live_versions(clean_database, NOTHING)
    await clean_database.execute("UPDATE ab_test SET decided_elsewhere = true WHERE key = 'a'")
    await clean_database.execute("UPDATE ab_test SET status = 'ENDED' WHERE key = 'b'")
    await clean_database.execute("UPDATE ab_test SET status = 'RUNNING' WHERE key = 'd'")
    later = await live_versions(clean_database, first)
    assert later.changed_since(first) == {1, 2, 4}
    assert later.changed_since(later) == set()


async def test_a_transaction_that_began_earlier_and_ends_later_is_seen(clean_database) -> None:
    await clean_database.execute(INSERT, ["a", "b"], ["RUNNING", "RUNNING"])
    async with clean_database.transaction() as early:
        await early.execute("UPDATE ab_test SET updated_at = now() WHERE key = 'a'")
        await clean_database.execute("UPDATE ab_test SET updated_at = now() WHERE key = 'b'")
        between = await live_versions(clean_database, NOTHING)
    later = await live_versions(clean_database, between)
    assert later.changed_since(between) == {1}

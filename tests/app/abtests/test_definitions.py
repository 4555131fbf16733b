"""Processes on one database hear of each other's changes, and read anew what they may have missed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.abtests import definitions as module
from app.abtests.assigning import NoVariant
from app.abtests.definitions import Definitions
from app.runtime.broadcast import LocalBroadcast
from app.store.abtests import TestStore
from app.store.notifications import PostgresBroadcast


async def eventually(check) -> None:
    async with asyncio.timeout(5):
        while not await check():  # noqa: ASYNC110  # what is awaited is another process's news, of which there is no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def announcing(database) -> AsyncIterator[PostgresBroadcast]:
    broadcast = await PostgresBroadcast(database).start()
    try:
        yield broadcast
    finally:
        await broadcast.close()


async def test_two_processes_decide_the_same(clean_database, open_process, by) -> None:
    async with (
        announcing(clean_database) as here,
        announcing(clean_database) as there,
        open_process(here) as one,
        open_process(there) as other,
    ):
        test_id = (await one.running()).test.id
        users = [f"user-{number}" for number in range(50)]
        first = [(await one.assign(user, expose=True)).variant.key for user in users]
        assert [(await other.assign(user)).variant.key for user in users] == first  # known at once, announced or not

        await one.lifecycle.set_weights(test_id, {"control": 0.0, "treatment": 1.0}, principal=by)

        async def new_weights_arrived() -> bool:
            return (await other.assign("nobody-yet")).policy_version == 2

        await eventually(new_weights_arrived)
        assert [(await other.assign(user)).variant.key for user in users] == first
        assert set(first) == {"control", "treatment"}

        await other.lifecycle.pause(test_id, principal=by)

        async def pause_arrived() -> bool:
            return (await one.assign("nobody-yet")).reason is NoVariant.NOT_RUNNING

        await eventually(pause_arrived)
        assert [(await one.assign(user)).variant.key for user in users] == first


async def test_a_decision_elsewhere_is_known_to_all_processes(clean_database, open_process) -> None:
    async with (
        announcing(clean_database) as here,
        announcing(clean_database) as there,
        open_process(here) as one,
        open_process(there) as other,
    ):
        await one.running()
        hashed = (await other.assign("ann")).variant.key
        contrary = "control" if hashed == "treatment" else "treatment"
        await one.record({"testId": "spring", "userId": "ann", "variantKey": contrary})

        async def arrived() -> bool:
            return (await other.assign("ann")).variant.key == contrary

        await eventually(arrived)


async def test_what_was_not_announced_is_read_in_time(process, by, monkeypatch) -> None:
    monkeypatch.setattr(module, "RELOAD_SECONDS", 0.05)
    definitions = Definitions(TestStore(process.database), LocalBroadcast(), clock=process.clock)
    await definitions.start()
    try:
        await process.running()

        async def found() -> bool:
            return definitions.get("spring") is not None

        await eventually(found)
        assert [test.definition.test.key for test in definitions.live()] == ["spring"]
    finally:
        await definitions.close()


async def test_a_failure_to_read_does_not_end_the_following(process, monkeypatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    broadcast = LocalBroadcast()
    definitions = Definitions(TestStore(process.database), broadcast, clock=process.clock)
    await definitions.start()
    try:
        await process.database.execute("ALTER TABLE allocation RENAME TO hidden")
        await broadcast.publish("tests", ["1"])
        await asyncio.sleep(0.1)
        await process.database.execute("ALTER TABLE hidden RENAME TO allocation")
        test_id = (await process.running()).test.id
        await broadcast.publish("tests", [str(test_id)])

        async def found() -> bool:
            return definitions.get("spring") is not None

        await eventually(found)
    finally:
        await definitions.close()


async def test_a_start_without_a_database_fails_rather_than_waits(process) -> None:
    definitions = Definitions(TestStore(process.database), LocalBroadcast(), clock=process.clock)
    await process.database.execute("ALTER TABLE ab_test RENAME TO hidden")
    try:
        with pytest.raises(Exception, match="ab_test"):
            await asyncio.wait_for(definitions.start(), 5)
    finally:
        await process.database.execute("ALTER TABLE hidden RENAME TO ab_test")
    await definitions.close()


async def test_a_name_nobody_has_is_not_asked_for_again_at_once(process, statements) -> None:
    definitions = Definitions(TestStore(process.database), LocalBroadcast(), clock=process.clock)
    with statements.watched() as seen:
        for _ in range(5):
            assert await definitions.find("nowhere") is None
            assert await definitions.find(7) is None
    assert len([one for one in seen if "status IN" in one]) == 2
    await process.running(key="nowhere")
    process.clock.advance(1)
    assert await definitions.find("nowhere") is not None


async def test_an_unchanged_test_is_not_compiled_again(process) -> None:
    test_id = (await process.running()).test.id
    before = await process.assigning.test("spring")
    await process.running(key="other")
    assert await process.assigning.test(test_id) is before


async def test_where_nothing_changed_one_question_is_asked(process, statements) -> None:
    for key in ("spring", "summer"):
        await process.running(key=key)
    definitions = Definitions(TestStore(process.database), LocalBroadcast(), clock=process.clock)
    await definitions.reload()
    with statements.watched() as seen:
        await definitions.reload()
    assert len(seen) == 1
    assert [test.definition.test.key for test in definitions.live()] == ["spring", "summer"]


async def test_only_what_changed_unannounced_is_read(process, by, monkeypatch) -> None:
    tests = {key: (await process.running(key=key)).test.id for key in ("autumn", "spring", "summer", "winter")}
    store = TestStore(process.database)
    definitions = Definitions(store, LocalBroadcast(), clock=process.clock)
    await definitions.reload()
    before = definitions.get("winter")

    await process.lifecycle.set_weights(tests["spring"], {"control": 0.0, "treatment": 1.0}, principal=by)
    await process.lifecycle.pause(tests["summer"], principal=by)
    await process.database.execute("UPDATE ab_test SET status = 'ENDED' WHERE id = $1", tests["autumn"])
    tests["new"] = (await process.running(key="new")).test.id
    read: set[int] = set()
    asked = store.definitions

    async def noted(test_ids, *args, **kwargs):
        read.update(test_ids)
        return await asked(test_ids, *args, **kwargs)

    monkeypatch.setattr(store, "definitions", noted)
    await definitions.reload()
    assert read == {tests[key] for key in ("autumn", "spring", "summer", "new")}
    assert [test.definition.test.key for test in definitions.live()] == ["new", "spring", "summer", "winter"]
    assert definitions.get("spring").policy_version == 2
    assert not definitions.get("summer").is_running
    assert definitions.get("autumn") is None
    assert definitions.get(tests["autumn"]) is None
    assert definitions.get("winter") is before


async def test_a_test_read_when_announced_and_ended_unannounced_goes(process) -> None:
    definitions = Definitions(TestStore(process.database), LocalBroadcast(), clock=process.clock)
    await definitions.reload()
    test_id = (await process.running()).test.id
    await definitions.refresh([test_id])
    assert definitions.get("spring") is not None
    await process.database.execute("UPDATE ab_test SET status = 'ENDED' WHERE id = $1", test_id)
    await definitions.reload()
    assert definitions.get("spring") is None


async def test_many_tests_are_read_in_parts(process, monkeypatch) -> None:
    monkeypatch.setattr(module, "READ_AT_ONCE", 2)
    keys = ["a", "b", "c", "d", "e"]
    for key in keys:
        await process.running(key=key)
    definitions = Definitions(TestStore(process.database), LocalBroadcast(), clock=process.clock)
    await definitions.reload()
    assert [test.definition.test.key for test in definitions.live()] == keys


async def test_announcements_of_other_tests_do_not_put_off_the_comparison(process, monkeypatch) -> None:
    monkeypatch.setattr(module, "RELOAD_SECONDS", 0.2)
    broadcast = LocalBroadcast()
    definitions = Definitions(TestStore(process.database), broadcast, clock=process.clock)
    await definitions.start()
    try:
        await process.running()  # announced on another broadcast

        async def found() -> bool:
            await broadcast.publish("tests", ["987654"])
            return definitions.get("spring") is not None

        await eventually(found)
    finally:
        await definitions.close()

"""Guardrails that pause a test: when they see harm at any look, once, with the reason kept."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from app.abtests.drafting import MetricDraft
from app.abtests.guarding import Guarding, stops_of
from app.errors import DomainErrors
from app.runtime.broadcast import LocalBroadcast
from app.store.guardrails import GuardrailStore
from app.store.models.codes import EventType, MetricKind, TestStatus
from app.store.notifications import TEST_TOTALS, TESTS

OPENS = MetricDraft(key="opens", kind=MetricKind.COUNT, event=EventType.OPENED, margin=0.02, stops=True)


@pytest.fixture
def broadcast() -> LocalBroadcast:
    return LocalBroadcast()


@pytest.fixture
def guarding(process, broadcast) -> Guarding:
    return Guarding(
        process.database,
        tests=process.services.tests,
        lifecycle=process.lifecycle,
        broadcast=broadcast,
        clock=process.clock,
        pause_seconds=0.01,
    )


@pytest.fixture
def guarded(process, by, metrics):
    """Start a test ten days ago, with a guardrail."""

    async def guarded(guardrail: MetricDraft = OPENS, key: str = "spring"):
        definition = await process.create(key=key, metric=metrics["bought"], guardrails=(guardrail,))
        at = process.clock.now() - timedelta(days=10)
        return await process.lifecycle.start(definition.test.id, at=at, principal=by)

    return guarded


@pytest.fixture
def harmful(population):
    """Units whose treatment opens a third of what the control does."""
    units = population(1_200, rates=(0.3, 0.5))
    units.opens = np.where(units.variant == 1, units.opens // 3, units.opens)
    return units


async def status(process, definition) -> TestStatus:
    return (await process.lifecycle.definition(definition.test.id)).test.status


async def test_a_breach_pauses_the_test_and_says_why(process, guarding, guarded, expose, harmful) -> None:
    definition = await guarded()
    await expose(definition, harmful)
    assert await guarding.look()
    paused = await process.lifecycle.definition(definition.test.id)
    assert paused.test.status is TestStatus.PAUSED
    (stop,) = stops_of(paused)
    point = harmful.of(1, "opens").mean() - harmful.of(0, "opens").mean()
    assert (stop.metric, stop.variant, stop.at) == ("opens", "treatment", process.clock.now().isoformat())
    assert f"treatment harms opens: {point:+.4g} against the control" in stop.reason
    entry = await process.database.fetchrow("SELECT * FROM audit_entry WHERE action = 'test.paused'")
    assert entry["actor"] == "0 guardrail opens"
    assert entry["after"]["guardrail_stops"][0]["reason"] == stop.reason
    assert (entry["before"]["status"], entry["after"]["status"]) == ("RUNNING", "PAUSED")


async def test_it_is_announced_to_every_process(process, open_process, guarded, expose, harmful) -> None:
    definition = await guarded()
    await expose(definition, harmful)
    wire = LocalBroadcast()
    async with open_process(wire) as other:
        guard = Guarding(
            other.database, tests=other.services.tests, lifecycle=other.lifecycle, broadcast=wire, clock=other.clock
        )
        with wire.subscribe(TESTS) as changes:
            await guard.look()
            change = await asyncio.wait_for(anext(changes), 5)
        assert str(definition.test.id) in change.ids
        assert (await other.assign("somebody new")).reason is not None


@pytest.mark.parametrize("guardrail", [replace(OPENS, stops=False), replace(OPENS, margin=0.9)])
async def test_what_may_not_stop_or_is_within_its_margin_does_not(
    process, guarding, guarded, expose, harmful, guardrail
) -> None:
    definition = await guarded(guardrail)
    await expose(definition, harmful)
    await guarding.look()
    assert await status(process, definition) is TestStatus.RUNNING


async def test_less_may_be_what_is_wanted(process, guarding, guarded, expose, harmful) -> None:
    definition = await guarded(replace(OPENS, higher_is_better=False))
    await expose(definition, harmful)
    await guarding.look()
    assert await status(process, definition) is TestStatus.RUNNING


async def test_too_little_data_stops_nothing(process, guarding, guarded, expose, population) -> None:
    empty = await guarded(key="empty")
    few = await guarded(key="few")
    units = population(40)
    units.opens = np.where(units.variant == 1, 0, 5)
    await expose(few, units)
    await guarding.look()
    assert [await status(process, one) for one in (empty, few)] == [TestStatus.RUNNING] * 2


async def test_who_starts_it_again_has_seen_that_breach(process, by, guarding, guarded, expose, harmful) -> None:
    definition = await guarded()
    await expose(definition, harmful)
    await guarding.look()
    await process.lifecycle.start(definition.test.id, principal=by)
    await guarding.look()
    running = await process.lifecycle.definition(definition.test.id)
    assert running.test.status is TestStatus.RUNNING
    assert len(stops_of(running)) == 1


async def test_of_several_processes_one_looks(process, guarding, guarded, expose, harmful) -> None:
    definition = await guarded()
    await expose(definition, harmful)
    async with process.database.transaction() as connection:
        assert await GuardrailStore().hold(connection)
        assert not await guarding.look()
        assert await status(process, definition) is TestStatus.RUNNING
    looks = await asyncio.gather(*(guarding.look() for _ in range(4)))
    assert any(looks)
    actions = [action for _, action in await process.audit()]
    assert actions.count("test.paused") == 1


@contextlib.asynccontextmanager
async def running(guarding: Guarding) -> AsyncIterator[asyncio.Task]:
    task = asyncio.create_task(guarding.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def paused_soon(process, definition) -> None:
    async with asyncio.timeout(10):
        while await status(process, definition) is not TestStatus.PAUSED:  # noqa: ASYNC110  # what is stored is asked for
            await asyncio.sleep(0.02)


async def test_it_looks_when_totals_change(process, guarding, guarded, expose, harmful, broadcast) -> None:
    definition = await guarded()
    async with running(guarding):
        await asyncio.sleep(0.1)
        await expose(definition, harmful)
        await asyncio.sleep(0.1)
        assert await status(process, definition) is TestStatus.RUNNING  # nobody told it
        await broadcast.publish(TEST_TOTALS, [str(definition.test.id)])
        await paused_soon(process, definition)


async def test_what_changed_before_it_listened_is_looked_at(process, guarding, guarded, expose, harmful) -> None:
    definition = await guarded()
    await expose(definition, harmful)
    async with running(guarding):
        await paused_soon(process, definition)


async def test_it_survives_a_database_that_ends_its_connections(
    process, guarding, guarded, expose, harmful, broadcast
) -> None:
    definition = await guarded()
    async with running(guarding) as task:
        await asyncio.sleep(0.05)
        await process.database.execute("ALTER TABLE ab_test_metric RENAME COLUMN stops TO away")
        try:
            await broadcast.publish(TEST_TOTALS, [str(definition.test.id)])
            await asyncio.sleep(0.1)
            with contextlib.suppress(Exception):
                await process.database.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            await asyncio.sleep(0.05)
        finally:
            await process.database.execute("ALTER TABLE ab_test_metric RENAME COLUMN away TO stops")
        assert not task.done()
        await expose(definition, harmful)
        await broadcast.publish(TEST_TOTALS, [str(definition.test.id)])
        await paused_soon(process, definition)


async def test_only_a_guardrail_stops(process, metrics, stored) -> None:
    before = await stored()
    with pytest.raises(DomainErrors, match="Only a guardrail stops a test") as refused:
        await process.create(metric=replace(metrics["bought"], stops=True))
    assert [problem.path for problem in refused.value.problems] == [("metric", "stops")]
    assert await stored() == before

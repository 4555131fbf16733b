"""Bandits' steps on real PostgreSQL: what counts, what is kept, and that each step is made once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app.abtests import reallocating
from app.abtests.drafting import MetricDraft, VariantDraft
from app.errors import DomainErrors
from app.store.abtest_rows import TestDefinition
from app.store.models.codes import AllocationPolicy, EventType, MetricKind

THREE = tuple(VariantDraft(key=key, weight=1 / 3, is_control=key == "a") for key in "abc")
HOUR = timedelta(hours=1)
LEARNING = ["THOMPSON", "TOP_TWO_THOMPSON", "UCB", "EPSILON_GREEDY"]


def advance(process: Any, **time: int) -> None:
    process.clock.advance(timedelta(**time).total_seconds())


async def bandit(process: Any, policy: str = "THOMPSON", **given: Any) -> TestDefinition:
    return await process.running(allocation_policy=AllocationPolicy(policy), **({"variants": THREE} | given))


async def expose(process: Any, variant: str, *, units: int, converted: int, value: float | None = None) -> None:
    """Units of one variant, some of which convert an hour later."""
    first, now = len(process.numbers), process.clock.now()
    users = [f"{variant}{first + number}" for number in range(units)]
    await process.record(
        *({"userId": user, "testId": "spring", "variantKey": variant, "occurredAt": now - 2 * HOUR} for user in users)
    )
    await process.record(
        *({"type": "CONVERTED", "userId": user, "occurredAt": now - HOUR, "value": value} for user in users[:converted])
    )


async def versions(process: Any, test_id: int) -> list[dict[str, Any]]:
    rows = await process.database.fetch("SELECT * FROM allocation WHERE test_id = $1 ORDER BY policy_version", test_id)
    return [dict(row) for row in rows]


async def due(process: Any) -> int:
    return await process.services.reallocating.reallocate_due()


@pytest.mark.parametrize("policy", LEARNING)
async def test_traffic_moves_to_the_variant_that_earns_and_keeps_the_floor(process: Any, policy: str) -> None:
    definition = await bandit(process, policy)
    advance(process, days=4)
    for variant, converted in (("a", 4), ("b", 12), ("c", 40)):
        await expose(process, variant, units=80, converted=converted)
    advance(process, days=4)

    assert await due(process) == 1

    first, second = await versions(process, definition.test.id)
    shares = second["probabilities"]
    assert (first["policy_version"], second["policy_version"]) == (1, 2)
    assert sum(shares) == pytest.approx(1)
    assert min(shares) >= 0.2 / 3 - 1e-12
    assert max(shares) == shares[2] > 0.45
    assert second["floor"] == pytest.approx(0.2 / 3)
    assert second["watermark"]["seed"] == "spring"
    counted = {one["variant"]: (one["counted"], one["value_sum"]) for one in second["watermark"]["sums"]}
    assert counted == {"a": (80, "4"), "b": (80, "12"), "c": (80, "40")}


@pytest.mark.parametrize("policy", LEARNING)
async def test_revenue_decides_where_it_is_the_metric(process: Any, policy: str) -> None:
    revenue = MetricDraft(key="revenue", kind=MetricKind.REVENUE, event=EventType.CONVERTED)
    definition = await bandit(process, policy, metric=revenue)
    advance(process, days=4)
    for variant, value in (("a", 5.0), ("b", 50.0), ("c", 6.0)):
        await expose(process, variant, units=60, converted=20, value=value)
    advance(process, days=4)
    await due(process)
    shares = (await versions(process, definition.test.id))[-1]["probabilities"]
    assert max(shares) == shares[1] > 0.45


async def test_less_is_better_where_the_metric_says_so(process: Any) -> None:
    complaints = MetricDraft(key="left", kind=MetricKind.CONVERSION, event=EventType.CONVERTED, higher_is_better=False)
    definition = await bandit(process, metric=complaints)
    advance(process, days=4)
    for variant, converted in (("a", 40), ("b", 4), ("c", 40)):
        await expose(process, variant, units=80, converted=converted)
    advance(process, days=4)
    await due(process)
    shares = (await versions(process, definition.test.id))[-1]["probabilities"]
    assert max(shares) == shares[1] > 0.8


async def test_a_unit_counts_once_its_window_has_closed_or_it_has_converted(process: Any) -> None:
    definition = await bandit(process)
    advance(process, days=1)
    await expose(process, "a", units=10, converted=3)

    await due(process)

    sums = (await versions(process, definition.test.id))[-1]["watermark"]["sums"]
    assert [(one["variant"], one["counted"], one["open"]) for one in sums] == [("a", 3, 7)]
    advance(process, days=3)
    await due(process)
    sums = (await versions(process, definition.test.id))[-1]["watermark"]["sums"]
    assert [(one["variant"], one["counted"], one["open"]) for one in sums] == [("a", 10, 0)]


async def test_a_step_is_due_once_an_interval(process: Any) -> None:
    definition = await bandit(process, reallocate_every_minutes=90)
    advance(process, minutes=89)
    assert await due(process) == 0
    advance(process, minutes=1)
    assert await due(process) == 1
    assert await due(process) == 0
    assert len(await versions(process, definition.test.id)) == 2


async def test_fixed_paused_and_ended_tests_are_left_alone(process: Any, by: Any) -> None:
    fixed = await process.running()
    paused = await bandit(process, key="paused")
    ended = await bandit(process, key="ended")
    await process.lifecycle.pause(paused.test.id, principal=by)
    await process.lifecycle.end(ended.test.id, principal=by)
    advance(process, days=1)
    assert await due(process) == 0
    for test in (fixed, paused, ended):
        with pytest.raises(DomainErrors):
            await process.services.reallocating.reallocate(test.test.id, principal=by)
        assert len(await versions(process, test.test.id)) == 1


async def test_reallocate_makes_a_version_now_and_is_audited(process: Any, by: Any) -> None:
    definition = await bandit(process)
    changed = await process.services.reallocating.reallocate(definition.test.id, principal=by)
    assert changed.allocation.policy_version == 2
    assert [action for _, action in await process.audit()][-1] == "test.reallocate"
    assert (await process.assign("u1")).policy_version == 2
    advance(process, minutes=59)
    assert await due(process) == 0


async def test_two_workers_make_each_step_once(process: Any, open_process: Any) -> None:
    tests = [await bandit(process, key=f"t{number}") for number in range(7)]
    advance(process, days=1)
    async with open_process(process.services.reallocating._broadcast) as other:
        workers = [process.services.reallocating, other.services.reallocating]
        done = await asyncio.gather(*(worker.reallocate_due(most=2) for worker in workers * 2))
    assert sum(done) == 7
    for test in tests:
        assert [one["policy_version"] for one in await versions(process, test.test.id)] == [1, 2]


async def test_a_crash_between_compute_and_save_loses_nothing(process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    definition = await bandit(process)
    advance(process, days=1)

    async def crash(*_: Any, **__: Any) -> None:
        raise ConnectionError("the process is gone")

    with monkeypatch.context() as patched:
        patched.setattr(process.services.reallocating._policies, "add_versions", crash)
        with pytest.raises(ConnectionError):
            await due(process)
    assert len(await versions(process, definition.test.id)) == 1
    assert await due(process) == 1
    assert len(await versions(process, definition.test.id)) == 2


async def test_a_discount_lets_old_steps_count_less(process: Any) -> None:
    two = [VariantDraft(key=key, weight=0.5, is_control=key == "a") for key in "ab"]
    definition = await bandit(process, variants=two)
    await process.database.execute("UPDATE ab_test SET discount = 0.5")
    advance(process, days=4)
    await expose(process, "a", units=100, converted=50)
    await expose(process, "b", units=100, converted=20)
    advance(process, days=4)
    await due(process)
    advance(process, hours=1)
    before = (await versions(process, definition.test.id))[-1]
    assert before["watermark"]["discount"] == 0.5
    assert before["probabilities"][0] == pytest.approx(0.9, abs=0.01)
    for _ in range(8):
        await due(process)
        advance(process, hours=1)
    after = (await versions(process, definition.test.id))[-1]["probabilities"]
    assert 0.5 < after[0] < 0.8  # what was learned 8 steps ago counts a 256th


async def test_a_policy_that_cannot_tell_yet_makes_no_version(process: Any, by: Any) -> None:
    revenue = MetricDraft(key="revenue", kind=MetricKind.REVENUE, event=EventType.CONVERTED)
    silent = await bandit(process, key="silent", metric=revenue)
    heard = await bandit(process, key="heard")
    advance(process, days=1)
    assert await due(process) == 2
    assert len(await versions(process, silent.test.id)) == 1
    assert len(await versions(process, heard.test.id)) == 2
    with pytest.raises(DomainErrors, match="fewer than 2 rewards"):
        await process.services.reallocating.reallocate(silent.test.id, principal=by)


async def test_a_step_of_many_tests_takes_as_many_statements_as_of_one(process: Any, statements: Any) -> None:
    counts = []
    for number in (2, 1, 10):  # the first one warms a connection up
        for index in range(number):
            await bandit(process, key=f"n{number}-{index}")
        advance(process, hours=1)
        with statements.watched() as seen:
            await process.services.reallocating._step(reallocating.TESTS_A_STEP)
        counts.append(len(seen))
    assert counts[1] == counts[2]

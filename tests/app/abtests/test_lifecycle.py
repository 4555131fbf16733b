"""A test's life on a real database: every step guarded, audited, and without a trace where it is refused."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from app.abtests.drafting import VariantDraft
from app.errors import DomainErrors, ErrorCode
from app.runtime.broadcast import LocalBroadcast
from app.store import unit_metrics
from app.store.models.codes import AllocationPolicy, TestStatus

DRAFT, RUNNING, PAUSED, ENDED = TestStatus.DRAFT, TestStatus.RUNNING, TestStatus.PAUSED, TestStatus.ENDED


async def refused(action: Any) -> list[tuple[ErrorCode, tuple[str, ...]]]:
    with pytest.raises(DomainErrors) as caught:
        await action
    return [(problem.code, problem.path) for problem in caught.value.problems]


async def brought_to(process, status: TestStatus, by) -> int:
    """Create a test and lead it to a state."""
    test_id = (await process.create()).test.id
    if status is not DRAFT:
        await process.lifecycle.start(test_id, principal=by)
    if status is PAUSED:
        await process.lifecycle.pause(test_id, principal=by)
    if status is ENDED:
        await process.lifecycle.end(test_id, principal=by)
    return test_id


STEPS = {
    "start": lambda lifecycle, test_id, by: lifecycle.start(test_id, principal=by),
    "pause": lambda lifecycle, test_id, by: lifecycle.pause(test_id, principal=by),
    "end": lambda lifecycle, test_id, by: lifecycle.end(test_id, principal=by),
    "weights": lambda lifecycle, test_id, by: lifecycle.set_weights(
        test_id, {"control": 0.1, "treatment": 0.9}, principal=by
    ),
}
ALLOWED = {
    (DRAFT, "start"): RUNNING,
    (PAUSED, "start"): RUNNING,
    (RUNNING, "pause"): PAUSED,
    (RUNNING, "end"): ENDED,
    (PAUSED, "end"): ENDED,
    (DRAFT, "weights"): DRAFT,
    (RUNNING, "weights"): RUNNING,
    (PAUSED, "weights"): PAUSED,
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("status", [DRAFT, RUNNING, PAUSED, ENDED])
async def test_every_step_from_every_state(process, by, stored, status: TestStatus, step: str) -> None:
    test_id = await brought_to(process, status, by)
    before, audited = await stored(), await process.audit()
    target = ALLOWED.get((status, step))
    if target is None:
        assert await refused(STEPS[step](process.lifecycle, test_id, by)) == [(ErrorCode.INVALID_TRANSITION, ("id",))]
        assert await stored() == before
        return
    changed = await STEPS[step](process.lifecycle, test_id, by)
    assert changed.test.status is target
    action = {"start": "test.running", "pause": "test.paused", "end": "test.ended", "weights": "test.weights"}[step]
    assert await process.audit() == [*audited, ("7 ann", action)]


@pytest.mark.parametrize("step", STEPS)
async def test_an_unknown_test_is_not_found_and_leaves_nothing(process, by, stored, step: str) -> None:
    before = await stored()
    assert await refused(STEPS[step](process.lifecycle, 99, by)) == [(ErrorCode.NOT_FOUND, ("id",))]
    assert await stored() == before


async def test_created_as_drafted(process, by) -> None:
    created = await process.create(
        hypothesis="Grün wirkt", targeting={"segment": "vip"}, coverage=0.5, holdout=0.1, exclusion=("g", 0.0, 0.5)
    )
    test = created.test
    assert (test.status, test.key, test.seed, test.started_at) == (DRAFT, "spring", "spring", None)
    assert (test.coverage, test.holdout, test.exclusion_group, test.exclusion_high) == (0.5, 0.1, "g", 0.5)
    assert test.targeting == {"segment": "vip"}
    assert [(one.key, one.name, one.weight) for one in created.variants] == [
        ("control", "control", 0.5),
        ("treatment", "treatment", 0.5),
    ]
    assert orjson.loads(bytes(created.variants[1].written_payload)) == {"colour": "grün"}
    assert created.control.key == "control"
    assert await process.audit() == [("7 ann", "test.create")]


async def test_a_bad_draft_leaves_nothing(process, stored) -> None:
    before = await stored()
    assert await refused(process.create(name="", coverage=0.0, campaign="nowhere")) == [
        (ErrorCode.INVALID_INPUT, ("name",)),
        (ErrorCode.INVALID_INPUT, ("coverage",)),
        (ErrorCode.NOT_FOUND, ("campaignId",)),
    ]
    assert await stored() == before


@pytest.mark.parametrize("reference", [99, "no-such", "\x00", "\ud800"])
async def test_a_campaign_that_is_not_there(process, stored, reference: int | str) -> None:
    before = await stored()
    assert await refused(process.create(campaign=reference)) == [(ErrorCode.NOT_FOUND, ("campaignId",))]
    assert await stored() == before


async def test_a_key_is_used_once(process, stored) -> None:
    await process.create()
    before = await stored()
    assert await refused(process.create()) == [(ErrorCode.ALREADY_EXISTS, ("key",))]
    assert await stored() == before


async def test_of_many_that_make_the_same_key_at_once_one_does(process) -> None:
    made = await asyncio.gather(*(process.create() for _ in range(8)), return_exceptions=True)
    problems = [one.problems[0].code for one in made if isinstance(one, DomainErrors)]
    assert problems == [ErrorCode.ALREADY_EXISTS] * 7
    assert await process.audit() == [("7 ann", "test.create")]


async def test_of_two_starts_at_once_one_does(process, by) -> None:
    test_id = (await process.create()).test.id
    started = await asyncio.gather(
        *(process.lifecycle.start(test_id, principal=by) for _ in range(5)), return_exceptions=True
    )
    problems = [one.problems[0].code for one in started if isinstance(one, DomainErrors)]
    assert problems == [ErrorCode.INVALID_TRANSITION] * 4
    assert await process.audit() == [("7 ann", "test.create"), ("7 ann", "test.running")]
    assert await process.database.fetchval("SELECT count(*) FROM allocation") == 1


async def test_weights_set_at_once_each_become_a_version(process, by) -> None:
    test_id = (await process.running()).test.id
    shares = [0.1, 0.2, 0.3, 0.4, 0.6]
    await asyncio.gather(
        *(
            process.lifecycle.set_weights(test_id, {"control": share, "treatment": 1 - share}, principal=by)
            for share in shares
        )
    )
    rows = await process.database.fetch("SELECT policy_version, probabilities FROM allocation ORDER BY policy_version")
    assert [row["policy_version"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert sorted(row["probabilities"][0] for row in rows) == sorted([0.5, *shares])
    last = await process.lifecycle.definition(test_id)
    assert last.probabilities == tuple(variant.weight for variant in last.variants)


async def test_weights_set_while_it_starts_are_those_in_force(process, by) -> None:
    test_id = (await process.create()).test.id
    await asyncio.gather(
        process.lifecycle.start(test_id, principal=by),
        process.lifecycle.set_weights(test_id, {"control": 0.2, "treatment": 0.8}, principal=by),
    )
    definition = await process.lifecycle.definition(test_id)
    assert definition.probabilities == (0.2, 0.8)


@pytest.mark.parametrize(
    ("weights", "path"),
    [
        ({"control": 0.5}, ("weights",)),
        ({"control": 0.5, "treatment": 0.4, "third": 0.1}, ("weights",)),
        ({"control": 0.5, "treatment": 0.6}, ("weights",)),
        ({"control": -0.5, "treatment": 1.5}, ("weights", "0", "weight")),
        ({"control": float("nan"), "treatment": 1.0}, ("weights", "0", "weight")),
    ],
)
async def test_bad_weights_leave_nothing(process, by, stored, weights: dict[str, float], path: tuple[str, ...]) -> None:
    test_id = (await process.running()).test.id
    before = await stored()
    found = await refused(process.lifecycle.set_weights(test_id, weights, principal=by))
    assert (ErrorCode.INVALID_INPUT, path) in found
    assert await stored() == before


async def test_a_bandit_sets_its_own_shares(process, by, stored) -> None:
    test_id = (await process.running(allocation_policy=AllocationPolicy.THOMPSON)).test.id
    before = await stored()
    action = process.lifecycle.set_weights(test_id, {"control": 0.1, "treatment": 0.9}, principal=by)
    assert await refused(action) == [(ErrorCode.INVALID_TRANSITION, ("id",))]
    assert await stored() == before


async def test_arms_and_metric_cannot_be_changed_once_running() -> None:
    """There is no step that could: what a test is made of is given once, when it is created."""
    from app.abtests.lifecycle import TestLifecycle
    from graph.abtests.mutations import Mutation

    steps = {name for name in vars(TestLifecycle) if not name.startswith("_")}
    assert steps == {"create", "start", "pause", "end", "set_weights", "definition"}
    mutations = {field.name for field in Mutation.__strawberry_definition__.fields}
    assert mutations == {
        "create_test",
        "start_test",
        "pause_test",
        "end_test",
        "set_weights",
        "analyze_test",
        "assign_user",
    }


async def test_the_start_is_noted_once_and_kept_over_a_pause(process, by, clock) -> None:
    test_id = (await process.running()).test.id
    started = clock.now()
    clock.advance(3600)
    await process.lifecycle.pause(test_id, principal=by)
    clock.advance(3600)
    again = await process.lifecycle.start(test_id, principal=by)
    assert again.test.started_at == started
    assert again.allocation is not None
    assert again.allocation.policy_version == 1


async def test_start_in_the_future_before_all_events_or_twice_is_refused(process, by, stored, clock) -> None:
    test_id = (await process.create()).test.id
    before = await stored()
    for at in (
        clock.now() + timedelta(seconds=1),
        datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
    ):
        assert await refused(process.lifecycle.start(test_id, at=at, principal=by)) == [
            (ErrorCode.INVALID_INPUT, ("at",))
        ]
    assert await stored() == before
    await process.lifecycle.start(test_id, principal=by)
    await process.lifecycle.pause(test_id, principal=by)
    before = await stored()
    earlier = clock.now() - timedelta(days=1)
    assert await refused(process.lifecycle.start(test_id, at=earlier, principal=by)) == [
        (ErrorCode.INVALID_INPUT, ("at",))
    ]
    assert await stored() == before


async def test_a_winner_is_one_of_the_variants(process, by, stored) -> None:
    definition = await process.running()
    test_id = definition.test.id
    before = await stored()
    assert await refused(process.lifecycle.end(test_id, winner_id=999, principal=by)) == [
        (ErrorCode.NOT_FOUND, ("winner",))
    ]
    assert await stored() == before
    ended = await process.lifecycle.end(test_id, winner_id=definition.variants[1].id, principal=by)
    assert ended.test.winner_id == definition.variants[1].id


async def test_what_is_done_at_the_end_fails_with_it(process, by, stored) -> None:
    test_id = (await process.running()).test.id
    before = await stored()

    async def fail(connection: Any) -> None:
        await connection.execute("DELETE FROM allocation")
        raise RuntimeError("the last analysis failed")

    with pytest.raises(RuntimeError):
        await process.lifecycle.end(test_id, within=fail, principal=by)
    assert await stored() == before


# ------------------------------------------------------------------------------------------------ what counts


def exposed(user: str, at: Any, variant: str = "treatment") -> dict[str, Any]:
    return {"type": "EXPOSED", "userId": user, "testId": "spring", "variantKey": variant, "occurredAt": at}


def converted(user: str, at: Any) -> dict[str, Any]:
    return {"type": "CONVERTED", "userId": user, "occurredAt": at, "value": 3}


async def test_started_in_the_past_it_counts_from_then_on_and_nothing_before(process, by, clock) -> None:
    test_id = (await process.create()).test.id
    start = clock.now() - timedelta(days=2)
    receipt = await process.record(
        exposed("early", start - timedelta(seconds=1)),
        converted("early", start + timedelta(hours=1)),
        exposed("both", start - timedelta(hours=1), "control"),
        exposed("both", start, "treatment"),
        converted("both", start + timedelta(hours=1)),
        exposed("late", start + timedelta(hours=5), "control"),
        converted("before-exposure", start),
    )
    assert receipt.rejected == ()
    assert await process.totals(test_id) == {}
    await process.lifecycle.start(test_id, at=start, principal=by)
    assert await process.totals(test_id) == {"treatment": (1, 1), "control": (1, 0)}
    await process.record(exposed("before-exposure", start + timedelta(hours=1)), converted("late", clock.now()))
    assert await process.totals(test_id) == {"treatment": (2, 1), "control": (1, 1)}


async def test_what_happens_from_its_end_on_does_not_count(process, by, clock) -> None:
    test_id = (await process.running()).test.id
    ahead = clock.now() + timedelta(seconds=90)  # a sender's clock that is ahead, within what is accepted
    receipt = await process.record(exposed("ahead", ahead), exposed("in time", clock.now()))
    assert receipt.rejected == ()
    assert await process.totals(test_id) == {"treatment": (2, 0)}
    clock.advance(60)
    await process.lifecycle.end(test_id, principal=by)
    assert await process.totals(test_id) == {"treatment": (1, 0)}
    await process.record(exposed("after", clock.now()), converted("in time", clock.now()))
    assert await process.totals(test_id) == {"treatment": (1, 1)}


@pytest.mark.slow
async def test_a_start_loses_nothing_of_what_is_stored_meanwhile(process, open_process, by, clock) -> None:
    """Real transactions at the same time: exposures and conversions before, during and after the start all count."""
    async with open_process(LocalBroadcast()) as other:
        await race(process, other, by, clock)


async def race(process, other, by, clock) -> None:
    for attempt in range(6):
        key = f"race-{attempt}"
        test_id = (await process.create(key=key)).test.id
        at = clock.now() - timedelta(days=1)

        async def deliver(number: int, key: str = key, at: Any = at) -> None:
            user = f"u{number}"
            both = [
                {**exposed(user, at + timedelta(hours=1)), "testId": key, "id": f"{key}/{user}/x"},
                {**converted(user, at + timedelta(hours=2)), "id": f"{key}/{user}/c"},
            ]
            first, second = (process, other) if number % 3 else (other, process)
            await asyncio.gather(first.record(both[number % 2]), second.record(both[1 - number % 2]))

        async def start(test_id: int = test_id, at: Any = at) -> None:
            await asyncio.sleep(0.01)
            await process.lifecycle.start(test_id, at=at, principal=by)

        await asyncio.gather(*(deliver(number) for number in range(60)), start())
        assert await process.totals(test_id) == {"treatment": (60, 60)}


async def test_a_start_waits_for_what_is_being_stored_and_counts_it(process, by, clock) -> None:
    """The interleaving that would lose an exposure: stored before the start, committed after it looked."""
    definition = await process.create()
    test_id, at = definition.test.id, clock.now() - timedelta(hours=1)
    await process.record({**converted("ann", at), "id": "makes the user and the month"})
    async with process.database.transaction() as connection:
        await unit_metrics.share_tests(connection)
        user = await connection.fetchval("SELECT id FROM app_user WHERE external_id = 'ann'")
        await connection.execute(
            "INSERT INTO event (key, occurred_at, user_id, test_id, variant_id, type, event_id) "
            "VALUES (gen_random_uuid(), $1, $2, $3, $4, 8, 'x')",
            *(at, user, test_id, definition.variants[1].id),
        )
        events = [(user, test_id, 8, at)]
        assert await unit_metrics.count_units(connection, await unit_metrics.lock_units(connection, events)) == {
            test_id
        }
        starting = asyncio.create_task(process.lifecycle.start(test_id, at=at, principal=by))
        await asyncio.sleep(0.2)
        assert not starting.done()
    await starting
    assert await process.totals(test_id) == {"treatment": (1, 1)}


@pytest.mark.parametrize("lock", ["start", "end"])
async def test_what_comes_while_a_test_starts_or_ends_waits_for_it(process, by, clock, lock: str) -> None:
    test_id = (await process.create()).test.id
    if lock == "end":
        await process.lifecycle.start(test_id, principal=by)
    column, status = ("started_at", "RUNNING") if lock == "start" else ("ended_at", "ENDED")
    clock.advance(10)
    await process.database.execute("UPDATE ab_test SET decided_elsewhere = true")  # so that nothing waits for the row
    async with process.database.transaction() as connection:
        await unit_metrics.hold_tests(connection)
        await connection.execute(f"UPDATE ab_test SET status = '{status}', {column} = $1", clock.now())
        recording = asyncio.create_task(process.record(exposed("ann", clock.now())))
        await asyncio.sleep(0.2)
        assert not recording.done()
    assert (await recording).accepted == 1
    assert await process.totals(test_id) == ({"treatment": (1, 0)} if lock == "start" else {})


async def test_a_bandits_first_shares_respect_its_floor(process, by, stored) -> None:
    uneven = (VariantDraft(key="a", weight=0.9, is_control=True), VariantDraft(key="b", weight=0.1))
    definition = await process.create(
        variants=uneven, allocation_policy=AllocationPolicy.THOMPSON, discount=0.7, key="sound"
    )
    assert (definition.test.floor, definition.test.discount) == (0.1, 0.7)
    started = await process.lifecycle.start(definition.test.id, principal=by)
    assert started.allocation.probabilities == (0.9, 0.1)
    old = await process.create(variants=uneven, allocation_policy=AllocationPolicy.THOMPSON, key="old")
    await process.database.execute("UPDATE ab_test SET floor = 0.2 WHERE id = $1", old.test.id)
    before = await stored()
    with pytest.raises(DomainErrors, match="below its floor"):
        await process.lifecycle.start(old.test.id, principal=by)
    assert await stored() == before

"""A unit that sees its variant is recorded: once, durably, with what it was decided by."""

import pytest

from app.abtests.exposing import exposure_id
from app.store.models.codes import AllocationPolicy

CONTEXTUAL = AllocationPolicy.CONTEXTUAL_THOMPSON


async def events(process) -> list[dict]:
    return [dict(row) for row in await process.database.fetch("SELECT * FROM event ORDER BY occurred_at, event_id")]


async def test_an_exposure_is_an_event_and_an_assignment(process) -> None:
    definition = await process.running()
    decision = await process.assign("Zoë", expose=True)
    (event,) = await events(process)
    assert (event["type"], event["test_id"], event["variant_id"]) == (8, definition.test.id, decision.variant.id)
    assert (event["probability"], event["occurred_at"], event["properties"]) == (0.5, process.clock.now(), None)
    (row,) = await process.database.fetch(
        "SELECT a.*, u.external_id FROM ab_test_assignment a JOIN app_user u ON u.id = a.user_id"
    )
    assert (row["external_id"], row["variant_id"], row["policy_version"]) == ("Zoë", decision.variant.id, 1)
    assert (row["probability"], row["first_exposed_at"]) == (0.5, process.clock.now())
    assert await process.totals(definition.test.id) == {decision.variant.key: (1, 0)}


async def test_exposed_again_it_stays_one(process, clock) -> None:
    definition = await process.running()
    for _ in range(3):
        decision = await process.assign("ann", expose=True)
        clock.advance(10)
    assert len(await events(process)) == 1
    assert await process.totals(definition.test.id) == {decision.variant.key: (1, 0)}


async def test_without_exposing_nothing_is_stored(process) -> None:
    await process.running()
    assert (await process.assign("ann")).variant is not None
    assert await events(process) == []
    assert await process.database.fetchval("SELECT count(*) FROM app_user") == 0


async def test_a_unit_without_a_variant_is_not_exposed(process) -> None:
    await process.running(targeting={"plan": "pro"})
    assert (await process.assign("ann", expose=True)).variant is None
    assert await events(process) == []


async def test_the_context_holds_what_the_test_learns_from_and_no_more(process) -> None:
    await process.running(allocation_policy=CONTEXTUAL, context_attributes=["plan", "age"])
    await process.assign("ann", expose=True, plan="prö", secret="x")
    (event,) = await events(process)
    assert event["properties"] == {"plan": "prö", "age": None}
    row = await process.database.fetchrow("SELECT context, context_hash FROM ab_test_assignment")
    assert row["context"] == {"plan": "prö", "age": None}
    assert row["context_hash"] is not None


@pytest.mark.parametrize(
    ("value", "stored"),
    [("\ud800", None), ("a\x00b", None), (2**70, None), ([[[]]] * 3, None), ("x" * 100_000, "x" * 200), (True, True)],
    ids=range(6),
)
async def test_whatever_is_in_a_context_an_assignment_never_fails(process, value: object, stored: object) -> None:
    await process.running(allocation_policy=CONTEXTUAL, context_attributes=["odd"])
    await process.assign("ann", expose=True, odd=value)
    assert [event["properties"] for event in await events(process)] == [{"odd": stored}]


@pytest.mark.parametrize(
    ("one", "other"),
    [(("t", "v", "u"), ("t", "u", "v")), (("a", "bc", "d"), ("ab", "c", "d")), (("t", "v", "ü"), ("t", "v", "u"))],
)
def test_ids_of_different_exposures_differ(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert exposure_id(*one) == exposure_id(*one)
    assert exposure_id(*one) != exposure_id(*other)

"""A test's totals are a pure function of the set of events: held against an independent count in plain Python."""

import math
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.store import unit_metrics
from app.store.abtests import TestStore
from app.store.database import Database
from app.store.models.codes import EventType
from app.store.partitions import EventPartitions

START = datetime(2026, 3, 28, tzinfo=UTC)  # a month's end and a clock change are inside the window
WINDOW = timedelta(hours=72)
SENT, OPENED, CLICKED, CONVERTED, EXPOSED = (
    EventType.SENT,
    EventType.OPENED,
    EventType.CLICKED,
    EventType.CONVERTED,
    EventType.EXPOSED,
)
METRICS = {
    "converted": ("CONVERSION", CONVERTED, None),
    "opens": ("COUNT", OPENED, None),
    "revenue": ("REVENUE", CONVERTED, None),
    "value_per_click": ("RATIO", CONVERTED, CLICKED),
}
SUMS = ("exposed", "multiple_exposed", "converted", "value_sum", "value_squares", "denominator_sum", "product_sum")
COVARIATES = ("covariate_sum", "covariate_squares", "covariate_product")


@dataclass(frozen=True)
class Event:
    number: int
    user: int
    type: EventType
    hours: float
    variant: int
    micros: int
    of_test: bool
    segment: str

    @property
    def at(self) -> datetime:
        return START + timedelta(hours=self.hours)


@st.composite
def histories(draw: st.DrawFn) -> list[list[Event]]:
    """Events of two users, in any order, cut into batches."""
    count = draw(st.integers(1, 14))
    events = [
        Event(
            number=number,
            user=draw(st.integers(0, 1)),
            type=draw(st.sampled_from([SENT, OPENED, CLICKED, CONVERTED, EXPOSED, EXPOSED])),
            hours=draw(st.sampled_from([-80, -24, -1, 0, 0.5, 10, 71.9, 72, 73, 100, 150])),
            variant=draw(st.integers(0, 1)),
            micros=draw(st.sampled_from([0, 1, 990_000, 25_000_000, 4_999_999_999])),
            of_test=draw(st.booleans()),
            segment=draw(st.sampled_from(["", "ünïcode"])),
        )
        for number in range(count)
    ]
    shuffled = draw(st.permutations(events))
    cuts = sorted(draw(st.lists(st.integers(0, count), max_size=4)))
    return [shuffled[low:high] for low, high in zip([0, *cuts], [*cuts, count], strict=True)]


@dataclass
class World:
    database: Database
    test_id: int
    variants: list[int]
    metrics: dict[str, int]
    users: list[int]


async def make_world(database: Database) -> World:
    await database.execute("TRUNCATE ab_test, app_user, event, event_key CASCADE")
    store = TestStore(database)
    async with database.transaction() as connection:
        test_id = await store.insert(
            connection,
            {"key": "t", "name": "t", "seed": "t", "status": "RUNNING", "started_at": START},
            variants=[
                {"key": "control", "name": "control", "is_control": True, "weight": 0.5},
                {"key": "treatment", "name": "treatment", "is_control": False, "weight": 0.5},
            ],
            metrics=[
                {"key": key, "name": key, "kind": kind, "event": int(event), "denominator": denominator}
                for key, (kind, event, denominator) in METRICS.items()
            ],
        )
    definition = (await store.definitions([test_id]))[test_id]
    users = await database.fetch("INSERT INTO app_user (external_id) VALUES ('a'), ('b') RETURNING id")
    await EventPartitions(database).ensure([START - WINDOW, START, START + 3 * WINDOW])
    return World(
        database,
        test_id,
        [variant.id for variant in definition.variants],
        {metric.key: metric.id for metric in definition.metrics},
        [row["id"] for row in users],
    )


async def deliver(world: World, batch: Sequence[Event]) -> None:
    async with world.database.transaction() as connection:
        await connection.executemany(
            "INSERT INTO event (key, occurred_at, user_id, test_id, variant_id, value_micros, type, segment, event_id) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            [
                (
                    uuid.UUID(int=event.number),
                    event.at,
                    world.users[event.user],
                    world.test_id if event.of_test or event.type is EXPOSED else None,
                    world.variants[event.variant] if event.type is EXPOSED else None,
                    event.micros if event.type is CONVERTED else None,
                    int(event.type),
                    event.segment,
                    str(event.number),
                )
                for event in batch
            ],
        )
        units = [
            (
                world.users[event.user],
                world.test_id if event.of_test or event.type is EXPOSED else None,
                int(event.type),
                event.at,
            )
            for event in batch
        ]
        await unit_metrics.count_units(connection, await unit_metrics.lock_units(connection, units))


def counted(events: Sequence[Event]) -> dict[tuple[str, int, str], dict[str, float]]:
    """Count what the totals should be, by metric, variant and segment, from the definition alone."""
    totals: dict[tuple[str, int, str], dict[str, float]] = defaultdict(lambda: defaultdict(int))
    for user in (0, 1):
        own = [event for event in events if event.user == user]
        exposures = sorted(
            (event for event in own if event.type is EXPOSED and event.at >= START), key=lambda e: (e.at, e.number)
        )
        if not exposures:
            continue
        first = exposures[0]
        after = [event for event in own if first.at <= event.at < first.at + WINDOW]
        before = [event for event in own if first.at - WINDOW <= event.at < first.at]
        for key, (kind, wanted, divisor) in METRICS.items():
            value, earlier = (_value(kind, wanted, part) for part in (after, before))
            denominator = sum(event.type is divisor for event in after) if divisor else 0
            sums = totals[key, first.variant, first.segment]
            logarithm = round(math.log(value / 1e6) * 1_000_000) if kind == "REVENUE" and value else 0
            for name, amount in (
                ("exposed", 1),
                ("multiple_exposed", int(len({event.variant for event in exposures}) > 1)),
                ("converted", int(value > 0)),
                ("value_sum", value),
                ("value_squares", value * value),
                ("denominator_sum", denominator),
                ("product_sum", value * denominator),
                ("covariate_sum", earlier),
                ("covariate_squares", earlier * earlier),
                ("covariate_product", earlier * value),
                ("log_sum", logarithm),
            ):
                sums[name] += amount
    return {key: dict(sums) for key, sums in totals.items()}


def _value(kind: str, wanted: EventType, events: Sequence[Event]) -> int:
    own = [event for event in events if event.type is wanted]
    if kind == "CONVERSION":
        return min(1, len(own))
    return len(own) if kind == "COUNT" else sum(event.micros for event in own)


async def stored(world: World) -> dict[tuple[str, int, str], dict[str, float]]:
    rows = (await TestStore(world.database).totals([world.test_id], by_segment=True)).get(world.test_id, [])
    metric_keys = {metric_id: key for key, metric_id in world.metrics.items()}
    return {
        (metric_keys[row.metric_id], world.variants.index(row.variant_id), row.segment or ""): {
            name: getattr(row, name) for name in (*SUMS, *COVARIATES, "log_sum")
        }
        for row in rows
        if row.exposed or row.value_sum or row.covariate_sum
    }


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(batches=histories())
async def test_any_order_and_batching_gives_the_totals_of_the_set(
    clean_database: Database, batches: list[list[Event]]
) -> None:
    world = await make_world(clean_database)
    for batch in batches:
        await deliver(world, batch)
    expected = counted([event for batch in batches for event in batch])
    assert await stored(world) == expected

    await clean_database.execute("TRUNCATE ab_test_assignment, unit_metric, test_totals")
    async with clean_database.transaction() as connection:
        await unit_metrics.rebuild_test(connection, world.test_id)
    assert await stored(world) == expected


INSTANT = 1 / 3_600_000_000
"""A microsecond, in hours."""
ENDS = (-72, -72 - INSTANT, -INSTANT, 0, INSTANT, 72 - INSTANT, 72)


@pytest.mark.parametrize("late", [False, True], ids=["exposed last", "exposed first"])
@pytest.mark.parametrize("hours", ENDS)
async def test_a_window_begins_with_its_first_instant_and_ends_before_its_last(
    clean_database: Database, hours: float, late: bool
) -> None:
    world = await make_world(clean_database)
    exposure = Event(number=1, user=0, type=EXPOSED, hours=0, variant=1, micros=0, of_test=True, segment="")
    followed = [
        Event(number=2 + at, user=0, type=kind, hours=hours, variant=0, micros=25_000_000, of_test=False, segment="")
        for at, kind in enumerate((CONVERTED, OPENED, CLICKED))
    ]
    for event in (exposure, *followed) if late else (*followed, exposure):
        await deliver(world, [event])
    assert await stored(world) == counted([exposure, *followed])
    counts = (await stored(world))["opens", 1, ""]
    assert counts["value_sum"] == (0 <= hours < 72)
    assert counts["covariate_sum"] == (-72 <= hours < 0)


async def test_what_a_unit_did_several_times_adds_up(clean_database: Database) -> None:
    world = await make_world(clean_database)

    def event(number: int, kind: EventType, hours: float, micros: int = 0) -> Event:
        return Event(number=number, user=0, type=kind, hours=hours, variant=0, micros=micros, of_test=False, segment="")

    did = [
        event(1, EXPOSED, 0),
        *(event(10 + at, CONVERTED, at + 1, micros) for at, micros in enumerate((3_000_000, 5_000_000, 4_000_000))),
        *(event(20 + at, CONVERTED, -at - 1, micros) for at, micros in enumerate((7_000_000, 9_000_000))),
        *(event(30 + at, CLICKED, at + 1) for at in range(4)),
        *(event(40 + at, CLICKED, -at - 1) for at in range(3)),
        *(event(50 + at, OPENED, at + 1) for at in range(5)),
        *(event(60 + at, OPENED, -at - 1) for at in range(2)),
    ]
    await deliver(world, did)
    found = await stored(world)
    assert found == counted(did)
    sums = {key: (one["value_sum"], one["covariate_sum"], one["converted"]) for (key, _, _), one in found.items()}
    assert sums == {
        "converted": (1, 1, 1),
        "opens": (5, 2, 1),
        "revenue": (12_000_000, 16_000_000, 1),
        "value_per_click": (12_000_000, 16_000_000, 1),
    }
    assert found["value_per_click", 0, ""]["denominator_sum"] == 4


async def test_from_its_end_on_a_test_counts_no_exposure(clean_database: Database) -> None:
    world = await make_world(clean_database)

    def exposed(number: int, user: int, hours: float) -> Event:
        return Event(number=number, user=user, type=EXPOSED, hours=hours, variant=1, micros=0, of_test=True, segment="")

    early, at_end, again = exposed(1, 0, 20 - INSTANT), exposed(2, 1, 20), exposed(3, 0, 30)
    for event in (early, at_end, again):
        await deliver(world, [event])
    assert (await stored(world))["opens", 1, ""]["exposed"] == 2
    ended_at = START + timedelta(hours=20)
    await clean_database.execute("UPDATE ab_test SET ended_at = $1", ended_at)
    async with clean_database.transaction() as connection:
        await unit_metrics.end_test(connection, world.test_id, at=ended_at)
    assert await stored(world) == counted([early])
    units = await clean_database.fetch("SELECT user_id FROM ab_test_assignment")
    assert [row["user_id"] for row in units] == [world.users[0]]

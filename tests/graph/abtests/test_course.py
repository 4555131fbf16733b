"""A test's course: its last point is the present result, and each one counts the units exposed until then."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from statsmodels.stats.proportion import proportions_chisquare

from app.abtests.coursing import MOST_POINTS, course
from app.auth.principals import Principal, Role
from app.store.abtest_courses import DaySums

CREATE = "mutation ($input: CreateTestInput!) { createTest(input: $input) { errors { message } } }"
START = "mutation ($id: ID!, $at: DateTime) { startTest(id: $id, at: $at) { errors { message } } }"
RECORD = "mutation ($events: [EventInput!]!) { recordEvents(events: $events) { rejected { message } } }"
COURSE = """
query ($id: ID!) { test(id: $id) {
    course { at exposed
        frequentist { pValue comparisons { variant { key } difference { point low high } } }
        sequential { comparisons { variant { key } difference { point low high } } } }
    results {
        frequentist { pValue comparisons { variant { key } difference { point low high } } }
        sequential { comparisons { variant { key } difference { point low high } } } } } }
"""
DAY = datetime(2025, 12, 1, 12, tzinfo=UTC)


@pytest.fixture
def begin(ask):
    async def begin(key: str) -> None:
        given = {
            "key": key,
            "name": key,
            "variants": [{"key": "a", "weight": 0.5, "isControl": True}, {"key": "b", "weight": 0.5}],
            "metric": {"key": "bought", "kind": "CONVERSION", "event": "CONVERTED"},
        }
        assert (await ask(CREATE, input=given))["data"]["createTest"]["errors"] == []
        assert (await ask(START, id=key, at=DAY.isoformat()))["data"]["startTest"]["errors"] == []

    return begin


@pytest.fixture
def expose(ask):
    async def expose(key: str, day: int, variant: str, *, units: int, buyers: int) -> None:
        at = (DAY + timedelta(days=day, hours=1)).isoformat()
        events: list[dict[str, Any]] = []
        for number in range(units):
            user = f"{key}-{day}-{variant}-{number}"
            common = {"userId": user, "occurredAt": at}
            events.append({"id": f"x{user}", "type": "EXPOSED", "testId": key, "variantKey": variant, **common})
            if number < buyers:
                later = (DAY + timedelta(days=day, hours=3)).isoformat()
                events.append({"id": f"c{user}", "type": "CONVERTED", **common, "occurredAt": later})
        body = await ask(RECORD, events=events)
        assert body["data"]["recordEvents"]["rejected"] == []

    return expose


async def test_each_point_counts_the_units_until_then_and_the_last_is_the_present(ask, begin, expose) -> None:
    await begin("spring")
    await expose("spring", 0, "a", units=60, buyers=12)
    await expose("spring", 0, "b", units=50, buyers=16)
    await expose("spring", 2, "a", units=70, buyers=10)
    await expose("spring", 2, "b", units=80, buyers=31)
    test = (await ask(COURSE, id="spring"))["data"]["test"]
    points = test["course"]
    assert [point["at"][:10] for point in points] == ["2025-12-02", "2025-12-03", "2025-12-04"]
    assert [point["exposed"] for point in points] == [110, 110, 260]
    for point, converted, exposed in ((points[0], (12, 16), (60, 50)), (points[2], (22, 47), (130, 130))):
        _, p_value, _ = proportions_chisquare(converted, exposed)
        assert point["frequentist"]["pValue"] == pytest.approx(p_value)
    assert {name: points[-1][name] for name in ("frequentist", "sequential")} == test["results"]
    widths = [one["high"] - one["low"] for one in map(_always, points)]
    assert widths[2] < widths[0]


def _always(point: dict[str, Any]) -> dict[str, float]:
    return point["sequential"]["comparisons"][0]["difference"]


async def test_a_test_without_units_has_no_course_and_one_with_few_has_no_results_yet(ask, begin, expose) -> None:
    await begin("empty")
    await begin("few")
    await expose("few", 0, "a", units=1, buyers=0)
    assert (await ask(COURSE, id="empty"))["data"]["test"]["course"] == []
    (point,) = (await ask(COURSE, id="few"))["data"]["test"]["course"]
    assert (point["exposed"], point["frequentist"], point["sequential"]) == (1, None, None)


async def test_many_tests_are_one_statement_and_a_client_sees_none(ask, begin, expose, statements) -> None:
    query = "{ tests(first: 20) { nodes { key course { exposed } } } }"
    counts = []
    for number in range(2):
        await begin(f"t{number}")
        await expose(f"t{number}", 0, "a", units=3, buyers=1)
        with statements.watched() as seen:
            await ask(query)
        counts.append(len(seen))
    assert counts[0] == counts[1]
    refused = await ask('{ test(id: "t0") { course { exposed } } }', by=Principal(2, "app", Role.CLIENT))
    assert refused["errors"][0]["extensions"]["code"] == "NOT_ALLOWED"


async def test_a_long_course_has_few_points_and_loses_no_unit(services, begin) -> None:
    await begin("long")
    number = (await services.tests.ids_of(["long"]))["long"]
    definition = (await services.tests.definitions([number]))[number]
    variant = definition.variants[0].id
    zeros = dict.fromkeys(("value_sum", "value_squares", "denominator_sum", "denominator_squares", "product_sum"), 0)
    days = [
        DaySums(variant_id=variant, day=(DAY + timedelta(days=day)).date(), exposed=2, converted=0, **zeros)
        for day in range(700)
    ]
    now = DAY + timedelta(days=699, hours=2)
    points = course(definition, days, now=now)
    assert len(points) <= MOST_POINTS
    assert points[-1].exposed == 1400
    assert points[-1].at == now
    assert [point.at for point in points] == sorted(point.at for point in points)

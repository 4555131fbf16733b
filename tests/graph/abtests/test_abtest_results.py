"""A test's results, history and shares through the graph, and through the real server."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any

import pytest
from scipy import stats

from app.auth.principals import Principal, Role

CREATE = (
    "mutation ($input: CreateTestInput!) { createTest(input: $input) { test { id } errors { code message path } } }"
)
START = "mutation ($id: ID!, $at: DateTime) { startTest(id: $id, at: $at) { test { status } errors { message } } }"
RECORD = "mutation ($events: [EventInput!]!) { recordEvents(events: $events) { accepted rejected { message } } }"
WEIGHTS = "mutation ($id: ID!, $w: [WeightInput!]!) { setWeights(id: $id, weights: $w) { errors { message } } }"
ANALYZE = """
mutation ($id: ID!, $hierarchical: Boolean) { analyzeTest(id: $id, hierarchical: $hierarchical) {
    analysis { id createdAt requestedBy results { metric { key } totals { exposed converted } verdict { decision } } }
    errors { code message path }
} }
"""
END = """
mutation ($id: ID!, $winner: ID) { endTest(id: $id, winner: $winner) {
    test { status winner { key } analyses { totalCount } } errors { code message path } } }
"""
WHOLE = """
fragment Whole on TestResults {
  asOf pending metric { key kind higherIsBetter windowHours margin stops }
  totals { variant { key isControl } exposed converted multipleExposed mean standardDeviation }
  sampleRatio { pValue mismatch caution expected observed }
  frequentist { test method statistic degreesOfFreedom pValue confidenceLevel significant
    comparisons { variant { key } difference { point low high } lift { point low high } pValue adjustedPValue } }
  sequential { significant comparisons { variant { key } difference { point low high } pValue adjustedPValue } }
  bayesian { model converged rHat effectiveSampleSize
    variants { variant { key } mean { point low high } liftOverControl { point low high }
      probabilityBest probabilityBeatsControl expectedLoss density(points: 8) { x density } } }
  power { atMinimumDetectableEffect remainingUnits daysRemaining }
  guardrails { metric { key } variant { key } difference { point low high } margin status }
  verdict { decision winner { key } agreed reasons }
}
"""
LIST = (
    WHOLE
    + """
{ tests(first: 5) { totalCount nodes { key progress segments
    results { ...Whole } adjusted: results(adjusted: true) { pending }
    analyses(first: 5) { totalCount nodes { id results { ...Whole } } }
    allocation { policyVersion shares { probability } }
    allocationHistory(first: 5) { totalCount nodes { policyVersion shares { variant { key } probability } } }
    offPolicy(policy: [0.3, 0.7]) { ips { point } refused effectiveSampleSize }
    guardrailStops { reason } } } }
"""
)
STARTED = datetime.now(UTC) - timedelta(days=10)


def planned(key: str, **given: Any) -> dict[str, Any]:
    return {
        "key": key,
        "name": key,
        "variants": [{"key": "control", "weight": 0.5, "isControl": True}, {"key": "treatment", "weight": 0.5}],
        "metric": {"key": "bought", "kind": "CONVERSION", "event": "CONVERTED"},
        "guardrails": [{"key": "opens", "kind": "COUNT", "event": "OPENED", "margin": 0.1, "stops": True}],
        **given,
    }


def outcomes(key: str, *, size: int = 100, control: int = 10, treatment: int = 30) -> list[dict[str, Any]]:
    """Expose `size` units to each variant, of which so many buy; every other one opens, half of them twice."""
    at, made = (STARTED + timedelta(days=1)).isoformat(), []
    for variant, buyers in (("control", control), ("treatment", treatment)):
        for number in range(size):
            user = f"{key}-{variant}-{number}"
            common = {"userId": user, "occurredAt": at}
            made.append({"id": f"x{user}", "type": "EXPOSED", "testId": key, "variantKey": variant, **common})
            if number < buyers:
                made.append({"id": f"c{user}", "type": "CONVERTED", "value": "12.50", **common})
            made += [{"id": f"o{user}{n}", "type": "OPENED", **common} for n in range(number % 3)]
    return made


async def begin(ask, key: str, *, given: dict[str, Any] | None = None, **units: int) -> None:
    created = await ask(CREATE, input=planned(key, **given or {}))
    assert created["data"]["createTest"]["errors"] == []
    await ask(START, id=key, at=STARTED.isoformat())
    events = outcomes(key, **units)
    for start in range(0, len(events), 1_000):
        body = await ask(RECORD, events=events[start : start + 1_000])
        assert body["data"]["recordEvents"]["rejected"] == []


def objects(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(objects(one) for one in value.values())
    return sum(objects(one) for one in value) if isinstance(value, list) else 0


async def test_the_number_of_statements_does_not_grow_with_tests_versions_or_analyses(ask, statements) -> None:
    counts, sizes, made = [], [], 0
    for tests in (1, 5):
        while made < tests:
            await begin(ask, f"t{made}", size=20, control=5, treatment=9)
            made += 1
        for number in range(made):
            for weight in (0.4, 0.6):
                shares = [{"key": "control", "weight": weight}, {"key": "treatment", "weight": 1 - weight}]
                await ask(WEIGHTS, id=f"t{number}", w=shares)
                await ask(ANALYZE, id=f"t{number}")
        await asyncio.sleep(0.3)  # the process reads changed tests by itself
        with statements.watched() as seen:
            body = await ask(LIST)
        assert "errors" not in body, body
        counts.append(len(seen))
        sizes.append(objects(body))
    assert sizes[1] > 4 * sizes[0]
    assert counts[0] == counts[1], seen


async def test_one_tests_refusal_does_not_fail_the_list(ask) -> None:
    await begin(ask, "plain")
    ratio = {"key": "bought", "kind": "RATIO", "event": "CONVERTED", "denominator": "OPENED"}
    await begin(ask, "ratio", given={"metric": ratio})
    both = '{ plain: test(id: "plain") { results(adjusted: true) { pending } } '
    both += 'ratio: test(id: "ratio") { results(adjusted: true) { pending } } }'
    body = await ask(both)
    assert body["data"]["plain"]["results"]["pending"] is not None
    assert body["data"]["ratio"] is None
    (error,) = body["errors"]
    assert error["path"] == ["ratio", "results"]
    assert error["extensions"] == {"code": "INVALID_INPUT", "path": ["adjusted"]}


@pytest.mark.parametrize(
    ("arguments", "code", "path", "says"),
    [
        ('metricKey: "none"', "NOT_FOUND", ["metricKey"], "choose one of bought, opens"),
        ("confidenceLevel: 95", "INVALID_INPUT", ["confidenceLevel"], "0.95 for 95 percent"),
        ("confidenceLevel: 0", "INVALID_INPUT", ["confidenceLevel"], "0.95 for 95 percent"),
        ('segment: "none"', "NOT_FOUND", ["segment"], "ask for one that is"),
    ],
)
async def test_a_bad_question_gets_its_code_and_what_to_do(ask, arguments, code, path, says) -> None:
    await begin(ask, "spring", size=5)
    body = await ask(f'{{ test(id: "spring") {{ results({arguments}) {{ pending }} }} }}')
    assert body["data"] == {"test": None}
    assert body["errors"][0]["extensions"] == {"code": code, "path": path}
    assert says in body["errors"][0]["message"]


async def test_a_density_is_a_curve_of_the_points_asked_for(ask) -> None:
    await begin(ask, "spring")
    curve = """query ($points: Int) {
        test(id: "spring") { results { bayesian { variants { density(points: $points) { x density } } } } } }"""
    points = (await ask(curve, points=201))["data"]["test"]["results"]["bayesian"]["variants"][1]["density"]
    assert len(points) == 201
    exact = stats.beta(31, 71)
    assert [point["density"] for point in points] == pytest.approx(exact.pdf([point["x"] for point in points]))
    for wrong in (1, 1_001):
        assert (await ask(curve, points=wrong))["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_history_comes_in_pages_newest_first(ask) -> None:
    await begin(ask, "spring")
    ids = [(await ask(ANALYZE, id="spring"))["data"]["analyzeTest"]["analysis"]["id"] for _ in range(3)]
    pages = """query ($after: String) { test(id: "spring") { analyses(first: 2, after: $after) {
        totalCount nodes { id requestedBy } pageInfo { hasNextPage endCursor } } } }"""
    first = (await ask(pages))["data"]["test"]["analyses"]
    assert [node["id"] for node in first["nodes"]] == ids[:0:-1]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (3, True)
    second = (await ask(pages, after=first["pageInfo"]["endCursor"]))["data"]["test"]["analyses"]
    assert [node["id"] for node in second["nodes"]] == ids[:1]
    assert second["pageInfo"]["hasNextPage"] is False
    assert first["nodes"][0]["requestedBy"] == "1 tests"


async def test_ending_saves_the_last_analysis_and_names_the_winner(ask) -> None:
    await begin(ask, "spring")
    body = await ask(END, id="spring", winner="treatment")
    test = body["data"]["endTest"]["test"]
    assert test == {"status": "ENDED", "winner": {"key": "treatment"}, "analyses": {"totalCount": 1}}
    again = (await ask(END, id="spring"))["data"]["endTest"]
    assert again["errors"][0]["code"] == "INVALID_TRANSITION"


async def snapshot(database) -> dict[str, int]:
    tables = await database.fetch(
        "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
    )
    return {row["name"]: await database.fetchval(f"SELECT count(*) FROM {row['name']}") for row in tables}


@pytest.mark.parametrize(
    ("mutation", "variables", "code", "path", "says"),
    [
        (ANALYZE, {"id": "draft"}, "INVALID_TRANSITION", ["id"], "start the test first"),
        (ANALYZE, {"id": "nothing"}, "NOT_FOUND", ["id"], "check the id or key"),
        (ANALYZE, {"id": "empty", "hierarchical": True}, "NOT_ENOUGH_DATA", ["id"], "wait"),
        (END, {"id": "draft"}, "INVALID_TRANSITION", ["id"], "must be RUNNING or PAUSED"),
        (END, {"id": "empty", "winner": "nobody"}, "NOT_FOUND", ["winner"], "pass one of its ids or keys"),
        (END, {"id": "nothing"}, "NOT_FOUND", ["id"], "check the id or key"),
    ],
)
async def test_what_is_refused_leaves_no_trace(ask, clean_database, mutation, variables, code, path, says) -> None:
    await ask(CREATE, input=planned("draft"))
    await ask(CREATE, input=planned("empty"))
    await ask(START, id="empty")
    before = await snapshot(clean_database)
    (answer,) = (await ask(mutation, **variables))["data"].values()
    (error,) = answer["errors"]
    assert (error["code"], error["path"]) == (code, path)
    assert says in error["message"]
    assert next(iter(answer.values())) is None
    assert await snapshot(clean_database) == before


async def test_only_who_may_analyses_and_only_who_may_reads(ask, clean_database) -> None:
    await begin(ask, "spring", size=5)
    before = await snapshot(clean_database)
    sender = Principal(2, "sender", Role.SENDER)
    (answer,) = (await ask(ANALYZE, id="spring", by=sender))["data"].values()
    assert answer["errors"][0]["code"] == "NOT_ALLOWED"
    read = await ask('{ test(id: "spring") { key } }', by=sender)
    assert read["errors"][0]["extensions"]["code"] == "NOT_ALLOWED"
    assert await snapshot(clean_database) == before


SIZE = "query ($input: SampleSizeInput!) { sampleSize(input: $input) { perVariant total days } }"


async def test_the_calculator_answers_and_refuses(ask) -> None:
    asked = {"baseline": 0.1, "minimumDetectableEffect": 0.1, "dailyUnits": 1_000}
    found = (await ask(SIZE, input=asked))["data"]["sampleSize"]
    # Fleiss, Levin and Paik (2003), eq. 4.14
    z, power = stats.norm.isf(0.025), stats.norm.isf(0.2)
    null, spread = (2 * 0.105 * 0.895) ** 0.5, (0.1 * 0.9 + 0.11 * 0.89) ** 0.5
    needed = ((z * null + power * spread) / 0.01) ** 2
    assert found["perVariant"] == pytest.approx(needed, abs=1)
    assert found["days"] == pytest.approx(found["total"] / 1_000)
    for wrong, path in (
        ({"baseline": 2.0}, ["input"]),
        ({"minimumDetectableEffect": 0.0}, ["input"]),
        ({"minimumDetectableEffect": 30.0}, ["input"]),
        ({"variants": 1}, ["input"]),
        ({"kind": "REVENUE"}, ["input", "standardDeviation"]),
    ):
        body = await ask(SIZE, input=asked | wrong)
        assert body["errors"][0]["extensions"] == {"code": "INVALID_INPUT", "path": path}, wrong


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
async def test_through_the_real_server(post, level: float) -> None:
    key = f"real-{secrets.token_hex(4)}"
    await begin(post, key, given={"targetSampleSize": 200}, size=200, control=40, treatment=80)
    query = WHOLE + "query ($id: ID!, $level: Float) { test(id: $id) { results(confidenceLevel: $level) {...Whole} } }"
    results = (await post(query, id=key, level=level))["data"]["test"]["results"]
    reference = stats.chi2_contingency([[40, 160], [80, 120]], correction=False)
    assert results["frequentist"]["pValue"] == pytest.approx(reference.pvalue)
    assert results["frequentist"]["statistic"] == pytest.approx(reference.statistic)
    assert results["frequentist"]["confidenceLevel"] == level
    assert [one["converted"] for one in results["totals"]] == [40, 80]
    assert results["sampleRatio"]["expected"] == [200, 200]
    assert results["verdict"]["winner"] == {"key": "treatment"}
    saved = (await post(ANALYZE, id=key))["data"]["analyzeTest"]["analysis"]
    assert saved["results"]["totals"] == [{"exposed": 200, "converted": 40}, {"exposed": 200, "converted": 80}]


async def test_a_guardrail_pauses_a_test_on_the_real_server(post) -> None:
    key = f"guarded-{secrets.token_hex(4)}"
    created = await post(CREATE, input=planned(key))
    assert created["data"]["createTest"]["errors"] == []
    await post(START, id=key, at=STARTED.isoformat())
    events = [one for one in outcomes(key, size=450) if "treatment" not in one["userId"] or one["type"] != "OPENED"]
    for start in range(0, len(events), 1_000):
        await post(RECORD, events=events[start : start + 1_000])
    query = """query ($id: ID!) { test(id: $id) { status
        guardrailStops { metric { key stops } variant { key } reason at } } }"""
    async with asyncio.timeout(20):
        while (test := (await post(query, id=key))["data"]["test"])["status"] != "PAUSED":  # noqa: ASYNC110  # a process does it
            await asyncio.sleep(0.3)
    (stop,) = test["guardrailStops"]
    assert (stop["metric"], stop["variant"]) == ({"key": "opens", "stops": True}, {"key": "treatment"})
    assert "treatment harms opens: -1 against the control" in stop["reason"]


HIERARCHICAL = """
fragment Pooled on Analysis { id results { bayesian { model converged rHat effectiveSampleSize
    variants { mean { point low high } probabilityBeatsControl density { x density } } } verdict { decision } } }
mutation ($id: ID!) { analyzeTest(id: $id, hierarchical: true) { analysis { ...Pooled } errors { code message } } }
"""
POOLED_HISTORY = (
    HIERARCHICAL.split("mutation")[0] + "query ($id: ID!) { test(id: $id) { analyses { nodes { ...Pooled } } } }"
)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("pymc") is None, reason="the models extra is not installed")
async def test_a_hierarchical_analysis_on_the_real_server(client, post) -> None:
    client.timeout = 120
    key = f"pooled-{secrets.token_hex(4)}"
    await begin(post, key, size=400, control=60, treatment=120)
    answered = asyncio.create_task(post(HIERARCHICAL, id=key))
    waits = []
    while not answered.done():  # the server goes on answering while the worker fits
        start = asyncio.get_running_loop().time()
        await post("{ tests(first: 1) { totalCount } }")
        waits.append(asyncio.get_running_loop().time() - start)
        await asyncio.sleep(0.2)
    payload = (await answered)["data"]["analyzeTest"]
    assert payload["errors"] == []
    pooled = payload["analysis"]["results"]["bayesian"]
    assert (pooled["model"], pooled["converged"]) == ("hierarchical", True)
    assert pooled["rHat"] <= 1.01
    assert pooled["effectiveSampleSize"] >= 400
    assert [one["mean"]["point"] for one in pooled["variants"]] == pytest.approx([0.15, 0.3], abs=0.03)
    assert len(waits) > 5
    assert sorted(waits)[len(waits) // 2] < 1
    history = (await post(POOLED_HISTORY, id=key))["data"]["test"]["analyses"]["nodes"]
    assert history == [payload["analysis"]]

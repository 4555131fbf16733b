"""What is read in the statement that finds campaigns is what their fields' own loaders would have read."""

from typing import Any

import pytest
import pytest_asyncio

from app.auth.principals import Principal, Role
from app.store.database import Database

MEASURES = "sent delivered converted revenue cost roi"
TEST = """
    id key name status coverage hypothesis startedAt metric { key kind } variants { key weight payload }
    results { totals { variant { key } exposed converted mean } }
"""
PAGE = (
    f"totalCount pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} edges {{ cursor node {{ {TEST} }} }}"
)
CREATE = """mutation ($input: CreateTestInput!) { createTest(input: $input) { errors { message } } }"""
TESTS = 4


@pytest_asyncio.fixture
async def shop(ask, grow_catalogue, clean_database: Database) -> None:
    """Four campaigns; the first has four tests and days with a gap, the last has nothing at all."""
    await grow_catalogue(2)
    for number in range(TESTS):
        variants = [
            {"key": "a", "weight": 0.5},
            {"key": "b", "weight": 0.5, "isControl": True, "payload": {"é": [2**60, None]}},
        ]
        given = {"key": f"t{number}", "name": f"Tést {number}", "campaignId": "c1-1", "variants": variants}
        metric = {"key": "buys", "kind": "CONVERSION", "event": "CONVERTED"}
        answer = await ask(CREATE, input={**given, "metric": metric})
        assert answer == {"data": {"createTest": {"errors": []}}}
    await ask('mutation { startTest(id: "t1", at: "2026-01-01T00:00:00Z") { errors { message } } }')
    for table, day in (("campaign_day", ("day, ", "date '2026-03-05', ")), ("campaign_total", ("", ""))):
        await clean_database.execute(
            f"INSERT INTO {table} (campaign_id, {day[0]}slot, sent, revenue_micros) "
            f"SELECT id, {day[1]}slot, 3, 1500000 FROM campaign, generate_series(-2, -1) AS slot WHERE key = 'c1-1'"
        )
    await clean_database.execute(
        "INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount) "
        "SELECT 'bare', 'Bare', id, 'DRAFT', '{1}', 5 FROM merchant WHERE key = 'm1'"
    )


def one_by_one(fields: dict[str, str]) -> str:
    """Return the fields with arguments that leave things as they are, so that their own loaders answer."""
    return f"""
        key merchant {{ key name category }}
        metrics(window: {{ to: "2100-01-01T00:00:00Z" }}) {{ {MEASURES} }}
        trend(window: {{ {fields["window"]} }}) {{ startsAt metrics {{ {MEASURES} }} }}
        tests(first: {fields["first"]}, filter: {{}}) {{ {PAGE} }}
    """


def along(first: int) -> str:
    return f"""
        key merchant {{ key name category }} metrics {{ {MEASURES} }} trend {{ startsAt metrics {{ {MEASURES} }} }}
        tests(first: {first}) {{ {PAGE} }}
    """


WINDOWS = {
    "c1-1": 'from: "2026-03-02T00:00:00Z", to: "2026-03-06T00:00:00Z"',
    "c2-1": 'from: "2026-03-02T00:00:00Z", to: "2026-03-03T00:00:00Z"',
    "bare": 'from: "2026-03-02T00:00:00Z", to: "2026-03-02T00:00:00Z"',
}


@pytest.mark.parametrize("first", [1, TESTS - 1, TESTS, 100])
@pytest.mark.parametrize("key", ["c1-1", "c2-1"])
async def test_a_campaign_with_everything_is_as_its_loaders_have_it(ask, shop, key: str, first: int) -> None:
    together = await ask(f'{{ campaign(id: "{key}") {{ {along(first)} }} }}')
    apart = await ask(f'{{ campaign(id: "{key}") {{ {one_by_one({"window": WINDOWS[key], "first": str(first)})} }} }}')
    assert "errors" not in together
    assert together == apart
    tests = together["data"]["campaign"]["tests"]
    assert len(tests["edges"]) == min(first, TESTS if key == "c1-1" else 0)
    assert tests["pageInfo"]["hasNextPage"] == (key == "c1-1" and first < TESTS)
    assert len(together["data"]["campaign"]["trend"]) == (4 if key == "c1-1" else 1)


async def test_a_campaign_with_nothing_is_empty(ask, shop) -> None:
    answer = await ask(f'{{ campaign(id: "bare") {{ {along(5)} }} }}')
    campaign = answer["data"]["campaign"]
    assert campaign["metrics"] == {
        "sent": 0, "delivered": 0, "converted": 0, "revenue": "0.00", "cost": "0.00", "roi": None
    }  # fmt: skip
    assert (campaign["trend"], campaign["tests"]["edges"], campaign["tests"]["totalCount"]) == ([], [], 0)


async def test_the_list_goes_on_after_what_came_along(ask, shop) -> None:
    page = "pageInfo { endCursor } nodes { key }"
    first = (await ask(f'{{ campaign(id: "c1-1") {{ tests(first: 3) {{ {page} }} }} }}'))["data"]["campaign"]["tests"]
    rest = await ask(
        f'query ($after: String) {{ campaign(id: "c1-1") {{ tests(after: $after) {{ {page} }} }} }}',
        after=first["pageInfo"]["endCursor"],
    )
    keys = [node["key"] for node in [*first["nodes"], *rest["data"]["campaign"]["tests"]["nodes"]]]
    assert keys == [f"t{number}" for number in reversed(range(TESTS))]


@pytest.mark.parametrize("way", ["nodes", "edges { node", "ranked"])
async def test_a_campaign_with_everything_is_one_statement(ask, shop, statements, way: str) -> None:
    fields = along(10).replace("totalCount", "")
    query = {
        "nodes": f"{{ campaigns {{ nodes {{ {fields} }} }} }}",
        "edges { node": f"{{ campaigns {{ edges {{ node {{ {fields} }} }} }} }}",
        "ranked": f"{{ topCampaigns(by: REVENUE) {{ campaign {{ {fields} }} }} }}",
    }[way]
    with statements.watched() as seen:
        answer = await ask(query)
    assert "errors" not in answer
    assert len(seen) == (2 if way == "ranked" else 1)
    assert '"t3"' in str(answer).replace("'", '"')


async def test_one_place_with_other_arguments_is_another_answer(ask, shop, statements) -> None:
    query = """query ($n: Int) { campaigns { nodes {
        a: tests(first: 1) { nodes { key } } b: tests(first: $n) { nodes { key } }
        m: metrics { sent } none: metrics(window: { to: "2000-01-01T00:00:00Z" }) { sent }
        weeks: trend(interval: WEEK) { startsAt } days: trend { startsAt }
    } } }"""
    for number in (2, 3, 2):
        with statements.watched() as seen:
            answer = await ask(query, n=number)
        found = next(node for node in answer["data"]["campaigns"]["nodes"] if node["a"]["nodes"])
        assert [test["key"] for test in found["a"]["nodes"]] == ["t3"]
        assert [test["key"] for test in found["b"]["nodes"]] == ["t3", "t2", "t1"][:number]
        assert (found["m"]["sent"], found["none"]["sent"]) == (16, 0)
        assert (len(found["weeks"]), len(found["days"])) == (1, 4)
        assert len(seen) == 3  # the campaigns, the metrics of a window, the weeks


@pytest.mark.parametrize("first", ["0", "101", "-1", "$n"])
async def test_too_many_tests_are_an_error_of_their_own_field(ask, shop, first: str) -> None:
    declared = "query ($n: Int)" if first == "$n" else "query"
    answer = await ask(
        f'{declared} {{ campaign(id: "c1-1") {{ key tests(first: {first}) {{ nodes {{ key }} }} }} }}', n=500
    )
    (error,) = answer["errors"]
    assert error["path"] == ["campaign", "tests"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert "from 1 to 100" in error["message"]


async def test_what_may_not_be_seen_is_refused_although_it_came(ask, shop) -> None:
    sender = Principal(2, "sender", Role.SENDER)
    answer = await ask('{ campaign(id: "c1-1") { name trend { startsAt } } }', by=sender)
    (error,) = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["campaign", "trend"], "NOT_ALLOWED")


async def test_a_sum_without_room_is_an_error_of_its_own_field(ask, shop, clean_database: Database) -> None:
    await clean_database.execute(
        "INSERT INTO campaign_day (campaign_id, day, slot, revenue_micros) "
        "SELECT id, date '2026-03-09', slot, $1 FROM campaign, generate_series(0, 1) AS slot WHERE key = 'c1-1'",
        2**63 - 1,
    )
    for asked, path in (
        (f'campaign(id: "c1-1") {{ {along(2)} }}', ["campaign", "trend"]),
        (f"campaigns {{ nodes {{ {along(2)} }} }}", ["campaigns", "nodes"]),
    ):
        answer: dict[str, Any] = await ask(f"{{ {asked} }}")
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"INVALID_INPUT"}
        assert all(error["path"][:2] == path and "trend" in error["path"] for error in answer["errors"])


@pytest.mark.parametrize("given", ["null", "$nothing"])
async def test_null_is_as_if_it_were_left_out(ask, shop, given: str) -> None:
    declared = "query ($nothing: Int)" if given == "$nothing" else "query"
    answer = await ask(
        f"""{declared} {{ campaign(id: "c1-1") {{
            tests(first: {given}, after: null, filter: null) {{ nodes {{ key }} }} trend(window: null) {{ startsAt }}
        }} }}""",
        nothing=None,
    )
    assert "errors" not in answer
    assert len(answer["data"]["campaign"]["tests"]["nodes"]) == TESTS
    assert len(answer["data"]["campaign"]["trend"]) == 4

"""Ready trees on the real schema and database: what is asked is answered, for 49 rows by the statements of one."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.auth.principals import Principal, Role

METRICS = "metrics { sent converted revenue roi conversionRate asOf }"
WINDOW = 'window: { from: "2026-03-01T00:00:00Z", to: "2026-04-01T00:00:00Z" }'
RAGGED = 'window: { from: "2026-03-01T00:30:00Z", to: "2026-03-31T10:15:00Z" }'

NESTED = {
    "campaigns with metrics": f"{{ campaigns(first: 100) {{ nodes {{ id {METRICS} }} }} }}",
    "campaigns with everything": f"""{{
        campaigns(first: 60) {{
            totalCount pageInfo {{ hasNextPage endCursor }}
            edges {{ cursor node {{ id merchant {{ id key metrics({WINDOW}) {{ sent }} }} }} }}
            nodes {{
                id merchant {{ name campaigns(first: 2) {{ totalCount nodes {{ key {METRICS} }} }} }}
                all: {METRICS} march: metrics({WINDOW}) {{ sent }} ragged: metrics({RAGGED}) {{ sent }}
                segments({WINDOW}) {{ segment rank metrics {{ sent }} }} hours: segments(by: HOUR_OF_DAY) {{ segment }}
                trend({WINDOW}) {{ startsAt metrics {{ sent }} }} weeks: trend(interval: WEEK) {{ startsAt }}
                roi {{ revenue profit breakEvenConversions }} cohorts {{ startsAt size retained retention }}
            }}
        }}
    }}""",
    "merchants with campaigns": f"""{{
        merchants(first: 50) {{
            totalCount nodes {{ id {METRICS} campaigns(first: 50) {{ totalCount nodes {{ id {METRICS} }} }} }}
        }}
    }}""",
    "ranked campaigns": f"""{{
        topCampaigns(first: 100, by: REVENUE) {{ rank value campaign {{ id merchant {{ id }} {METRICS} }} }}
    }}""",
    "the portfolio": f"""{{
        portfolio({WINDOW}) {{
            campaigns active {METRICS} trend {{ startsAt }} byChannel {{ segment }}
            byMerchant(first: 100) {{ rank merchant {{ id campaigns {{ nodes {{ id }} }} }} {METRICS} }}
        }}
    }}""",
}  # fmt: skip


def objects(value: Any) -> int:
    """Return how many objects an answer holds."""
    if isinstance(value, list):
        return sum(map(objects, value))
    return 1 + sum(map(objects, value.values())) if isinstance(value, dict) else 0


def asked_for(statements: list[str]) -> list[str]:
    """Leave out what the process reads by itself: the tests that run."""
    return [statement for statement in statements if "FROM ab_test WHERE" not in statement]


@pytest.mark.parametrize("query", NESTED.values(), ids=NESTED)
async def test_the_number_of_statements_does_not_grow_with_the_rows(
    ask, statements, grow_catalogue: Callable[[int], Awaitable[None]], query: str
) -> None:
    counts, sizes = [], []
    for rows in (1, 7):
        await grow_catalogue(rows)
        with statements.watched() as seen:
            body = await ask(query)
        assert "errors" not in body, body
        counts.append(len(asked_for(seen)))
        sizes.append(objects(body))
    assert sizes[1] > 2 * sizes[0]
    assert counts[0] == counts[1]


async def test_nothing_is_loaded_that_is_not_asked_for(ask, statements, grow_catalogue) -> None:
    await grow_catalogue(2)
    with statements.watched() as seen:
        await ask("{ campaigns { nodes { id key name } } }")
    assert len(asked_for(seen)) == 1


async def test_one_answer_per_alias_arguments_and_place(ask, grow_catalogue) -> None:
    await grow_catalogue(1)
    body = await ask(
        """query($before: DateTime!) {
        campaigns {
            nodes { m: metrics { sent } }
            edges { node { m: metrics(window: { to: $before }) { sent } n: metrics { sent } } }
        }
        other: campaigns { nodes { m: metrics(window: { from: $before }) { sent } } }
    }""",
        before="2026-03-01T00:00:00Z",
    )
    assert body == {"data": {
        "campaigns": {"nodes": [{"m": {"sent": 10}}], "edges": [{"node": {"m": {"sent": 0}, "n": {"sent": 10}}}]},
        "other": {"nodes": [{"m": {"sent": 10}}]},
    }}  # fmt: skip


async def test_fragments_directives_and_repeated_fields_are_followed(ask, statements, grow_catalogue) -> None:
    await grow_catalogue(1)
    query = """
        query($yes: Boolean!, $no: Boolean!) {
            campaigns { nodes {
                metrics { sent }
                ...More
                ... on Campaign @include(if: $yes) { metrics { converted } merchant { key } }
                ... @skip(if: $yes) { roi { profit } }
                trend @include(if: $no) { startsAt }
                ...More
            } }
        }
        fragment More on Campaign { metrics { delivered } merchant { name ...Merchant } }
        fragment Merchant on Merchant { campaigns { totalCount } }
    """
    with statements.watched() as seen:
        body = await ask(query, yes=True, no=False)
    merchant = {"key": "m1", "name": "M1", "campaigns": {"totalCount": 1}}
    node = {"metrics": {"sent": 10, "converted": 2, "delivered": 8}, "merchant": merchant}
    assert body == {"data": {"campaigns": {"nodes": [node]}}}
    assert len(asked_for(seen)) == 3  # campaigns with metrics and merchants, their campaigns, the number of these


async def test_objects_shared_by_many_are_loaded_once(ask, grow_catalogue) -> None:
    await grow_catalogue(3)
    body = await ask("{ campaigns { nodes { merchant { key metrics { sent } } } } }")
    merchants = [node["merchant"]["key"] for node in body["data"]["campaigns"]["nodes"]]
    assert sorted(merchants) == ["m1"] * 3 + ["m2"] * 3 + ["m3"] * 3


async def test_what_fails_below_is_located_and_the_rest_stands(ask, grow_catalogue) -> None:
    await grow_catalogue(1)
    body = await ask("""{
        campaign(id: "c1-1") { id trend(interval: HOUR, window: { from: "1990-01-01T00:00:00Z" }) { startsAt } }
        portfolio { campaigns }
    }""")
    assert body["data"] == {"campaign": None, "portfolio": {"campaigns": 1}}
    (error,) = body["errors"]
    assert error["path"] == ["campaign", "trend"]
    assert error["extensions"]["code"] == "INVALID_INPUT"


async def test_a_field_may_need_more_than_the_object_it_is_of(ask, statements, grow_catalogue) -> None:
    await grow_catalogue(1)
    sender = Principal(2, "sender", Role.SENDER)
    assert (await ask('{ campaign(id: "c1-1") { name } }', by=sender))["data"] == {"campaign": {"name": "C1"}}
    with statements.watched() as seen:
        body = await ask('{ campaign(id: "c1-1") { name metrics { sent } } }', by=sender)
    assert body["data"] == {"campaign": None}
    assert body["errors"][0]["path"] == ["campaign", "metrics"]
    assert body["errors"][0]["extensions"]["code"] == "NOT_ALLOWED"
    assert len(asked_for(seen)) == 1


async def test_an_empty_list_loads_nothing_below_it(ask, statements) -> None:
    with statements.watched() as seen:
        body = await ask("{ campaigns { nodes { metrics { sent } merchant { name } trend { startsAt } } } }")
    assert body == {"data": {"campaigns": {"nodes": []}}}
    assert len(asked_for(seen)) == 1

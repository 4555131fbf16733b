"""What bounds any server in Python: bare ASGI applications in uvicorn that answer the bench's questions and no others.

`tree` asks PostgreSQL a few set-based questions by asyncpg, makes the answer's tree of them and encodes it by orjson.
`passed` lets PostgreSQL make the JSON and passes it on. `strawberry` is Strawberry with its caches, for Q3 alone. Each
answers in Winnow's own shape.
"""

import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import asyncpg
import orjson

from bench.peers.questions import TESTS

type Answer = Callable[[asyncpg.Pool, dict[str, Any]], Awaitable[bytes]]

SMALLEST = orjson.dumps({"data": {"__typename": "Query"}})

_CAMPAIGN = "c.id, c.key, c.name, c.status, c.offer_amount::text, c.currency, c.budget::text, c.starts_at"
_MEASURES = "sent, delivered, opened, clicked, converted, revenue::text, cost::text, conversion_rate, roi"
CAMPAIGNS = f"SELECT {_CAMPAIGN} FROM campaign c ORDER BY id DESC LIMIT $1"
CAMPAIGN = f"""
    SELECT {_CAMPAIGN}, m.id, m.key, m.name, m.category, {_MEASURES}
    FROM campaign c JOIN merchant m ON m.id = c.merchant_id JOIN peer.campaign_metrics p ON p.campaign_id = c.id
    WHERE c.id = $1
"""
TREND = f"SELECT starts_at, {_MEASURES} FROM peer.campaign_trend WHERE campaign_id = $1 ORDER BY starts_at"
OF_TESTS = """
    SELECT t.campaign_id, t.id, t.key, t.name, t.status, confidence_level, allocation_policy, coverage, started_at
    FROM unnest($1::bigint[]) AS c(id) CROSS JOIN LATERAL (
        SELECT * FROM ab_test WHERE campaign_id = c.id ORDER BY id DESC LIMIT $2) AS t
"""
KINDS = "SELECT test_id, key, name, kind FROM ab_test_metric WHERE test_id = ANY($1::bigint[]) AND position = 0"
VARIANTS = """
    SELECT test_id, id, key, name, is_control, weight, payload FROM ab_test_variant
    WHERE test_id = ANY($1::bigint[]) ORDER BY test_id, position
"""
TOTALS = """
    SELECT test_id, variant_id, exposed, converted, multiple_exposed, mean, standard_deviation FROM peer.variant_total
    WHERE test_id = ANY($1::bigint[]) ORDER BY test_id, variant_id
"""


# ------------------------------------------------------------------------------------------------ a tree


async def answer_by_tree(pool: asyncpg.Pool, variables: dict[str, Any]) -> bytes:
    if "first" in variables:
        data = {"campaigns": {"nodes": await _campaigns(pool, variables["first"])}}
    elif "id" in variables:
        data = {"campaign": await _campaign(pool, int(variables["id"].removeprefix("cmp_")))}
    else:
        return SMALLEST
    return orjson.dumps({"data": data}, option=orjson.OPT_UTC_Z)


async def _campaigns(pool: asyncpg.Pool, first: int) -> list[dict[str, Any]]:
    async with pool.acquire() as connection:
        rows = await connection.fetch(CAMPAIGNS, first)
        tests = await _tests(connection, [row[0] for row in rows], whole=False)
    return [{**_head(row), "tests": {"nodes": tests.get(row[0], [])}} for row in rows]


async def _campaign(pool: asyncpg.Pool, number: int) -> dict[str, Any]:
    async with pool.acquire() as connection:
        row = await connection.fetchrow(CAMPAIGN, number)
        days = await connection.fetch(TREND, number)
        tests = await _tests(connection, [number], whole=True)
    return {
        **_head(row),
        "merchant": {"id": f"mer_{row[8]}", "key": row[9], "name": row[10], "category": row[11]},
        "metrics": _measures(row[12:]),
        "trend": [{"startsAt": day[0], "metrics": _measures(day[1:])} for day in days],
        "tests": {"nodes": tests.get(number, [])},
    }


def _head(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": f"cmp_{row[0]}",
        "key": row[1],
        "name": row[2],
        "status": row[3],
        "offerAmount": row[4],
        "currency": row[5],
        "budget": row[6],
        "startsAt": row[7],
    }


def _measures(values: Iterable[Any]) -> dict[str, Any]:
    sent, delivered, opened, clicked, converted, revenue, cost, rate, roi = values
    return {
        "sent": sent,
        "delivered": delivered,
        "opened": opened,
        "clicked": clicked,
        "converted": converted,
        "revenue": revenue,
        "cost": cost,
        "conversionRate": rate,
        "roi": roi,
    }


async def _tests(connection: Any, campaigns: list[int], *, whole: bool) -> dict[int, list[dict[str, Any]]]:
    rows = await connection.fetch(OF_TESTS, campaigns, TESTS)
    ids = [row[1] for row in rows]
    variants: dict[int, list[dict[str, Any]]] = {id_: [] for id_ in ids}
    for test, id_, key, name, is_control, weight, payload in await connection.fetch(VARIANTS, ids):
        variants[test].append(
            {
                "id": f"var_{id_}",
                "key": key,
                "name": name,
                "isControl": is_control,
                "weight": weight,
                "payload": orjson.Fragment(payload),
            }
        )
    totals: dict[int, list[dict[str, Any]]] = {id_: [] for id_ in ids}
    for test, variant, exposed, converted, multiple, mean, deviation in await connection.fetch(TOTALS, ids):
        totals[test].append(
            {
                "variant": {"id": f"var_{variant}"},
                "exposed": exposed,
                "converted": converted,
                "multipleExposed": multiple,
                "mean": mean,
                "standardDeviation": deviation,
            }
        )
    kinds = await connection.fetch(KINDS, ids) if whole else []
    metrics = {row[0]: {"metric": {"key": row[1], "name": row[2], "kind": row[3]}} for row in kinds}
    found: dict[int, list[dict[str, Any]]] = {}
    for campaign, id_, key, name, status, level, policy, coverage, started_at in rows:
        found.setdefault(campaign, []).append(
            {
                "id": f"tst_{id_}",
                "key": key,
                "name": name,
                "status": status,
                "confidenceLevel": level,
                "allocationPolicy": policy,
                "coverage": coverage,
                "startedAt": started_at,
                **metrics.get(id_, {}),
                "variants": variants[id_],
                "results": {"totals": totals[id_]},
            }
        )
    return found


# ------------------------------------------------------------------------------------------------ JSON by PostgreSQL


def _moment(column: str) -> str:
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""


def _object(**fields: str) -> str:
    return f"json_build_object({', '.join(f"'{name}', {value}" for name, value in fields.items())})"


_JSON_MEASURES = _object(
    **{name: name for name in ("sent", "delivered", "opened", "clicked", "converted")},
    revenue="revenue::text",
    cost="cost::text",
    conversionRate="conversion_rate",
    roi="roi",
)
_JSON_HEAD = {
    "id": "'cmp_' || c.id",
    "key": "c.key",
    "name": "c.name",
    "status": "c.status",
    "offerAmount": "c.offer_amount::text",
    "currency": "c.currency",
    "budget": "c.budget::text",
    "startsAt": _moment("c.starts_at"),
}


def _json_tests(*, whole: bool) -> str:
    variant = _object(
        id="'var_' || v.id", key="v.key", name="v.name", isControl="is_control", weight="weight", payload="payload"
    )
    totals = _object(
        variant="json_build_object('id', 'var_' || variant_id)",
        exposed="exposed",
        converted="converted",
        multipleExposed="multiple_exposed",
        mean="mean",
        standardDeviation="standard_deviation",
    )
    kind = "(SELECT json_build_object('key', m.key, 'name', m.name, 'kind', m.kind) FROM ab_test_metric m "
    kind += "WHERE m.test_id = t.id AND position = 0)"
    test = _object(
        id="'tst_' || t.id",
        key="t.key",
        name="t.name",
        status="t.status",
        confidenceLevel="confidence_level",
        allocationPolicy="allocation_policy",
        coverage="coverage",
        startedAt=_moment("started_at"),
        **({"metric": kind} if whole else {}),
        variants=f"(SELECT json_agg({variant} ORDER BY position) FROM ab_test_variant v WHERE v.test_id = t.id)",
        results=f"json_build_object('totals', (SELECT json_agg({totals}) FROM peer.variant_total s "
        "WHERE s.test_id = t.id))",
    )
    newest = f"SELECT * FROM ab_test WHERE campaign_id = c.id ORDER BY id DESC LIMIT {TESTS}"
    return f"json_build_object('nodes', (SELECT json_agg({test} ORDER BY t.id DESC) FROM ({newest}) t))"


JSON_CAMPAIGNS = f"""
    SELECT json_build_object('data', json_build_object('campaigns', json_build_object('nodes',
        json_agg({_object(**_JSON_HEAD, tests=_json_tests(whole=False))} ORDER BY c.id DESC))))::text
    FROM (SELECT * FROM campaign ORDER BY id DESC LIMIT $1) c
"""
_JSON_WHOLE = _object(
    **_JSON_HEAD,
    merchant="(SELECT json_build_object('id', 'mer_' || id, 'key', key, 'name', name, 'category', category) "
    "FROM merchant WHERE id = c.merchant_id)",
    metrics=f"(SELECT {_JSON_MEASURES} FROM peer.campaign_metrics WHERE campaign_id = c.id)",
    trend=f"(SELECT json_agg(json_build_object('startsAt', {_moment('starts_at')}, 'metrics', {_JSON_MEASURES}) "
    "ORDER BY starts_at) FROM peer.campaign_trend WHERE campaign_id = c.id)",
    tests=_json_tests(whole=True),
)
JSON_CAMPAIGN = f"""
    SELECT json_build_object('data', json_build_object('campaign', {_JSON_WHOLE}))::text FROM campaign c WHERE id = $1
"""


async def answer_as_passed(pool: asyncpg.Pool, variables: dict[str, Any]) -> bytes:
    if "first" in variables:
        return (await pool.fetchval(JSON_CAMPAIGNS, variables["first"])).encode()
    if "id" in variables:
        return (await pool.fetchval(JSON_CAMPAIGN, int(variables["id"].removeprefix("cmp_")))).encode()
    return SMALLEST


# ------------------------------------------------------------------------------------------------ applications


class Application:
    """A bare ASGI application."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        event = await receive()
        body = event["body"]
        while event.get("more_body"):
            event = await receive()
            body += event["body"]
        answer = await self._answer(self._pool, orjson.loads(body)["variables"])
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        settings = {"application_name": os.environ["BENCH_NAME"], "timezone": "UTC", "jit": "off"}
        size = int(os.environ["BENCH_POOL"])
        self._pool = await asyncpg.create_pool(
            os.environ["BENCH_DATABASE"], min_size=1, max_size=size, server_settings=settings, reset=_nothing
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _nothing(_connection: object) -> None:
    """Give a connection back without asking the server for anything, as Winnow does."""


def tree() -> Application:
    """Return the application of ready trees, as a uvicorn factory."""
    return Application(answer_by_tree)


def passed() -> Application:
    """Return the application that passes PostgreSQL's JSON on, as a uvicorn factory."""
    return Application(answer_as_passed)


def tuned_strawberry() -> Any:
    """Return Strawberry with its caches of documents and nothing else, as a uvicorn factory."""
    import strawberry
    from strawberry.asgi import GraphQL
    from strawberry.extensions import ParserCache, ValidationCache

    query = strawberry.type(type("Query", (), {"__annotations__": {"campaigns": int}, "campaigns": 0}))
    caches = [lambda: ParserCache(maxsize=100), lambda: ValidationCache(maxsize=100)]
    schema = strawberry.Schema(query, extensions=caches)
    return GraphQL(schema, graphql_ide=None)

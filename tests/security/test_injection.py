"""What is typed into any text of the graph is data: it never becomes part of a statement, at once or when read again.

The texts are found in the schema, so that a new argument is attacked from the day it is there.
"""

import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
)

from app.abtests.tabulating import tabulate
from app.asgi import assembled
from app.auth.principals import Principal, Role
from app.exporting.tests import TestExporting, What
from app.exporting.writing import FileFormat
from app.ingestion.batches import read_mappings
from app.runtime.broadcast import LocalBroadcast
from app.runtime.clock import SystemClock
from app.runtime.settings import Settings
from app.store.exports import ExportStore
from app.store.folding import TotalsFolding
from app.store.rebuilding import TotalsRebuilding
from app.store.unit_rebuilding import UnitRebuilding
from graph.context import Context, Services
from graph.operations import Operations, Request
from graph.schema import build_schema

MARK = "wnwmark"
"""Stands in every injected text, and may stand in no statement."""
MOST_SECONDS = 3.0

SQL = [
    f"{MARK}' OR '1'='1",
    f"{MARK}'; DROP TABLE campaign; --",
    f'{MARK}"; DROP TABLE campaign; --',
    f"{MARK}') UNION SELECT digest FROM api_key --",
    f"{MARK}'||pg_sleep(9)||'",
    f"{MARK}'; SELECT pg_sleep(9); --",
    f"{MARK}\\'; DROP TABLE campaign; --",
    f"{MARK}$1 $$ $a$ %s %(name)s {{0}} {{name}} :name ? /* --",
    f"{MARK}\\",
]
TEXTS = [
    *SQL,
    f"%{MARK}_%",
    f"{MARK}\0",
    f"{MARK}\x01\x1b[31m\r\n\x7f\u202e",
    f"{MARK}\U0001f600\u0661\ufeff",
    MARK + "x" * 100_000,
    "%",
    "_",
    "",
    " ",
    "\0",
]
IDS = [
    *(f"{prefix}_{'9' * 18}" for prefix in ("cmp", "mer", "tst", "usr", "job", "mod", "var")),
    *(f"{prefix}_{'9' * 30}" for prefix in ("cmp", "tst", "usr", "job")),
    "cmp_0",
    "tst_-1",
    "usr_\u0663",
    "eyJrIjogMX0=",
    "W10=",
    "bnVsbA==",
]
CURSORS = [
    "e30",
    "W251bGwsbnVsbF0",
    "WyJhIiwiYiJd",
    "eyJhIjoxfQ",
    "MQ",
    "WzFlOTk5LDFd",
    "AAAA",
    "////",
    "WyInOyBEUk9QIiwxXQ",
]
NUMBERS = {
    "Int": [0, -1, 1, 2**31 - 1, -(2**31)],
    "Float": [0.0, -1.0, 1e308, -1e308, 5e-324, 0.5, 1.0],
    "DateTime": ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-30T00:00:00Z", SQL[0]],
    "Date": ["0001-01-01", "9999-12-31", SQL[0]],
    "Decimal": ["0", "-1", "1e400", "NaN", "999999999999999.99", SQL[0]],
}


def attacks(scalar: str, place: str) -> list[Any]:
    """Return what to send in place of a value."""
    if scalar == "ID":
        return [*TEXTS, *IDS]
    if scalar == "String":
        return [*TEXTS, *CURSORS] if place == "after" else TEXTS
    if scalar == "JSON":
        return [{text: text} for text in TEXTS] + [{"segment": {"$in": [text]}} for text in SQL] + [SQL[0], [SQL[0]]]
    return NUMBERS.get(scalar, [])


# ------------------------------------------------------------------------------------------------ the schema


@dataclass(frozen=True)
class Place:
    """A field with arguments, and where it is: fields from the root, each written with its arguments."""

    root: str
    above: tuple[str, ...]
    type_name: str
    name: str
    field: GraphQLField = field(compare=False)

    def operation(self) -> str:
        """Return an operation whose variables are the field's arguments."""
        declared = ", ".join(f"${name}: {argument.type}" for name, argument in self.field.args.items())
        given = ", ".join(f"{name}: ${name}" for name in self.field.args)
        inner = f"{self.name}({given}) {selection(self.field.type)}"
        for written in reversed(self.above):
            inner = f"{written} {{ {inner} }}"
        return f"{self.root} ({declared}) {{ {inner} }}"


ROOTS = {
    "campaign": 'campaign(id: "c")',
    "merchant": 'merchant(id: "m")',
    "user": 'user(id: "u")',
    "test": 'test(id: "t")',
    "portfolio": 'portfolio(window: {from: "2026-03-01T00:00:00Z", to: "2026-03-08T00:00:00Z"})',
}
"""How objects are found, below which fields take arguments."""


def places(schema: Any) -> Iterator[Place]:
    """Yield every field with arguments: those of the roots, then those below them, each once."""
    for name, one in schema.mutation_type.fields.items():
        yield Place("mutation", (), "Mutation", name, one)
    waiting: list[tuple[tuple[str, ...], GraphQLObjectType]] = [((), schema.query_type)]
    seen = {"Query"}
    while waiting:
        above, type_ = waiting.pop(0)
        for name, one in type_.fields.items():
            if one.args:
                yield Place("query", above, type_.name, name, one)
            below = get_named_type(one.type)
            written = ROOTS.get(name) if type_.name == "Query" else name
            needs = any(isinstance(argument.type, GraphQLNonNull) for argument in one.args.values())
            if (
                isinstance(below, GraphQLObjectType)
                and below.name not in seen
                and written
                and (name in ROOTS or not needs)
            ):
                seen.add(below.name)
                waiting.append(((*above, written), below))


def selection(type_: Any, depth: int = 3) -> str:
    """Return a selection of all leaves that take no argument, and those below."""
    named = get_named_type(type_)
    if is_leaf_type(named):
        return ""
    parts = []
    for name, one in named.fields.items():
        if one.args or name in {"campaign", "merchant", "test"}:
            continue
        below = get_named_type(one.type)
        if is_leaf_type(below):
            parts.append(name)
        elif depth and (inner := selection(below, depth - 1)):
            parts.append(f"{name} {inner}")
    return f"{{ {' '.join(parts) or '__typename'} }}"


def leaves(type_: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    named = get_named_type(type_)
    if isinstance(named, GraphQLInputObjectType):
        for name, one in named.fields.items():
            yield from leaves(one.type, (*path, name))
    else:
        yield path, named.name


NEW = itertools.count()
USUAL: Mapping[str, Any] = {
    "campaignId": "c",
    "merchantId": "m",
    "testId": "t",
    "userId": "u",
    "externalId": "u",
    "variantKey": "a",
    "category": "Food",
    "timezone": "Europe/Berlin",
    "currency": "EUR",
    "segment": "vip",
    "after": None,
    "search": "a",
    "metricKey": None,
    "winner": None,
    "targeting": None,
    "occurredAt": "2026-03-02T10:00:00Z",
    "contextAttributes": None,
    "floor": None,
    "window": None,
    "filter": {},
    "guardrails": [],
    "exclusion": {"group": "g", "low": 0.0, "high": 1.0},
    "allocationPolicy": "FIXED",
    "weights": [{"key": "a", "weight": 0.4}, {"key": "b", "weight": 0.6}],
    "policy": [0.5, 0.5],
    "quietHours": [1, 2],
    "latitude": 52.5,
    "longitude": 13.4,
    "baseline": 0.1,
    "standardDeviation": None,
    "hierarchical": False,
    "discount": None,
    "reallocateEveryMinutes": None,
    "probability": None,
    "policyVersion": None,
    "denominator": None,
    "startsAt": None,
    "endsAt": None,
    "at": None,
    "interval": "DAY",
    "amounts": ["1.00", "2.00", "3.00"],
    "on": "2026-03-02",
}
SUBJECTS = {"updateCampaign": "c", "campaign": "c", "merchant": "m", "user": "u"}
VARIANTS = [{"key": "a", "isControl": True, "weight": 0.5}, {"key": "b", "isControl": False, "weight": 0.5}]


def usual(type_: Any, name: str, of: str) -> Any:
    """Return what an honest client would send."""
    if isinstance(type_, GraphQLNonNull):
        return usual(type_.of_type, name, of)
    if name == "id":
        return f"new-{next(NEW)}" if of == "recordEvents" else SUBJECTS.get(of, "t")
    if name == "key":
        return "a" if of.startswith("variants") else f"new-{next(NEW)}"
    if name == "variants" and isinstance(type_, GraphQLList):
        return [dict(one) for one in VARIANTS]
    if name == "status":
        return "ACTIVE" if of.endswith("Campaign") else None
    if name in USUAL:
        return USUAL[name]
    if isinstance(type_, GraphQLList):
        return [usual(type_.of_type, name, of)]
    if isinstance(type_, GraphQLEnumType):
        return "CONVERTED" if "CONVERTED" in type_.values else next(iter(type_.values))
    if isinstance(type_, GraphQLInputObjectType):
        return {key: usual(one.type, key, of) for key, one in type_.fields.items()}
    plain = {"Int": 2, "Float": 0.5, "Boolean": False, "Decimal": "5.00", "JSON": {"a": 1}}
    return plain.get(type_.name, "plain")


def variables(place: Place) -> dict[str, Any]:
    return {name: usual(argument.type, name, place.name) for name, argument in place.field.args.items()}


def put(given: Any, path: tuple[str, ...], value: Any) -> None:
    """Set what lies at a path; of a list, in its last entry; an object that is not there is made."""
    name, *rest = path
    if not rest:
        given[name] = [value] if isinstance(given.get(name), list) else value
        return
    inner = given.get(name)
    if inner is None or inner == []:
        inner = given[name] = {} if inner is None else [{"kind": "CONVERSION", "key": "guard", "event": "OPENED"}]
    put(inner[-1] if isinstance(inner, list) else inner, tuple(rest), value)


# ------------------------------------------------------------------------------------------------ the attack


SHAPE = """
WITH mine AS (
    SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND NOT relispartition
)
SELECT md5(string_agg(line, '|' ORDER BY line)) FROM (
    SELECT relname || '.' || attname || ' ' || atttypid || attnotnull AS line
    FROM pg_attribute JOIN mine ON mine.oid = attrelid WHERE attnum > 0
    UNION ALL SELECT relname || ' ' || pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN mine ON mine.oid = conrelid
    UNION ALL SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT rolname || rolsuper FROM pg_roles
    UNION ALL SELECT 'key ' || id || name || role || digest || coalesce(revoked_at::text, '') FROM api_key
    UNION ALL SELECT 'canary ' || m::text FROM merchant m WHERE key = 'canary'
) AS lines
"""
"""The tables but for months of events, which come with events; who may get in; and a row that nothing touches."""
CHANGES = """
SELECT (SELECT count(*) FROM audit_entry) + (SELECT count(*) FROM event) + (SELECT count(*) FROM app_user)
       + (SELECT count(*) FROM campaign) + (SELECT count(*) FROM merchant) + (SELECT count(*) FROM ab_test)
"""
MAKE = """mutation {
    canary: createMerchant(input: {key: "canary", name: "Canary", category: "Food"}) { errors { message } }
    createMerchant(input: {key: "m", name: "M", category: "Food"}) { errors { message } }
    createCampaign(input: {key: "c", name: "C", merchantId: "m", channels: [PUSH], offerAmount: 5, budget: 9,
        status: ACTIVE}) { errors { message } }
    upsertUsers(users: [{externalId: "u", segment: "vip", timezone: "Europe/Berlin"}]) { errors { message } }
    createTest(input: {key: "t", name: "T", campaignId: "c", minimumDetectableEffect: 0.1
        variants: [{key: "a", isControl: true, weight: 0.5}, {key: "b", weight: 0.5}]
        metric: {key: "m", kind: CONVERSION, event: CONVERTED}}) { errors { message } }
    startTest(id: "t") { errors { message } }
}"""
ADMIN = Principal(1, "tests", Role.ADMIN)


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The text of every statement that goes to PostgreSQL, by whichever way."""
    seen: list[str] = []

    def watched(name: str) -> None:
        original = getattr(asyncpg.Connection, name)

        def call(self: Any, query: str, *arguments: Any, **named: Any) -> Any:
            seen.append(query)
            return original(self, query, *arguments, **named)

        monkeypatch.setattr(asyncpg.Connection, name, call)

    for name in ("execute", "_get_statement", "_copy_in"):
        watched(name)
    return seen


class Attack:
    """One admin, who sends anything."""

    def __init__(self, schema: Any, services: Services, database: Any, texts: list[str]) -> None:
        self.schema = schema.core
        self.texts = texts
        self.database = database
        self.sent = 0
        self.failed: list[str] = []
        self.slow: list[str] = []
        self._operations = Operations(schema, Settings())
        self.services = services

    async def send(self, query: str, given: Mapping[str, Any]) -> dict[str, Any]:
        began = time.perf_counter()
        answer = await self._operations.execute(Request(query, given, None), Context(ADMIN, self.services))
        body = answer.body()
        self.sent += 1
        about = f"{query[:200]} {str(given)[:300]}"
        if "INTERNAL_ERROR" in str(body.get("errors")):
            self.failed.append(about)
        if time.perf_counter() - began > MOST_SECONDS:
            self.slow.append(about)
        return body

    async def at(self, place: Place) -> None:
        """Put every attack in each of a field's texts and numbers, one at a time; what is refused changes nothing."""
        query = place.operation()
        for name, argument in place.field.args.items():
            for path, scalar in leaves(argument.type, (name,)):
                for value in attacks(scalar, path[-1]):
                    given = variables(place)
                    put(given, path, value)
                    await self._one(place, query, given)

    async def _one(self, place: Place, query: str, given: Mapping[str, Any]) -> None:
        before = await self.database.fetchval(CHANGES) if place.root == "mutation" else 0
        body = await self.send(query, given)
        payload = (body.get("data") or {}).get(place.name)
        if place.root == "mutation" and (payload is None or (isinstance(payload, dict) and payload.get("errors"))):
            assert await self.database.fetchval(CHANGES) == before, str(given)[:300]

    async def read_everything(self) -> None:
        """Read all that is there, with what was stored in it."""
        for place in places(self.schema):
            if place.root == "query":
                await self.send(place.operation(), variables(place))
        for lists in ("campaigns", "tests", "merchants"):
            await self.send(f"{{ {lists}(first: 100) {{ edges {{ cursor node {{ key name }} }} totalCount }} }}", {})

    async def exported(self, what: What) -> str:
        tabulating = partial(tabulate, self.services.analyzing)
        exporting = TestExporting(ExportStore(self.database), tests=self.services.tests, tabulate=tabulating)
        export = await exporting.export("t", what, file_format=FileFormat.CSV)
        return b"".join([part async for part in export.content]).decode()

    async def shape(self) -> str:
        return await self.database.fetchval(SHAPE)

    def nothing_was_a_statement(self) -> None:
        assert self.failed == []
        assert self.slow == []
        assert self.texts
        assert [text for text in self.texts if MARK in text] == []


@pytest.fixture(scope="module")
def schema() -> Any:
    return build_schema()


@pytest_asyncio.fixture
async def attack(clean_database, schema, texts) -> AsyncIterator[Attack]:
    async with assembled(clean_database, LocalBroadcast(), SystemClock()) as assembly:
        attack = Attack(schema, assembly.services, clean_database, texts)
        made = await attack.send(MAKE, {})
        assert all(not any(one.values()) for one in made["data"].values()), made
        yield attack


def test_every_field_with_arguments_is_attacked(schema) -> None:
    found = {(place.type_name, place.name) for place in places(schema.core)}
    wanted = {
        (type_.name, name)
        for type_ in schema.core.type_map.values()
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__") and type_.name != "Subscription"
        for name, one in type_.fields.items()
        if one.args
    }
    assert wanted - found == set()


REFUSED_HONESTLY = {
    *(
        "Mutation.startTest",
        "Mutation.setWeights",
        "Mutation.reallocate",
        "Mutation.assignUser",
    ),  # the test ran, then ended
    *("Mutation.activateModel", "Mutation.cancelJob", "Query.job", "User.sendTime"),  # none is there
}


async def test_honest_values_are_taken_so_that_the_others_come_as_far(attack) -> None:
    refused = {}
    for place in places(attack.schema):
        body = await attack.send(place.operation(), variables(place))
        payload = (body.get("data") or {}).get(place.name)
        if "errors" in body or (isinstance(payload, dict) and payload.get("errors")):
            refused[f"{place.type_name}.{place.name}"] = body.get("errors") or payload["errors"]
    assert {name: why for name, why in refused.items() if name not in REFUSED_HONESTLY} == {}
    attack.nothing_was_a_statement()


@pytest.mark.parametrize("root", ["query", "mutation"])
async def test_no_text_becomes_a_statement_or_an_internal_error(attack, root) -> None:
    shape = await attack.shape()
    for place in places(attack.schema):
        if place.root == root:
            await attack.at(place)
    assert attack.sent > 800
    await attack.read_everything()
    attack.nothing_was_a_statement()
    assert await attack.shape() == shape


EXPOSE = """mutation ($users: [UserInput!]!) { upsertUsers(users: $users) { errors { message } } }"""
ASSIGN = """mutation ($user: ID!) { assignUser(testId: "t", userId: $user) { errors { message } } }"""


async def test_what_was_stored_becomes_no_statement_when_it_is_computed_with(attack) -> None:
    shape, names = await attack.shape(), [text for text in TEXTS[:13] if "\0" not in text]
    users = [{"externalId": name, "segment": name[:60], "attributes": {name: name}} for name in names]
    assert (await attack.send(EXPOSE, {"users": users}))["data"]["upsertUsers"]["errors"] == []
    for name in names:
        assert (await attack.send(ASSIGN, {"user": name}))["data"]["assignUser"]["errors"] == []
    common = {"userId": "", "campaignId": "c", "type": "CONVERTED", "occurredAt": datetime(2026, 3, 2, tzinfo=UTC)}
    events = [{**common, "id": name, "userId": name, "properties": {name: name}} for name in names]
    stored = await attack.services.ingestion.record(read_mappings(events))
    assert (stored.accepted, stored.rejected) == (len(names), ())
    await attack.read_everything()
    for name in names:
        query = (
            'query ($segment: String) { test(id: "t") { results(segment: $segment) { asOf verdict { __typename } } } }'
        )
        assert "errors" not in await attack.send(query, {"segment": name[:60]})
    assert "errors" not in await attack.send('mutation { analyzeTest(id: "t") { errors { message } } }', {})
    for checking in (
        TotalsRebuilding(attack.database).run(repair=True),
        UnitRebuilding(attack.database).run(repair=True),
    ):
        assert [found async for found in checking if found.differences] == []
    assert [folded async for folded in TotalsFolding(attack.database).run(date(2030, 1, 1))]
    files = [await attack.exported(what) for what in What]
    assert all(MARK in file for file in files[:2])
    attack.nothing_was_a_statement()
    assert await attack.shape() == shape

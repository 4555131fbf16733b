"""Events with values at every edge: each line is accepted, or refused by name; what is accepted is counted exactly."""

import json
from datetime import UTC, datetime

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.store.database import Database
from app.store.rebuilding import TotalsRebuilding
from app.store.unit_rebuilding import UnitRebuilding

CAMPAIGN = 'mutation { createMerchant(input: {key: "shop", name: "Shop", category: "food"}) { errors { message } } }'
CREATE = """mutation { createCampaign(input: {
  key: "edge", name: "Edge", merchantId: "shop", channels: [EMAIL], offerAmount: "1" }) { errors { message } } }"""
NOW = datetime.now(UTC).replace(microsecond=0).isoformat()

# Values as they are written in JSON: some of them no program would write.
NAMES = [
    '"a"',
    '"\\u00fc\\ud83d\\ude00"',
    '"\\u0000"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"x\\u0000y"',
    '""',
    '" "',
    "1",
    "-1",
]
NAMES += ["1.0", "1e3", "18446744073709551616", "9" * 201, '"' + "é" * 200 + '"', '"' + "é" * 201 + '"', "null", "true"]
NAMES += [
    '"\u2028"',
    '"\ufeff"',
    '"ﷺ"',
    '"usr_1"',
    '"usr_99999999999999999999"',
    '"usr_0"',
    '"\\\\"',
    '"\'; DROP TABLE event"',
]
NUMBERS = ["0", "-0", "-0.0", "1e-7", "0.000001", "1e9", "1000000000", "1000000000.000001", "1e400", "-1e400", "1e-400"]
NUMBERS += [
    "5e-324",
    "9223372036854775807",
    "9223372036854775808",
    "1E+2",
    "01",
    "1.",
    ".5",
    "+1",
    "NaN",
    "Infinity",
    "0x1",
]
NUMBERS += [
    f'"{number}"' for number in (*NUMBERS, "sNaN", "-NaN1", "１２", "1_000", " 1", "1,5", "0e999999999", "1e-999999999")
]
TIMES = [f'"{NOW}"', '"2000-01-01T00:00:00Z"', '"1999-12-31T23:59:59.999999Z"', '"0001-01-01T00:00:00+23:59"']
TIMES += [
    '"9999-12-31T23:59:59.999999-23:59"',
    '"2016-12-31T23:59:60Z"',
    '"2024-02-29T12:00:00Z"',
    '"2023-02-29T12:00:00Z"',
]
TIMES += [
    '"2026-01-01T00:00:00"',
    '"2026-01-01T00:00:00+14:00"',
    '"2026-01-01T00:00:00-12:00"',
    '"2026-01-01T24:00:00Z"',
]
TIMES += [
    '"2026-01-01T00:00:00.9999999999Z"',
    '"2000-01-01T00:00:00+00:01"',
    '"2026-01-01"',
    '"now"',
    "0",
    "1e10",
    "null",
]
PROPERTIES = [
    "{}",
    "null",
    "[]",
    '{"a": "\\u0000"}',
    '{"\\u0000": 1}',
    '{"a": "\\\\u0000"}',
    '{"a": "\\ud800"}',
    '{"a": 1e400}',
]
PROPERTIES += [
    '{"a": 123456789012345678901234567890}',
    '{"a": -0.0}',
    '{"": {"": {}}}',
    '{"a": ' + "[" * 200 + "]" * 200 + "}",
]
PROPERTIES += [
    '{"a": "' + "x" * 17_000 + '"}',
    '{"a": 1, "a": 2}',
    '{"__proto__": null}',
    '{"a": 18446744073709551615}',
]

FIELDS = {
    "id": NAMES,
    "occurredAt": TIMES,
    "userId": NAMES,
    "campaignId": ['"edge"', '"edge"', *NAMES],
    "testId": NAMES,
    "variantKey": NAMES,
    "value": NUMBERS,
    "cost": NUMBERS,
    "offerAmount": NUMBERS,
    "probability": NUMBERS,
    "latitude": NUMBERS,
    "longitude": NUMBERS,
    "policyVersion": NUMBERS,
    "properties": PROPERTIES,
    "channel": ['"EMAIL"', '"email"', "1", "null"],
    "unknown": ["1"],
}
SOUND = {
    "type": ['"CONVERTED"', '"SENT"'],
    "campaignId": ['"edge"'],
    "occurredAt": TIMES[:2],
    "userId": ['"ann"', '"bob"'],
}
ENDS = ["\n", "\n", "\r\n", "\n\n", " \n\t\n"]


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """Return a body: sound events of which each has some value at an edge."""
    written = []
    for number in range(draw(st.integers(1, 6))):
        given = {name: draw(st.sampled_from(values)) for name, values in SOUND.items()}
        given["id"] = f'"{number}-{draw(st.integers(0, 10**9))}"'
        for name in draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=2, unique=True)):
            given[name] = draw(st.sampled_from(FIELDS[name]))
        text = ", ".join(f'"{name}": {value}' for name, value in given.items())
        written.append(f"{{{text}}}{draw(st.sampled_from(ENDS))}".encode())
        if draw(st.integers(0, 9)) == 0:
            written.append(
                draw(st.sampled_from([b"\xff\xfe\n", b"{\n", b'"a"\n', b"null\n", b"\xef\xbb\xbf{}\n", b"\x00\n"]))
            )
    return b"".join(written)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(new_database, serve):
    """A server of its own: others store what no event says."""
    with serve(await new_database()) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=30) as client:
        for query in (CAMPAIGN, CREATE):
            client.post("/graphql", json={"query": query}).raise_for_status()
        yield client


@settings(max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(body=lines())
def test_every_line_is_accepted_or_refused_by_name(client: httpx.Client, body: bytes) -> None:
    response = client.post("/v1/events", content=body)
    assert response.status_code == 200, response.text
    said = response.json()
    sent = [number for number, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
    refused = [one["line"] for one in said["rejected"]]
    assert said["accepted"] + said["duplicates"] + len(refused) == len(sent)
    assert sorted(set(refused)) == refused
    assert set(refused) <= set(sent)
    assert all(
        one["message"].endswith(".") and one["code"] in {"INVALID_INPUT", "NOT_FOUND"} for one in said["rejected"]
    )
    assert b"PostgreSQL" not in response.content
    assert b"asyncpg" not in response.content


async def test_what_was_accepted_is_counted_as_the_rebuild_counts_it(client: httpx.Client, server) -> None:
    del client  # has sent the events
    database = await Database.open(server.database_url, default=False)
    try:
        stored = await database.fetchval("SELECT count(*) FROM event")
        rebuilding = (TotalsRebuilding(database), UnitRebuilding(database))
        differing = [found for one in rebuilding async for found in one.run(repair=False) if found.differences]
    finally:
        await database.close()
    assert stored > 100
    assert not differing


def test_what_was_accepted_can_be_asked_for(client: httpx.Client) -> None:
    query = '{ campaign(id: "edge") { metrics { revenue roi } trend(interval: WEEK) { metrics { revenue } } } }'
    assert "errors" not in client.post("/graphql", json={"query": query}).json()


def test_the_names_are_stored_as_they_were_sent(client: httpx.Client) -> None:
    name = "Zoë\u2028\ufeff😀'\"\\"
    event = {"id": name, "type": "SENT", "occurredAt": NOW, "userId": name}
    assert client.post("/v1/events", content=json.dumps(event)).json()["accepted"] == 1
    assert client.post("/v1/events", content=json.dumps(event, ensure_ascii=False).encode()).json()["duplicates"] == 1
    asked = {"query": "query($id: ID!) { user(id: $id) { externalId } }", "variables": {"id": name}}
    assert client.post("/graphql", json=asked).json()["data"]["user"]["externalId"] == name

"""Files about tests: by the command and by the door of a real server, with every kind of text in them, and large."""

import csv
import io
import json
import os
import secrets
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pyarrow.parquet as pq
import pytest
import pytest_asyncio

from app.auth.auditing import Audit
from app.auth.keys import KeyRing
from app.auth.principals import Role
from app.exporting.tests import AT_ONCE, RESULTS, TestExporting, What
from app.exporting.writing import FileFormat, write
from app.runtime.clock import SystemClock
from app.store.abtests import TestStore
from app.store.access import AccessStore
from app.store.database import Database
from app.store.exports import ASSIGNMENTS, EXPOSURES, ExportStore

ROOT = Path(__file__).parents[3]
USERS = ["Zoë", 'quote " comma ,', "line\nbreak", "😀", "=1+1", "plain", "日本"]
LARGE = 100_000
CREATE = """mutation($input: CreateTestInput!, $key: ID!) {
  createTest(input: $input) { errors { path message } } startTest(id: $key) { errors { message } }
}"""
FILL = f"""
    INSERT INTO app_user (external_id) SELECT 'large-' || n FROM generate_series(1, {LARGE}) n;
    INSERT INTO ab_test_assignment (test_id, user_id, variant_id, assigned_at, first_exposed_at, probability,
                                    policy_version, segment)
    SELECT t.id, u.id, (SELECT min(id) FROM ab_test_variant v WHERE v.test_id = t.id), now(), now(), 0.5, 1, 'Süd'
    FROM ab_test t, app_user u WHERE t.key = 'ex-large' AND u.external_id LIKE 'large-%';
"""


@pytest_asyncio.fixture(scope="session")
async def client(server):
    """A client of the real server, with an admin's key."""
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=60) as client:
        yield client


@pytest_asyncio.fixture(scope="session")
async def filled(client, server) -> dict[str, Any]:
    """A test with exposures and conversions, an empty one, and a large one."""

    async def ask(query: str, **variables: Any) -> dict[str, Any]:
        body = (await client.post("/graphql", json={"query": query, "variables": variables})).json()
        assert "errors" not in body, body
        return body["data"]

    metric = {"key": "bought", "kind": "REVENUE", "event": "CONVERTED"}
    guardrail = {"key": "opened", "kind": "CONVERSION", "event": "OPENED", "higherIsBetter": True}
    variants = [{"key": "control", "weight": 0.5, "isControl": True}, {"key": "treatment", "weight": 0.5}]
    for key in ("ex-mixed", "ex-empty", "ex-large"):
        wanted = {"key": key, "name": key, "metric": metric, "guardrails": [guardrail], "variants": variants}
        await ask(CREATE, input=wanted, key=key)
    at = datetime.now(UTC).isoformat()
    events = [
        {
            "id": f"{user}/x",
            "type": "EXPOSED",
            "occurredAt": at,
            "userId": user,
            "testId": "ex-mixed",
            "properties": {"größe": [1, None, user]},
        }
        for user in USERS
    ]
    events += [
        {"id": f"{user}/c", "type": "CONVERTED", "occurredAt": at, "userId": user, "value": "12.34"} for user in USERS
    ]
    lines = "\n".join(json.dumps(event) for event in events)
    receipt = (await client.post("/v1/events", content=lines)).json()
    assert receipt["accepted"] == 2 * len(USERS), receipt
    connection = await asyncpg.connect(server.database_url)
    await connection.execute(FILL)
    await connection.close()
    return await ask('{ test(id: "ex-mixed") { id results { totals { variant { key } exposed mean } } } }')


def parse(content: bytes, file_format: str) -> tuple[list[str], list[dict[str, Any]]]:
    if file_format == "parquet":
        table = pq.read_table(io.BytesIO(content))
        return table.column_names, table.to_pylist()
    reader = csv.DictReader(io.StringIO(content.decode(), newline=""))
    rows = list(reader)
    return list(reader.fieldnames or ()), rows


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
async def test_assignments(client, filled, file_format: str) -> None:
    response = await client.get(f"/v1/export/tests/ex-mixed/assignments.{file_format}")
    assert response.status_code == 200
    names, rows = parse(response.content, file_format)
    assert names == list(ASSIGNMENTS.columns)
    assert sorted(row["user_id"] for row in rows) == sorted(USERS)
    first = rows[0]
    assert first["variant"] in {"control", "treatment"}
    if file_format == "parquet":
        assert (first["probability"], first["policy_version"], first["probabilities"]) == (0.5, 1, [0.5, 0.5])
        assert first["first_exposed_at"].tzinfo is not None
        assert (first["multiple_exposures"], first["floor"], first["policy"]) == (False, 0.1, "FIXED")
    else:
        assert (first["probability"], first["policy_version"], first["probabilities"]) == ("0.5", "1", "[0.5,0.5]")


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
async def test_exposures(client, filled, file_format: str) -> None:
    response = await client.get(f"/v1/export/tests/ex-mixed/exposures.{file_format}")
    names, rows = parse(response.content, file_format)
    assert names == list(EXPOSURES.columns)
    assert {row["user_id"] for row in rows} == set(USERS)
    by_user = {row["user_id"]: row for row in rows}
    assert by_user["Zoë"]["event_id"] == "Zoë/x"
    assert by_user["Zoë"]["properties"] == '{"größe":[1,null,"Zoë"]}'
    assert float(by_user["Zoë"]["probability"]) == 0.5


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
async def test_results_are_those_of_the_graph(client, filled, file_format: str) -> None:
    names, rows = parse((await client.get(f"/v1/export/tests/ex-mixed/results.{file_format}")).content, file_format)
    assert names == list(RESULTS)
    assert [(row["metric"], row["variant"]) for row in rows] == [
        ("bought", "control"),
        ("bought", "treatment"),
        ("opened", "control"),
        ("opened", "treatment"),
    ]
    shown = filled["test"]["results"]["totals"]
    for row, totals in zip(rows, shown, strict=False):
        assert (int(row["exposed"]), float(row["mean"])) == (int(totals["exposed"]), totals["mean"])
        assert row["verdict"] == "KEEP_RUNNING"


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
@pytest.mark.parametrize("what", ["assignments", "exposures", "results"])
async def test_an_empty_test_has_columns_and_nothing_else(client, filled, what: str, file_format: str) -> None:
    response = await client.get(f"/v1/export/tests/ex-empty/{what}.{file_format}")
    assert response.status_code == 200
    names, rows = parse(response.content, file_format)
    assert names
    assert len(rows) == (4 if what == "results" else 0)


async def test_headers_and_ids(client, filled) -> None:
    response = await client.get(f"/v1/export/tests/{filled['test']['id']}/assignments.csv")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"].startswith('attachment; filename="ex-mixed-assignments.csv"')
    parquet = await client.get("/v1/export/tests/ex-mixed/results.parquet")
    assert parquet.headers["content-type"] == "application/vnd.apache.parquet"
    assert parquet.content[:4] == b"PAR1"


@pytest.mark.parametrize(
    "path", ["nowhere/results.csv", "ex-mixed/results.xlsx", "ex-mixed/secrets.csv", "%00/results.csv", "tst_999/x.csv"]
)
async def test_what_is_not_there(client, filled, path: str) -> None:
    response = await client.get(f"/v1/export/tests/{path}")
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("role", list(Role))
async def test_roles(server, filled, role: Role) -> None:
    database = await Database.open(server.database_url, default=False)
    store = AccessStore(database)
    key = (await KeyRing(store, audit=Audit(store), clock=SystemClock()).create("x", role)).key
    await database.close()
    async with httpx.AsyncClient(base_url=server.url, headers={"X-API-Key": key}) as client:
        response = await client.get("/v1/export/tests/ex-mixed/assignments.csv")
    assert response.status_code == (200 if role in {Role.ADMIN, Role.ANALYST} else 403)


async def test_without_a_key(server, filled) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.get("/v1/export/tests/ex-mixed/assignments.csv")).status_code == 401


# ------------------------------------------------------------------------------------------------ large


@pytest.mark.slow
@pytest.mark.parametrize("file_format", list(FileFormat))
async def test_a_large_one_comes_in_parts_each_small(server, filled, file_format: FileFormat) -> None:
    """What is in memory at a time is a page: no part is larger, and none waits for the end."""
    database = await Database.open(server.database_url, default=False)
    try:
        store = ExportStore(database)
        test_id = (await TestStore(database).ids_of(["ex-large"]))["ex-large"]
        pages = [len(page) async for page in store.pages(test_id, ASSIGNMENTS)]
        assert pages == [5_000] * 20
        content = write(store.pages(test_id, ASSIGNMENTS), ASSIGNMENTS.columns, file_format=file_format)
        parts = [part async for part in content]
    finally:
        await database.close()
    whole = b"".join(parts)
    assert max(map(len, parts)) < len(whole) / 8
    assert len(parse(whole, file_format)[1]) == LARGE


@pytest.mark.slow
@pytest.mark.parametrize("file_format", list(FileFormat))
async def test_a_large_one_through_the_door(client, filled, file_format: FileFormat) -> None:
    response = await client.get(f"/v1/export/tests/ex-large/assignments.{file_format}")
    rows = parse(response.content, file_format)[1]
    assert len({row["user_id"] for row in rows}) == LARGE


async def test_only_so_many_at_once_and_one_left_unread_makes_room(server, filled) -> None:
    database = await Database.open(server.database_url, default=False)
    try:
        exporting = TestExporting(ExportStore(database), tests=TestStore(database), tabulate=lambda _: None)
        begun = []
        for _ in range(AT_ONCE):
            export = await exporting.export("ex-large", What.ASSIGNMENTS, file_format=FileFormat.CSV)
            assert (export.rows, len(await anext(export.content)) > 0) == (LARGE, True)
            begun.append(export)
        with pytest.raises(Exception, match="being written"):
            await exporting.export("ex-large", What.ASSIGNMENTS, file_format=FileFormat.CSV)
        await begun[0].content.aclose()
        again = await exporting.export("ex-large", What.ASSIGNMENTS, file_format=FileFormat.CSV)
        assert await anext(again.content)
        for export in (begun[1], again):
            await export.content.aclose()
    finally:
        await database.close()


# ------------------------------------------------------------------------------------------------ the command


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def winnow(server, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "DATABASE_URL": server.database_url}
    command = [sys.executable, "-m", "app.cli", "export", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("what", list(What))
async def test_the_command_writes_what_the_door_sends(server, client, filled, tmp_path: Path, what: What) -> None:
    output = tmp_path / f"{secrets.token_hex(4)} ü.parquet"
    done = winnow(server, "--test", "ex-mixed", "--what", what, "--format", "parquet", "--output", str(output))
    assert done.returncode == 0, done.stderr.decode()
    sent = (await client.get(f"/v1/export/tests/ex-mixed/{what}.parquet")).content
    (names, rows), (sent_names, sent_rows) = parse(output.read_bytes(), "parquet"), parse(sent, "parquet")
    assert names == sent_names
    for row in (*rows, *sent_rows):
        row.pop("as_of", None)
    assert rows == sent_rows
    assert files_in(tmp_path) == [output]


@pytest.mark.slow
async def test_the_command_writes_to_standard_output(server, filled) -> None:
    done = winnow(server, "--test", "ex-mixed", "--what", "assignments")
    assert sorted(row["user_id"] for row in parse(done.stdout, "csv")[1]) == sorted(USERS)


@pytest.mark.slow
async def test_the_command_refuses_without_touching_the_file(server, filled, tmp_path: Path) -> None:
    output = tmp_path / "kept.csv"
    output.write_text("kept")
    done = winnow(server, "--test", "nowhere", "--what", "results", "--output", str(output))
    assert done.returncode == 1
    assert b"No test has this id or key" in done.stderr
    assert output.read_text() == "kept"
    assert files_in(tmp_path) == [output]

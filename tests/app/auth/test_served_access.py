"""Keys, roles and limits as callers meet them: at a real server."""

import asyncio
import gzip
import os
import sys
from pathlib import Path

import httpx
import pytest

from app.auth.auditing import Audit
from app.auth.keys import REMEMBERED_SECONDS, KeyRing
from app.auth.principals import Role
from app.runtime.clock import SystemClock
from app.store.access import AccessStore
from app.store.database import Database

ROOT = Path(__file__).parents[3]
EVENT = b'{"id": "a1", "type": "SENT", "occurredAt": "2026-01-01T00:00:00Z", "userId": "u"}\n'


@pytest.fixture
async def keys(server):
    database = await Database.open(server.database_url, default=False)
    store = AccessStore(database)
    yield KeyRing(store, audit=Audit(store), clock=SystemClock())
    await database.close()


@pytest.fixture
async def client(server):
    async with httpx.AsyncClient(base_url=server.url) as client:
        yield client


@pytest.mark.parametrize(
    ("role", "status"), [(Role.ADMIN, 200), (Role.SENDER, 200), (Role.ANALYST, 403), (Role.CLIENT, 403)]
)
async def test_events_are_taken_from_senders(client, keys, role, status):
    key = (await keys.create("k", role)).key
    answer = await client.post("/v1/events", content=EVENT, headers={"X-API-Key": key})
    assert answer.status_code == status


@pytest.mark.parametrize("role", list(Role))
async def test_merchants_are_made_by_admins_alone(client, keys, role):
    key = (await keys.create("k", role)).key
    made = 'createMerchant(input: {key: "a-shop", name: "Shop", category: "c"}) { merchant { key } errors { code } }'
    answer = await client.post(
        "/graphql", json={"query": f"mutation {{ {made} }}"}, headers={"Authorization": f"Bearer {key}"}
    )
    assert ("a-shop" in answer.text) is (role is Role.ADMIN)
    assert ("NOT_ALLOWED" in answer.text) is (role is not Role.ADMIN)


async def test_a_revoked_key_ends_within_seconds(client, keys):
    new = await keys.create("k", Role.SENDER)
    headers = {"X-API-Key": new.key}
    assert (await client.post("/v1/events", content=EVENT, headers=headers)).status_code == 200
    await keys.revoke(new.row.id)
    await asyncio.sleep(REMEMBERED_SECONDS)
    assert (await client.post("/v1/events", content=EVENT, headers=headers)).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probes_need_no_key(client, path):
    assert (await client.get(path)).status_code == 200


async def test_a_body_past_its_limit_is_413_and_stores_nothing(client, server, keys):
    headers = {**server.headers, "Content-Type": "application/json"}
    assert (await client.post("/graphql", content=b" " * 1_000_001, headers=headers)).status_code == 413
    bomb = gzip.compress(b" " * 200_000_000)
    answer = await client.post("/v1/events", content=bomb, headers={**server.headers, "Content-Encoding": "gzip"})
    assert answer.status_code == 413
    assert answer.json()["accepted"] == 0


async def test_requests_are_counted_by_route(client, server):
    await client.post("/v1/events", content=EVENT, headers=server.headers)
    figures = (await client.get("/metrics")).text
    assert 'winnow_http_requests_total{method="POST",route="/v1/events",status="200"}' in figures
    assert "winnow_events_total" in figures


async def test_no_key_is_ever_written_to_the_logs(new_database):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", "serve", "--port", "0", "--log-level", "debug"),
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": await new_database(), "WINNOW_BOOTSTRAP_KEY": "wnw_bootstrap-of-the-tests"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    url = (await process.stdout.readline()).decode().split()[-1].removesuffix("/graphql")
    shown = ["wnw_bootstrap-of-the-tests", "wnw_wrong-but-secret", "no-key-of-ours"]
    async with httpx.AsyncClient(base_url=url) as client:
        for key in shown:
            await client.post("/graphql", json={"query": "{ broken"}, headers={"X-API-Key": key})
            await client.post("/v1/events", content=key.encode(), headers={"Authorization": f"Bearer {key}"})
    process.terminate()
    log = b"".join(await process.communicate()).decode()
    assert log.count('"event":"request"') == 2 * len(shown)
    assert [key for key in shown if key in log] == []

import asyncio
import os
import subprocess
import sys

import httpx
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from starlette.applications import Starlette

from app.operations import doors
from app.operations.doors import metrics_registry, operation_routes


def client_for(readiness, registry=None):
    app = Starlette(routes=operation_routes(readiness, registry=registry or CollectorRegistry()))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://winnow")


async def ready():
    return None


async def test_health_asks_nothing_of_the_database():
    async def broken():
        raise AssertionError("asked")

    async with client_for(broken) as client:
        assert (await client.get("/healthz")).status_code == 200


async def test_ready():
    async with client_for(ready) as client:
        assert (await client.get("/readyz")).status_code == 200


async def test_not_ready_says_why():
    async def migrating():
        return "2 migrations are not applied."

    async with client_for(migrating) as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["reason"]) == (503, "2 migrations are not applied.")


async def test_a_database_that_hangs_is_not_ready(monkeypatch):
    monkeypatch.setattr(doors, "READY_WITHIN_SECONDS", 0.05)

    async def hanging():
        await asyncio.sleep(60)

    async with client_for(hanging) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert "did not answer" in answer.json()["reason"]


async def test_metrics_are_prometheus_text():
    registry = CollectorRegistry()
    Counter("winnow_things", "Things", registry=registry).inc(3)
    async with client_for(ready, registry) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "winnow_things_total 3.0" in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_only_reading_is_allowed(path):
    async with client_for(ready) as client:
        assert (await client.post(path)).status_code == 405


def test_several_processes_add_up_their_figures(tmp_path):
    work = "from prometheus_client import Counter; Counter('winnow_things', 'Things').inc(2)"
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", work], env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}, check=True
        )
    assert b"winnow_things_total 4.0" in generate_latest(metrics_registry(tmp_path))


def test_one_process_shows_its_own():
    assert metrics_registry(None) is REGISTRY

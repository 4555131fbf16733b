"""/healthz, /readyz and /metrics: open to whoever reaches the port, since probes and scrapers carry no key."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

READY_WITHIN_SECONDS = 2.0

Readiness = Callable[[], Awaitable[str | None]]
"""Returns None when requests can be served, else in words what is missing."""


def nothing_else() -> Mapping[str, Any]:
    """Tell nothing beside."""
    return {}


def operation_routes(
    readiness: Readiness,
    *,
    registry: CollectorRegistry = REGISTRY,
    also: Callable[[], Mapping[str, Any]] = nothing_else,
) -> list[Route]:
    """Return the three doors; `also` gives what to tell beside readiness, which it does not change."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        missing = await _within(READY_WITHIN_SECONDS, readiness)
        if missing is None:
            return JSONResponse({"status": "ready", **also()})
        return JSONResponse({"status": "not ready", "reason": missing}, status_code=503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


def metrics_registry(folder: Path | None) -> CollectorRegistry:
    """Return what /metrics shows: this process's own figures, or those of all that write into the folder, added up."""
    if folder is None:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))
    return registry


async def _within(seconds: float, readiness: Readiness) -> str | None:
    try:
        return await asyncio.wait_for(readiness(), seconds)
    except TimeoutError:
        return f"The database did not answer within {seconds:g} seconds."

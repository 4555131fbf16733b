"""What the flags' door answers where the database does not."""

import asyncpg
import httpx
import pytest

from app.auth.limiting import RateLimit
from app.ofrep.endpoints import PATH, FlagDoor


async def answered(error: Exception, clock) -> httpx.Response:
    async def authenticate(_credential: str) -> None:
        raise error

    door = FlagDoor(
        None,  # nothing is evaluated
        authenticate=authenticate,
        limit=RateLimit(per_second=10, burst=10, clock=clock),
        max_bytes=1_000,
        count=lambda _method, _route: lambda _status, _seconds: None,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://test") as client:
        return await client.post(f"{PATH}/one", json={}, headers={"X-API-Key": "any"})


@pytest.mark.parametrize(
    "error",
    [
        OSError("connection refused"),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
    ],
)
async def test_it_is_unavailable(error: Exception, clock) -> None:
    response = await answered(error, clock)
    assert (response.status_code, response.json()["code"]) == (503, "UNAVAILABLE")


async def test_an_accident_is_answered_in_the_protocols_words(clock) -> None:
    response = await answered(ZeroDivisionError(), clock)
    assert response.status_code == 500
    assert response.headers["x-request-id"] in response.json()["errorDetails"]

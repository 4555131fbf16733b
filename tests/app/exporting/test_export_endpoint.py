"""What the door for files answers where the database does not."""

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.principals import Principal, Role
from app.auth.refusals import refuse
from app.errors import DomainError
from app.exporting.endpoint import export_routes


class Failing:
    """Stands for exporting on a database that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def export(self, *_: object, **__: object) -> None:
        raise self._error


async def answered(error: Exception) -> httpx.Response:
    async def refused(_request, found) -> ASGIApp:
        return refuse(found)

    inner = Starlette(routes=export_routes(Failing(error)), exception_handlers={DomainError: refused})

    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["principal"] = Principal(1, "analyst", Role.ANALYST)
        await inner(scope, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(known), base_url="http://test") as client:
        return await client.get("/v1/export/tests/one/results.csv")


@pytest.mark.parametrize(
    "error",
    [
        OSError("connection refused"),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
    ],
)
async def test_a_database_that_does_not_answer_is_unavailable(error: Exception) -> None:
    response = await answered(error)
    assert (response.status_code, response.json()["code"]) == (503, "UNAVAILABLE")


async def test_an_accident_is_none_of_these() -> None:
    with pytest.raises(ZeroDivisionError):
        await answered(ZeroDivisionError())

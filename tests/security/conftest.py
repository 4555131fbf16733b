"""One real server for all attacks, with limits that are reached quickly, and a socket that says anything."""

import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Self

import httpx
import psutil
import pytest
import pytest_asyncio

LIMITS = {
    "WINNOW_HEAD_SECONDS": "1",
    "WINNOW_SLOW_SECONDS": "2.5",
    "WINNOW_ALLOWED_ORIGINS": "https://app.example",
    "WINNOW_RUN_WORKER": "false",
    "WINNOW_LOG_FORMAT": "json",
    "WINNOW_LOG_LEVEL": "debug",
    "WINNOW_MAX_EVENTS_BYTES": "2000000",
    "WINNOW_MAX_SUBSCRIPTIONS": "5",
    "WINNOW_MAX_FEEDS": "4",
}


CERTIFICATES = ssl.create_default_context()


class Target:
    """The server under attack."""

    def __init__(self, running: Any) -> None:
        self._running = running
        self.url: str = running.url
        self.key: str = running.key
        self.database_url: str = running.database_url
        self.process = running.process
        self.headers: dict[str, str] = running.headers
        self.address = (running.url.split(":")[1].strip("/"), int(running.url.rsplit(":", 1)[1]))
        self.host = running.url.removeprefix("http://")

    def client(self, **options: Any) -> httpx.Client:
        """Return a client that shows no key of itself; certificates are read once for all, which takes longest."""
        return httpx.Client(base_url=self.url, verify=CERTIFICATES, **{"timeout": 60, **options})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._plain.close()

    @cached_property
    def _plain(self) -> httpx.Client:
        return self.client()

    def get(self, path: str, **asked: Any) -> httpx.Response:
        return self._plain.get(path, **asked)

    def post(self, path: str, **asked: Any) -> httpx.Response:
        return self._plain.post(path, **asked)

    def log(self) -> str:
        return self._running.log()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def requests(self, path: str) -> list[dict[str, Any]]:
        """Return the access log's lines about a path."""
        return [line for line in self.lines() if line.get("event") == "request" and line.get("path") == path]

    def head(self, method: str, path: str, **headers: str) -> bytes:
        given = {"Host": self.host, "Authorization": f"Bearer {self.key}", **headers}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in given.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    @contextmanager
    def connected(self, *, seconds: float = 10) -> Iterator[socket.socket]:
        with socket.create_connection(self.address, timeout=seconds) as connection:
            yield connection


def read_all(connection: socket.socket) -> bytes:
    """Return all that comes until the server closes."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def until(true: Callable[[], object], seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


@pytest_asyncio.fixture(scope="session")
async def target(new_database, start_server) -> AsyncIterator[Target]:
    with start_server(await new_database(), **LIMITS) as running, Target(running) as target:
        yield target


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def attacker(target: Target) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that server, with an admin's key."""
    async with httpx.AsyncClient(base_url=target.url, headers=target.headers, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def web(target: Target) -> psutil.Process:
    """The target's web process."""
    return next(one for one in psutil.Process(target.process.pid).children() if "app.commands.web" in one.cmdline())


@pytest.fixture(scope="session")
def reading() -> Callable[[socket.socket], bytes]:
    return read_all


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    return until


@pytest.fixture(autouse=True)
def nothing_unforeseen(request: pytest.FixtureRequest) -> Iterator[None]:
    """No attack on the real server may leave a stack trace, or an error, in its log."""
    if "target" not in request.fixturenames and "attacker" not in request.fixturenames:
        yield
        return
    target = request.getfixturevalue("target")
    before = len(target.log())
    yield
    written = target.log()[before:]
    assert "Traceback" not in written
    assert '"level":"error"' not in written.replace('": "', '":"')


TRUSTED = "query Name { __typename }"


@pytest_asyncio.fixture(scope="session")
async def narrow(new_database, start_server, tmp_path_factory) -> AsyncIterator[Target]:
    """A server that answers 20 requests of a caller, then one a quarter of an hour, and trusted documents alone."""
    documents = tmp_path_factory.mktemp("documents")
    (documents / "name.graphql").write_text(TRUSTED)
    limits = {
        "WINNOW_REQUESTS_PER_SECOND": "0.001",
        "WINNOW_REQUESTS_BURST": "20",
        "WINNOW_TRUSTED_DOCUMENTS": str(documents),
        "WINNOW_TRUSTED_DOCUMENTS_ONLY": "true",
        "WINNOW_RUN_WORKER": "false",
        "WINNOW_LOG_FORMAT": "console",
    }
    with start_server(await new_database(), **limits) as running, Target(running) as target:
        yield target

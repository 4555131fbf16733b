"""`winnow serve` with a small application: ready, several web processes, parts killed, a clean stop, itself killed."""

import errno
import http.client
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from app.store.embedded.leftovers import processes_on
from app.store.embedded.server import EmbeddedPostgres

APPLICATION = """
import asyncio, os
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from app.runtime.settings import Settings
from app.store.database import Database

def create_app():
    async def count(request):
        database = await Database.open(Settings.load().database_url.get_secret_value(), default=False)
        try:
            return PlainTextResponse(f"{os.getpid()} {await database.fetchval('SELECT count(*) FROM api_key')}")
        finally:
            await database.close()

    async def slow(request):
        await asyncio.sleep(0.6)
        return PlainTextResponse("finished")

    async def slower(request):
        await asyncio.sleep(4)
        return PlainTextResponse("finished")

    async def quick(request):
        return PlainTextResponse("quick")

    async def die(request):
        os._exit(9)

    doors = {"/": count, "/slow": slow, "/slower": slower, "/quick": quick, "/die": die}
    return Starlette(routes=[Route(path, door) for path, door in doors.items()])

def broken_app():
    raise RuntimeError("broken on purpose")
"""

BESIDE = "import time\ntime.sleep(600)\n"

SERVE = """
import sys
from app.commands.serve import serve
from app.runtime.logging import configure_logging
from app.runtime.settings import Settings
settings = Settings.load()
configure_logging(settings)
serve(settings, application=sys.argv[1], beside=[["small_beside"]])
"""


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def bare_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "DATABASE_URL" and "WINNOW" not in name}


class Serving:
    def __init__(self, folder: Path, *, application: str = "small_app:create_app", **variables: str) -> None:
        modules = folder / "modules"
        modules.mkdir(exist_ok=True)
        (modules / "small_app.py").write_text(APPLICATION)
        (modules / "small_beside.py").write_text(BESIDE)
        self.data = folder / "data"
        self.log = folder / "serve.log"  # a file: a pipe that nobody reads would fill, and stop the writers
        given = {"PYTHONPATH": str(modules), "WINNOW_DATA_DIR": str(self.data), "WINNOW_PORT": "0", **variables}
        with self.log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE, application],
                env=bare_environment() | given,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def ready(self) -> str:
        line = self.process.stdout.readline()
        assert line.startswith("Winnow is ready at http://127.0.0.1:"), line + self.errors()
        assert line.endswith("/graphql\n")
        return line.split()[-1].removesuffix("graphql")

    def errors(self) -> str:
        return self.log.read_text()

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def serving(folder: Path, **variables: str) -> Iterator[Serving]:
    started = Serving(folder, **variables)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate(timeout=60)
        until(lambda: not processes_on(started.data / "postgres"))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated data folder without a key: copying it is quicker than making one for each test."""
    folder = tmp_path_factory.mktemp("original") / "data"
    with EmbeddedPostgres(folder, durable=False) as server:
        subprocess.run(
            [sys.executable, "-m", "app.cli", "migrate"],
            env=bare_environment() | {"DATABASE_URL": server.url},
            check=True,
        )
    return folder


@pytest.fixture
def folder(tmp_path: Path, original: Path) -> Path:
    subprocess.run(["cp", "-a", original, tmp_path / "data"], check=True)
    return tmp_path


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_ready_answers_and_stops_leaving_nothing(tmp_path: Path):
    with serving(tmp_path, WINNOW_WORKERS="2", WINNOW_BOOTSTRAP_KEY="a-given-admin-key") as running:
        url = running.ready()
        answers = {httpx.get(url).text for _ in range(30)}
        assert {answer.split()[1] for answer in answers} == {"1"}  # the given key
        family = running.family()
        running.process.send_signal(signal.SIGTERM)
        output, _ = running.process.communicate(timeout=60)
        assert running.process.returncode == 0
        assert output == ""  # one line, no more
        assert "a-given-admin-key" not in running.errors()
        assert living(family) == []


def test_ctrl_c_in_the_terminal_stops_in_order(folder: Path):
    with serving(folder) as running:
        url = running.ready()
        assert httpx.get(url).status_code == 200
        family = running.family()
        running.process.send_signal(signal.SIGINT)
        running.process.send_signal(signal.SIGINT)  # an impatient second one changes nothing
        running.process.wait(20)
        assert running.process.returncode == 0
        assert "Traceback" not in running.errors()
        assert living(family) == []


def stop_while_asked(running, client: socket.socket, path: str) -> tuple[str, int]:
    """Send a request, and end the server before it is answered; return where it listened."""
    host, port = running.ready().removeprefix("http://").rstrip("/").split(":")
    client.connect((host, int(port)))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    time.sleep(0.2)
    running.process.send_signal(signal.SIGTERM)
    return host, int(port)


def test_open_requests_are_finished(folder: Path):
    with serving(folder) as running, socket.socket() as client:
        stop_while_asked(running, client, "/slow")
        client.settimeout(10)
        answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.endswith(b"finished")


def test_while_open_requests_are_finished_nobody_waits_in_vain(folder: Path):
    with serving(folder) as running, socket.socket() as client:
        host, port = stop_while_asked(running, client, "/slower")
        until(lambda: _refuses(host, port))
        assert select.select([client], [], [], 0)[0] == []  # it is not answered yet
        client.settimeout(20)
        answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.endswith(b"finished")


def _refuses(host: str, port: int) -> bool:
    with socket.socket() as another:
        return another.connect_ex((host, port)) == errno.ECONNREFUSED


def test_who_keeps_a_connection_is_told_before_it_closes(folder: Path):
    with serving(folder) as running:
        client = http.client.HTTPConnection(running.ready().removeprefix("http://").rstrip("/"), timeout=10)
        told, count = False, 0
        while not told:  # a request that is broken off would raise
            client.request("GET", "/quick")
            answer = client.getresponse()
            assert answer.read() == b"quick"
            told, count = answer.getheader("connection") == "close", count + 1
            if count == 20:
                running.process.send_signal(signal.SIGTERM)
        assert count > 20
        assert client.sock is None


def test_the_first_key_is_printed_once(folder: Path):
    keys = []
    for _ in range(2):
        with serving(folder) as running:
            running.ready()
            running.process.send_signal(signal.SIGTERM)
            running.process.wait(20)
            keys.append("wnw_" in running.errors())
    assert keys == [True, False]


def test_kill_of_the_command_takes_everything_along(folder: Path):
    with serving(folder) as running:
        url = running.ready()
        family = running.family()
        assert len(family) >= 3
        running.process.kill()
        running.process.wait()
        until(lambda: living(family) == [])
        with pytest.raises(httpx.TransportError):
            httpx.get(url)
    with serving(folder) as again:  # and the next start recovers
        assert httpx.get(again.ready()).text.split()[1] == "1"


def test_kill_of_a_web_process_is_made_good(folder: Path):
    with serving(folder) as running:
        url = running.ready()
        before = httpx.get(url).text.split()[0]
        with pytest.raises(httpx.TransportError):
            httpx.get(url + "die")
        assert httpx.get(url, timeout=20).text.split()[0] != before  # the socket stayed open and kept the request


def test_kill_of_postgres_is_made_good(folder: Path):
    with serving(folder) as running:
        url = running.ready()
        assert httpx.get(url).status_code == 200
        postgres = next(
            child for child in running.family() if child.name() == "postgres" and child.ppid() == running.process.pid
        )
        postgres.kill()
        until(lambda: httpx.get(url).status_code == 200 and living([postgres]) == [])
        assert httpx.get(url).text.split()[1] == "1"


def test_an_application_that_does_not_start_is_said(folder: Path):
    with serving(folder, application="small_app:broken_app") as running:
        output, _ = running.process.communicate(timeout=60)
        assert running.process.returncode != 0
        assert output == ""
        assert "broken on purpose" in running.errors()
        assert "ended before it was ready" in running.errors()


def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environment = bare_environment() | {"WINNOW_DATA_DIR": str(tmp_path / "data")}
        command = [sys.executable, "-m", "app.cli", "serve", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_second_serve_on_the_folder_is_refused(folder: Path):
    with serving(folder) as running:
        running.ready()
        command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--data-dir", str(running.data)]
        done = subprocess.run(command, env=bare_environment(), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "in use by another Winnow" in done.stderr
        assert "Traceback" not in done.stderr


def test_migrate_works_beside_a_running_server(folder: Path):
    with serving(folder) as running:
        running.ready()
        command = [sys.executable, "-m", "app.cli", "migrate", "--data-dir", str(running.data)]
        done = subprocess.run(command, env=bare_environment(), capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout == "The schema is up to date.\n"

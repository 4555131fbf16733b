"""The processes of `winnow serve`: PostgreSQL, web processes and companions, owned by the command's main thread."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import structlog

from app.errors import InvalidInput, Unavailable
from app.runtime.processes import WatchedChild, start_child
from app.runtime.settings import Settings, child_environment
from app.store.embedded.server import EmbeddedPostgres

_START_SECONDS = 120.0

log = structlog.get_logger(__name__)


class StopRequested(BaseException):
    """SIGTERM or SIGINT: raised in the main thread, so that every context is left in order."""


@contextmanager
def stopping_by_signal() -> Generator[None]:
    """Leave the context, without an error, at the first SIGTERM or SIGINT; ignore later ones while it is left."""
    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise StopRequested

    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    except StopRequested:
        log.info("stopped")
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """Open the socket that all web processes share."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise InvalidInput(
            f"Cannot listen on {host} port {port} ({error.strerror}): choose another with --host and --port, "
            "or stop what listens there.",
            path=("port",),
        ) from error


def shown_address(listening: socket.socket) -> str:
    """Return the socket's address as a browser on this machine takes it."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  # compared with, not bound to
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def owned_database(settings: Settings) -> Generator[tuple[str, Callable[[], object]]]:
    """Give the address of the database to serve from, and what to call now and then to keep it running."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value(), lambda: None
        return
    with EmbeddedPostgres(settings.data_dir) as server:
        yield server.url, server.check


class WebProcess:
    """One web process on a shared socket; called, it starts it (anew)."""

    def __init__(self, application: str, settings: Settings, listening: socket.socket) -> None:
        self._application = application
        self._settings = settings
        self._listening = listening.fileno()
        self._ready = -1

    def __call__(self) -> subprocess.Popen[bytes]:
        """Start it; it says through a pipe when it serves."""
        self.close()
        self._ready, ready = os.pipe()
        try:
            arguments = [self._application, str(self._listening), str(ready)]
            return start_module("app.commands.web", arguments, self._settings, inherited=(self._listening, ready))
        finally:
            os.close(ready)

    def wait_until_ready(self, seconds: float = _START_SECONDS) -> None:
        """Return once it serves; raise Unavailable where it ends before."""
        if not select.select([self._ready], [], [], seconds)[0]:
            raise Unavailable(
                f"The web process was not ready after {seconds:.0f} s: its log may say what it waits for."
            )
        if not os.read(self._ready, 1):
            raise Unavailable("The web process ended before it was ready: its log above says why.")

    def close(self) -> None:
        """Give up the pipe of the process started last."""
        if self._ready >= 0:
            os.close(self._ready)
            self._ready = -1


def start_module(
    module: str, arguments: Sequence[str], settings: Settings, *, inherited: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Run a Python module in a child with these settings; it gets SIGTERM when this process is gone."""
    return start_child(
        [sys.executable, "-m", module, *arguments],
        end_signal=signal.SIGTERM,
        environment=child_environment(settings),
        folder=Path.cwd(),
        inherited=inherited,
    )


@contextmanager
def web_processes(
    application: str, settings: Settings, listening: socket.socket, *, beside: Sequence[Sequence[str]] = ()
) -> Generator[list[WatchedChild]]:
    """Run the web processes, then Python modules (name and arguments) beside them; stop all at the end.

    The context is entered once every web process serves. The children are to be checked now and then. When it is left,
    the socket is closed.
    """
    stopping = ((signal.SIGTERM, settings.shutdown_seconds + 5),)
    web = [WebProcess(application, settings, listening) for _ in range(settings.workers)]
    children: list[WatchedChild] = []
    try:
        children += [WatchedChild("web", process, stopping=stopping) for process in web]
        for process in web:
            process.wait_until_ready()
        for module, *arguments in beside:
            start = partial(start_module, module, arguments, settings)
            children.append(WatchedChild(module, start, stopping=stopping))
        yield children
    finally:
        listening.close()  # or clients would wait in it for somebody to answer
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop()
        for process in web:
            process.close()

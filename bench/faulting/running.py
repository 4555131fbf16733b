"""A real `winnow serve` with its processes, on its own PostgreSQL or on somebody else's."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.store.embedded.leftovers import processes_on

ROOT = Path(__file__).parents[2]
KEY = "wnw_" + "f" * 40


@dataclass(frozen=True)
class Variant:
    """On which PostgreSQL: the embedded one, or, `own`, a server of somebody else's, made of these programs."""

    own: bool = False
    programs: Path | None = None


@dataclass
class Winnow:
    """A running server. `log` is what all its processes say, at the level of warnings and above."""

    folder: Path
    variant: Variant
    port: int
    environment: dict[str, str]
    command: Sequence[str]
    process: subprocess.Popen[str] | None = None
    owner: subprocess.Popen[str] | None = None
    database_url: str = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> str:
        return (self.folder / "serve.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it, and wait until it says that it serves."""
        if self.variant.own and self.owner is None:
            self._start_owner()
        with (self.folder / "serve.log").open("ab") as errors:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        line = _first_line(self.process)
        if not line.startswith("Winnow is ready"):
            raise SystemExit(f"the server did not start: {line}{self.log[-2000:]}")
        if not self.variant.own:
            self.database_url = self.listening_at()

    def _start_owner(self) -> None:
        programs = [str(self.variant.programs)] if self.variant.programs else []
        command = [sys.executable, "-m", "bench.faulting.owner", str(self.data), *programs]
        self.owner = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.database_url = _first_line(self.owner).strip()
        self.environment["DATABASE_URL"] = self.database_url

    def listening_at(self) -> str:
        told = json.loads((self.data / "connection.json").read_text())
        return f"postgresql://{told['user']}@/{told['database']}?host={told['socket_folder']}"

    def web(self) -> list[psutil.Process]:
        return self._children("app.commands.web")

    def worker(self) -> psutil.Process:
        return self._children("app.worker")[0]

    def postgres(self) -> psutil.Process:
        """The postmaster: PostgreSQL's process that is nobody of PostgreSQL's child."""
        running = processes_on(self.data / "postgres")
        numbers = {process.pid for process in running}
        return next(process for process in running if process.ppid() not in numbers)

    def postgres_all(self) -> list[psutil.Process]:
        return processes_on(self.data / "postgres")

    def _children(self, module: str) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                arguments = child.cmdline()
                if module in arguments and "launch.py" not in " ".join(arguments):
                    found.append(child)
        return found

    def command_line(self, *arguments: str) -> str:
        """Run a `winnow` command beside it; return what it prints."""
        environment = {**self.environment, "DATABASE_URL": self.database_url}
        command = [sys.executable, "-m", "app.cli", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr * (done.returncode != 0)

    def stop(self) -> None:
        """Stop in order, if it still runs."""
        for process in (self.process, self.owner):
            if process is not None:
                process.terminate()
                try:
                    process.wait(40)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _first_line(process: subprocess.Popen[str]) -> str:
    with process.stdout:
        return process.stdout.readline()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def original(variant: Variant) -> Iterator[Path]:
    """Make a migrated data folder with something in it: copying it is quicker than making one for each fault."""
    from bench.faulting.world import furnish

    with tempfile.TemporaryDirectory(prefix="winnow-faults-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        programs = [str(variant.programs)] if variant.programs else []
        command = [sys.executable, "-m", "bench.faulting.owner", str(folder / "data"), *programs]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
            url = owner.stdout.readline().strip()
            asyncio.run(furnish(url))
            owner.terminate()
        _until_gone(folder / "data" / "postgres")
        yield folder / "data"


def _until_gone(cluster: Path) -> None:
    end = time.monotonic() + 30
    while processes_on(cluster):
        if time.monotonic() > end:
            raise SystemExit("PostgreSQL did not stop")
        time.sleep(0.05)


@contextmanager
def running(
    made: Path,
    variant: Variant,
    *,
    workers: int = 1,
    module: str = "app.cli",
    tmpfs_megabytes: int | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Winnow]:
    """Run a server on a copy of the original folder until the context is left."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="winnow-fault-")))
        folder.chmod(0o711)
        if tmpfs_megabytes is not None:
            stack.enter_context(small_disk(folder / "data", megabytes=tmpfs_megabytes))
        subprocess.run(["cp", "-a", f"{made}/.", folder / "data"], check=True)
        port = free_port()
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | {
            "WINNOW_DATA_DIR": str(folder / "data"),
            "WINNOW_BOOTSTRAP_KEY": KEY,
            "WINNOW_LOG_LEVEL": "warning",
            "WINNOW_LOG_FORMAT": "json",
            **(settings or {}),
        }
        command = [sys.executable, "-m", module, "serve", "--port", str(port), "--workers", str(workers)]
        server = Winnow(folder, variant, port, environment, command)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            _until_gone(folder / "data" / "postgres")


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[None]:
    """Mount a small disk in memory; needs root."""
    folder.mkdir()
    options = f"size={megabytes}m,mode=0711"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "winnow-fault", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)

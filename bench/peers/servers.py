"""The servers of the graph bench: Winnow, its peers on Node, and the limits, each one process on the same database."""

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.peers.load import KEY
from bench.peers.questions import ALL

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent
INSTALLED = ROOT / ".winnow/bench/graph"
POOL = 10
"""Connections to PostgreSQL that each server may open: Winnow's own number."""
SERVER_CORE, OTHER_CORE = 0, 1
PACKAGES = {
    "@apollo/server": "5.5.1",
    "fastify": "5.12.8",
    "graphql": "16.15.0",
    "graphql-jit": "0.8.9",
    "graphql-yoga": "5.24.1",
    "mercurius": "16.10.1",
    "pg": "8.23.1",
    "postgraphile": "5.1.5",
}
NODE = "24.9.0"
"""PostGraphile 5.1 asks for Node 22 or newer, so that all of Node run on one that npm brings."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a server is started, in whose words it is asked, and which questions."""

    asking: str
    questions: tuple[str, ...] = ALL
    program: str | None = None
    arguments: tuple[str, ...] = ()
    application: str | None = None
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it listens, the process that answers, and the name it gives itself to PostgreSQL."""

    name: str
    kind: Kind
    port: int
    process: psutil.Process

    @property
    def application(self) -> str:
        """Return the name by which PostgreSQL knows it."""
        return _application(self.name)

    def cpu_seconds(self) -> float:
        """Return the CPU that the answering process and those it started have used, all threads."""
        return sum(_cpu(one) for one in (self.process, *self.process.children(recursive=True)))


KINDS = {
    "Winnow": Kind("winnow"),
    "PostGraphile": Kind("postgraphile", program="postgraphile.mjs"),
    "Mercurius": Kind("by hand", ("Q1", "Q2", "Q3"), "mercurius.mjs", ("loaders",)),
    "Mercurius, tree": Kind("by hand", ("Q1", "Q2"), "mercurius.mjs", ("tree",)),
    "Apollo": Kind("by hand", ("Q3",), "small.mjs", ("apollo",)),
    "Yoga": Kind("by hand", ("Q3",), "small.mjs", ("yoga",)),
    "Strawberry, tuned": Kind("winnow", ("Q3",), application="tuned_strawberry"),
    "limit: tree, orjson": Kind("winnow", application="tree"),
    "limit: JSON passed": Kind("winnow", ("Q1", "Q2"), application="passed"),
}


@contextmanager
def started(url: str, names: list[str]) -> Iterator[list[Server]]:
    """Start these servers, each on the first core where there are two, and stop them at the end."""
    if any(KINDS[name].program for name in names):
        install()
    with ExitStack() as stack:
        yield [stack.enter_context(_started(url, name)) for name in names]


def install() -> None:
    """Install the peers, where they are not yet, and put our programs beside them."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    wanted = json.dumps({"private": True, "dependencies": PACKAGES | {_node_package(): NODE}}, indent=2)
    described = INSTALLED / "package.json"
    if not (INSTALLED / "node_modules").exists() or described.read_text() != wanted:
        if shutil.which("npm") is None:
            raise SystemExit("There is no npm on this machine to install the peers: leave them out by --servers.")
        described.write_text(wanted)
        print("installing the peers (PostGraphile, Mercurius, Apollo, Yoga) ...", flush=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
        subprocess.run(command, cwd=INSTALLED, check=True, timeout=600)
    for program in PROGRAMS.glob("*.mjs"):
        shutil.copy(program, INSTALLED)


def _application(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _node_package() -> str:
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine().lower()]
    return f"node-{sys.platform}-{machine}"


@contextmanager
def _started(url: str, name: str) -> Iterator[Server]:
    kind = KINDS[name]
    command, environment, folder = _command(url, name, kind)
    with (INSTALLED.parent / f"{_application(name)}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            pin(process.pid, SERVER_CORE)
            yield Server(name, kind, _port(process, command), _answering(process))
        finally:
            process.terminate()
            process.wait(30)


def _command(url: str, name: str, kind: Kind) -> tuple[list[str], dict[str, str], Path]:
    if kind.program:
        own = f"{url}&application_name={_application(name)}"
        node = str(INSTALLED / "node_modules" / _node_package() / "bin/node")
        environment = {"NODE_ENV": "production", "GRAPHILE_ENV": "production", "PGTZ": "UTC"}
        return [node, kind.program, own, str(POOL), *kind.arguments], environment, INSTALLED
    port = str(_free_port())
    if kind.application:
        command = [sys.executable, "-m", "uvicorn", f"bench.peers.limits:{kind.application}", "--factory"]
        command += ["--log-level", "error", "--no-access-log", "--loop", "uvloop", "--http", "httptools"]
        command += ["--no-server-header", "--port", port]
        return command, {"BENCH_DATABASE": url, "BENCH_POOL": str(POOL), "BENCH_NAME": _application(name)}, ROOT
    environment = {
        "DATABASE_URL": url,
        "WINNOW_BOOTSTRAP_KEY": KEY,
        "WINNOW_LOG_LEVEL": "warning",
        "WINNOW_REQUESTS_PER_SECOND": "100000",
        "WINNOW_REQUESTS_BURST": "1000000",
        **(kind.settings or {}),
    }
    return [sys.executable, "-m", "app.cli", "serve", "--port", port], environment, ROOT


def _port(process: subprocess.Popen, command: list[str]) -> int:
    """Return the port once the server listens: Node's programs print it."""
    if "--port" not in command:
        return int(process.stdout.readline())
    port = int(command[command.index("--port") + 1])
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return port
    raise SystemExit(f"a server did not start: {' '.join(command)}")


def _answering(process: subprocess.Popen) -> psutil.Process:
    """Return the process that answers: of `winnow serve` its web process, else the one that was started."""
    started_one = psutil.Process(process.pid)
    children = started_one.children(recursive=True)
    return next((one for one in children if "app.commands.web" in one.cmdline()), started_one)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pin(pid: int, core: int) -> None:
    """Keep a process, its threads and those it starts on one core, where there are two and the system can."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    if len(cores) > 1:
        os.sched_setaffinity(pid, {cores[core]})


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system

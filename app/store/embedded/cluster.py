"""Making PostgreSQL's data, and how it is set up."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from app.errors import DatabaseUnavailable
from app.runtime.processes import Account, start_child
from app.store.embedded.binaries import Binaries
from app.store.embedded.folder import DataFolder

USER = "winnow"
DATABASE = "winnow"
_SETTINGS_FILE = "winnow.conf"
_MEBIBYTE = 1024 * 1024
_FOR_TESTS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "400",  # the servers of several tests share it
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """PostgreSQL's data in a data folder, the programs that open it, and the user they run as (None: our own).

    `durable` False gives up safety against a crash of the machine for speed: for tests alone.
    """

    folder: DataFolder
    binaries: Binaries
    account: Account | None = None
    durable: bool = True

    def prepare(self) -> None:
        """Make the data where there is none yet, and write how it is set up."""
        if not self.folder.cluster.exists():
            self._create()
        self._configure(self.folder.cluster)

    def data(self, cluster: Path) -> tuple[str, str | Path]:
        """Return the arguments that name the data to a program started in its folder."""
        # a user whose way to the folder is closed (below root's home, say) still works in it when started there
        open_way = self.account is None or self.account.can_reach(cluster)
        return "-D", cluster if open_way else "/proc/self/cwd"

    def _create(self) -> None:
        new = self.folder.path / "postgres.new"  # renamed once whole, so that a killed start leaves nothing half made
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if self.account:
            os.chown(new, self.account.user, self.account.group)
        self._initialise(new)
        with (new / "postgresql.conf").open("a") as configuration:
            configuration.write(f"\ninclude_if_exists = '{_SETTINGS_FILE}'\n")
        self._configure(new)
        self._create_database(new)
        new.rename(self.folder.cluster)

    def _initialise(self, cluster: Path) -> None:
        arguments = ["--username", USER, "--auth=trust", "--locale=C.UTF-8", "--encoding=UTF8", "--no-instructions"]
        without = [] if self.durable else ["--no-sync"]
        self._run([self.binaries.initdb, *self.data(cluster), *arguments, *without], cluster)

    def _create_database(self, cluster: Path) -> None:
        with tempfile.TemporaryFile() as statements:
            statements.write(f"CREATE DATABASE {DATABASE}\n".encode())
            statements.seek(0)
            command = [self.binaries.postgres, "--single", *self.data(cluster), "postgres"]
            self._run(command, cluster, source=statements)

    def _run(
        self, command: Sequence[str | Path], cluster: Path, *, source: IO[bytes] | int = subprocess.DEVNULL
    ) -> None:
        with tempfile.TemporaryFile() as output:
            child = start_child(
                command,
                end_signal=signal.SIGKILL,
                environment=postgres_environment(),
                folder=cluster,
                account=self.account,
                source=source,
                output=output,
            )
            if child.wait() != 0:
                output.seek(0)
                said = output.read().decode(errors="replace").strip()
                raise DatabaseUnavailable(
                    f"PostgreSQL's data could not be made in {cluster}: {said or 'no reason given'}. "
                    "See that the disk has room and the folder is writable, or choose another --data-dir."
                )

    def _configure(self, cluster: Path) -> None:
        settings = {**server_settings(psutil.virtual_memory().total), **({} if self.durable else _FOR_TESTS)}
        lines = (f"{name} = '{value}'\n" for name, value in settings.items())
        head = "# Written anew at every start. Settings of your own go into local.conf beside this file; they win.\n"
        (cluster / _SETTINGS_FILE).write_text(head + "".join(lines) + "include_if_exists = 'local.conf'\n")


def server_settings(memory: int) -> dict[str, str]:
    """Return PostgreSQL's settings for a machine with so many bytes of memory, which it shares with Winnow."""
    buffers = min(max(memory // 8, 128 * _MEBIBYTE), 1024 * _MEBIBYTE)
    return {
        "shared_buffers": _megabytes(buffers),
        "effective_cache_size": _megabytes(max(memory // 2, buffers)),
        "work_mem": "16MB",
        "maintenance_work_mem": "128MB",
        "max_connections": "100",
        "max_locks_per_transaction": "256",  # a statement over all partitions of a few years locks each of them
        "synchronous_commit": "on",
        "wal_compression": "on",
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
        "log_lock_waits": "on",
        "log_min_duration_statement": "5s",
        "log_line_prefix": "%m [%p] ",
    }


def postgres_environment() -> dict[str, str]:
    """Return the environment for PostgreSQL's programs: nothing of ours that would change what they do."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _megabytes(size: int) -> str:
    return f"{size // _MEBIBYTE}MB"

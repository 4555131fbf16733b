"""PostgreSQL as a child of this process, watched over."""

import os
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from app.errors import DatabaseUnavailable, DataFolderInUse
from app.runtime.processes import Backoff, WatchedChild, start_child
from app.store.embedded.accounts import database_account
from app.store.embedded.binaries import Binaries, readable_binaries, wheel_binaries
from app.store.embedded.cluster import DATABASE, USER, Cluster, postgres_environment
from app.store.embedded.folder import DataFolder, Listening
from app.store.embedded.leftovers import clear_leftovers

_STOPPING = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0))
"""Fast shutdown: open transactions are rolled back, everything committed is on disk; then the immediate one."""
_LARGEST_LOG = 10_000_000
_LOG_TAIL = 2_000


class EmbeddedPostgres:
    """The PostgreSQL of one data folder, from `start` to `stop`.

    It belongs to the main thread of one process: `check`, called there now and then, restarts a server that ended.
    When the process is gone, however it went, PostgreSQL shuts down (on Linux at once; elsewhere the next start
    ends what was left). `binaries` default to the wheel's; `durable` False is for tests alone.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        binaries: Binaries | None = None,
        durable: bool = True,
        start_seconds: float = 600.0,
        backoff: Backoff | None = None,
    ) -> None:
        self._folder = DataFolder(data_dir)
        self._binaries = binaries
        self._durable = durable
        self._start_seconds = start_seconds
        self._backoff = backoff or Backoff()
        self._listening: Listening | None = None
        self._child: WatchedChild | None = None

    def start(self) -> Listening:
        """Own the folder, make its data where there is none, start, and wait until PostgreSQL takes connections."""
        self._folder.acquire()
        try:
            cluster = self._prepared()
            self._listening = self._address(cluster)
            launch = partial(self._launch, cluster, self._listening)
            self._child = WatchedChild("postgres", launch, stopping=_STOPPING, backoff=self._backoff)
            self._wait_until_ready(self._child)
        except BaseException:
            self.stop()
            raise
        self._folder.publish(self._listening)
        return self._listening

    def check(self) -> bool:
        """Tell whether the server runs; start it again where it ended, after a wait that grows."""
        return self._child is not None and self._child.check()

    def stop(self) -> None:
        """Shut down, wait for it, and give the folder free; do nothing where nothing runs."""
        child, self._child = self._child, None
        if child is not None:
            child.stop()
        if self._listening is not None:
            with suppress(OSError):
                Path(self._listening.socket_folder).rmdir()
        self._folder.release()

    @property
    def process_id(self) -> int | None:
        """The server's process id, None where none was started."""
        return self._child.process_id if self._child else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address of the running server, as DATABASE_URL takes it."""
        if self._listening is None:
            raise DatabaseUnavailable("The embedded PostgreSQL is not running: start it first.")
        return self._listening.url

    def _prepared(self) -> Cluster:
        binaries = self._binaries or wheel_binaries()
        self._folder.check_version(binaries.major)
        account = database_account(self._folder.cluster)
        if account is not None:
            binaries = readable_binaries(binaries, account, near=self._folder.path)
        cluster = Cluster(folder=self._folder, binaries=binaries, account=account, durable=self._durable)
        cluster.prepare()
        return cluster

    def _address(self, cluster: Cluster) -> Listening:
        owner = cluster.account.user if cluster.account else os.geteuid()
        socket_folder = str(self._folder.socket_folder(owner))
        return Listening(owner=os.getpid(), socket_folder=socket_folder, user=USER, database=DATABASE)

    def _launch(self, cluster: Cluster, listening: Listening) -> subprocess.Popen[bytes]:
        clear_leftovers(self._folder.cluster, Path(listening.socket_folder))
        command = [cluster.binaries.postgres, *cluster.data(self._folder.cluster)]
        with self._rotated_log().open("ab") as output:
            return start_child(
                [*command, "-k", listening.socket_folder, "-c", "listen_addresses=", "-c", "port=5432"],
                end_signal=signal.SIGINT,
                environment=postgres_environment(),
                folder=self._folder.cluster,
                account=cluster.account,
                output=output,
            )

    def _rotated_log(self) -> Path:
        path = self._folder.log
        with suppress(FileNotFoundError):
            if path.stat().st_size > _LARGEST_LOG:
                path.replace(path.with_suffix(".log.1"))
        path.touch(mode=0o600)
        return path

    def _wait_until_ready(self, child: WatchedChild) -> None:
        deadline = time.monotonic() + self._start_seconds
        while not self._is_ready(child):
            if child.exit_code is not None:
                raise DatabaseUnavailable(f"The embedded PostgreSQL did not start. {self._last_words()}")
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"The embedded PostgreSQL was not ready after {self._start_seconds:.0f} s. {self._last_words()}"
                )
            time.sleep(0.01)

    def _is_ready(self, child: WatchedChild) -> bool:
        try:
            lines = (self._folder.cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return lines[:1] == [str(child.process_id)] and lines[-1].strip() == "ready"

    def _last_words(self) -> str:
        with self._folder.log.open("rb") as written:
            written.seek(max(0, self._folder.log.stat().st_size - _LOG_TAIL))
            tail = written.read().decode(errors="replace").strip()
        return f"Read {self._folder.log}, which ends:\n{tail}"


@contextmanager
def shared_postgres(data_dir: Path, *, patience_seconds: float = 15.0) -> Generator[str]:
    """Give the address of the folder's PostgreSQL: the one another process runs, else one run for this context."""
    server = EmbeddedPostgres(data_dir)
    try:
        url = server.start().url
    except DataFolderInUse:
        yield _url_of_other(DataFolder(data_dir), patience_seconds)
        return
    try:
        yield url
    finally:
        server.stop()


def _url_of_other(folder: DataFolder, patience_seconds: float) -> str:
    deadline = time.monotonic() + patience_seconds
    while (listening := folder.listening()) is None:  # the other one may be starting
        if time.monotonic() > deadline:
            raise DataFolderInUse(
                f"The data folder {folder.path} is in use by another Winnow whose database does not answer yet: "
                "wait until it is ready, then try again."
            )
        time.sleep(0.1)
    return listening.url

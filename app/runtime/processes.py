"""Child processes that are stopped in order and never outlive this one."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

from app.errors import Unavailable
from app.runtime import launch

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of this machine."""

    user: int
    group: int
    name: str

    def can_reach(self, path: Path) -> bool:
        """Tell whether every folder on the way to `path`, and `path` where it is one, may be passed through."""
        folders = [folder for folder in (path, *path.parents) if folder.is_dir()]
        return all(self._may_enter(folder) for folder in folders)

    def _may_enter(self, folder: Path) -> bool:
        status = folder.stat()
        if self.user in (0, status.st_uid):
            return self.user == 0 or bool(status.st_mode & 0o100)
        return bool(status.st_mode & (0o010 if self.group == status.st_gid else 0o001))


def start_child(
    program: Sequence[str | Path],
    *,
    end_signal: signal.Signals,
    environment: Mapping[str, str],
    folder: Path = Path("/"),
    account: Account | None = None,
    source: IO[bytes] | int = subprocess.DEVNULL,
    output: IO[bytes] | int | None = None,
    inherited: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; on Linux it gets `end_signal` once this process is gone.

    Linux watches the thread that starts the child, so it must be the main one, which lives as long as the process.
    `inherited` are open file descriptors that the child keeps.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("Start child processes from the main thread, or they end with the thread that started them.")
    who = (account.user, account.group) if account else (-1, -1)
    start = map(str, (int(end_signal), os.getpid(), *who, folder, *program))
    return subprocess.Popen(
        [sys.executable, "-I", "-S", launch.__file__, *start],
        env=dict(environment),
        stdin=source,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        pass_fds=tuple(inherited),
    )


def stop_child(child: subprocess.Popen[bytes], steps: Sequence[tuple[signal.Signals, float]]) -> int:
    """Send each signal in turn, giving the seconds beside it to end; return the exit code.

    The last resort, SIGKILL, is added by itself.
    """
    for signal_number, seconds in steps:
        child.send_signal(signal_number)  # does nothing where the child has ended
        with suppress(subprocess.TimeoutExpired):
            return child.wait(seconds)
    child.kill()
    return child.wait()


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next restart: twice as long each time, anew after a quiet while."""

    first_seconds: float = 0.2
    most_seconds: float = 5.0
    quiet_seconds: float = 60.0
    _wait: float = 0.0
    _last: float = float("-inf")

    def next_wait(self, now: float) -> float:
        """Return the seconds to wait before restarting something that ended at `now`."""
        again = now - self._last < self.quiet_seconds + self._wait
        self._wait = min(self._wait * 2, self.most_seconds) if again else self.first_seconds
        self._last = now
        return self._wait


class WatchedChild:
    """A child that is started again where it ends, after a wait that grows, until it is stopped.

    `start` starts it once more; `check`, called now and then from the main thread, watches.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[], subprocess.Popen[bytes]],
        *,
        stopping: Sequence[tuple[signal.Signals, float]],
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self._start = start
        self._stopping = stopping
        self._backoff = backoff or Backoff()
        self._restart_at: float | None = None
        self._child = start()

    @property
    def process_id(self) -> int:
        """The id of the process started last."""
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """How the process started last ended; None while it runs."""
        return self._child.poll()

    def check(self) -> bool:
        """Tell whether it runs; start it anew when its wait is over."""
        if self._child.poll() is None:
            return True
        now = time.monotonic()
        if self._restart_at is None:
            wait = self._backoff.next_wait(now)
            self._restart_at = now + wait
            log.warning("process_ended", name=self.name, exit_code=self._child.returncode, restart_in_seconds=wait)
        if now >= self._restart_at:
            self._restart(now)
        return False

    def _restart(self, now: float) -> None:
        try:
            self._child = self._start()
        except (OSError, Unavailable) as error:  # no memory, no room on the disk: it may come back, so try again
            wait = self._backoff.next_wait(now)
            self._restart_at = now + wait
            log.warning("process_not_restarted", name=self.name, error=str(error), retry_in_seconds=wait)
        else:
            self._restart_at = None
            log.info("process_restarted", name=self.name, process=self._child.pid)

    def ask_to_stop(self) -> None:
        """Send the first of the stopping signals without waiting, so that several may end at the same time."""
        self._child.send_signal(self._stopping[0][0])

    def stop(self) -> int:
        """Stop it for good; return its exit code."""
        return stop_child(self._child, self._stopping)

"""Child processes that are stopped in order and never outlive this one."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.runtime import launch


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
    most_seconds: float = 30.0
    quiet_seconds: float = 60.0
    _wait: float = 0.0
    _last: float = float("-inf")

    def next_wait(self, now: float) -> float:
        """Return the seconds to wait before restarting something that ended at `now`."""
        again = now - self._last < self.quiet_seconds + self._wait
        self._wait = min(self._wait * 2, self.most_seconds) if again else self.first_seconds
        self._last = now
        return self._wait

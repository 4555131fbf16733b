"""What an earlier run that was killed left behind: a pid file, and sometimes living processes.

Only the owner of the data folder's lock may call these: whatever still runs on the cluster then belongs to nobody.
"""

import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

from app.errors import DataFolderUnusable

_PATIENCE_SECONDS = 30.0


def clear_leftovers(cluster: Path, socket_folder: Path) -> None:
    """End processes that still run on the cluster, then remove its pid file and its sockets.

    PostgreSQL takes a living process with the number in such a file for a server, whatever program it is.
    """
    running = processes_on(cluster)
    if running:
        _end(cluster, running)
    for leftover in (cluster / "postmaster.pid", *socket_folder.glob(".s.PGSQL.*")):
        leftover.unlink(missing_ok=True)


def processes_on(cluster: Path) -> list[psutil.Process]:
    """Return the living PostgreSQL processes that work in the cluster's folder; a zombie or another program is none."""
    return [process for process in psutil.process_iter() if _works_on(process, cluster)]


def _works_on(process: psutil.Process, cluster: Path) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres"):
            return False
        return Path(process.cwd()).samefile(cluster)
    except (psutil.Error, OSError):
        return False


def _end(cluster: Path, running: list[psutil.Process]) -> None:
    for signal_number, patience in ((signal.SIGINT, _PATIENCE_SECONDS), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        for process in running:
            with suppress(psutil.Error):
                process.send_signal(signal_number)
        running = _wait(cluster, patience)
        if not running:
            return
    raise DataFolderUnusable(
        f"Processes of an earlier run still work on {cluster} and cannot be ended "
        f"({', '.join(str(process.pid) for process in running)}): end them, then start again."
    )


def _wait(cluster: Path, patience: float) -> list[psutil.Process]:
    deadline = time.monotonic() + patience
    while (running := processes_on(cluster)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return running

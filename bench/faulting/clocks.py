"""Clocks that jump: `winnow serve` and its worker on a clock that a file moves.

python -m bench.faulting.clocks serve --port N: as `winnow serve`, every process on this clock.
python -m bench.faulting.clocks: the worker on this clock.
"""

import importlib
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.runtime.clock import SystemClock

OFFSET = "BENCH_CLOCK_OFFSET"
"""Names the file with the seconds by which the clock is ahead."""


class MovedClock(SystemClock):
    """The machine's clock, moved by what the file says; what never runs backwards is not moved."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(Path(os.environ[OFFSET]).read_text()))


def create_app():
    """Return the application on the moved clock."""
    from app.asgi import create_app as create

    return create(clock=MovedClock())


def serve(arguments: list[str]) -> None:
    """Do as `winnow serve` does."""
    from app.commands.serve import serve as serve_with
    from app.runtime.logging import configure_logging
    from app.runtime.settings import Settings

    settings = Settings.load(port=int(arguments[1]), workers=int(arguments[3]), run_worker=False)
    configure_logging(settings)
    serve_with(settings, application="bench.faulting.clocks:create_app", beside=[["bench.faulting.clocks"]])


def main(arguments: list[str]) -> None:
    """Serve or work."""
    if arguments[:1] == ["serve"]:
        serve(arguments[1:])
        return
    worker = importlib.import_module("app.worker")
    worker.SystemClock = MovedClock
    worker.main()


if __name__ == "__main__":
    main(sys.argv[1:])

"""`winnow serve` for as long as a bench needs it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Serving:
    """A running server: where it answers, without a slash at the end, and its process."""

    url: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        """Return where it listens on the loopback address."""
        return int(self.url.rpartition(":")[2])


@contextmanager
def winnow_serve(
    *options: str, port: int = 0, errors: IO[str] | int | None = None, **variables: str | None
) -> Iterator[Serving]:
    """Run the command until the context is left; a variable of the environment that is None is taken out.

    `port` 0 is any free one; `errors` is where it writes what it says. Raises SystemExit where it does not start.
    """
    environment = {name: value for name, value in {**os.environ, **variables}.items() if value is not None}
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port), *options]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith("Winnow is ready"):
                raise SystemExit(f"the server did not start: {line}{_said(errors)}")
            yield Serving(line.split()[-1].removesuffix("/graphql"), process)
        finally:
            process.terminate()
            process.wait(120)


def _said(errors: IO[str] | int | None) -> str:
    return "" if errors is None or isinstance(errors, int) else Path(errors.name).read_text(errors="replace")

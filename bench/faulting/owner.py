"""PostgreSQL in a process of its own, started again where it ends: a server that Winnow does not own.

python -m bench.faulting.owner FOLDER [PROGRAMS]
"""

import os
import sys
import time
from pathlib import Path

from app.store.embedded.binaries import Binaries
from app.store.embedded.server import EmbeddedPostgres


def main(folder: str, *programs: str) -> None:
    """Run it until killed; its address is printed."""
    binaries = Binaries(Path(programs[0])) if programs else None
    with EmbeddedPostgres(Path(folder), binaries=binaries) as server:
        print(server.url, flush=True)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads on
        while True:
            time.sleep(0.1)
            server.check()


if __name__ == "__main__":
    main(*sys.argv[1:])

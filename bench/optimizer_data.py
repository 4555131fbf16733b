"""Where the optimizer's bench finds its data, and what its rows say."""

from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parents[2] / "shared" / "data"


class Row(NamedTuple):
    """One promise: what, its target, what was reached, whether that keeps it (None: not judged), what stands beside."""

    what: str
    target: str
    reached: str
    kept: bool | None
    beside: str = ""

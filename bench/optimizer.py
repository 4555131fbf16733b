"""What the optimizer reaches: amounts, hours and merchants beside truth, ceilings, what is simpler, and its targets.

    scripts/bench optimizer [DATA]

DATA is the folder with foursquare_nyc, completejourney and thornton_incentive; ../shared/data where not given. What
needs data that is absent is skipped, and says so.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import (
    affinities,
    demo_truth,
    lifts,
    live_offers,
    offer_amounts,
    predictions,
    responses,
    send_hours,
    training,
)
from bench.optimizer_data import DATA, Row

VERDICT = {True: "yes", False: "NO", None: ""}


def main() -> None:
    """Print the table, part by part as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, default=DATA, help="folder with the data sets")
    parser.add_argument("--worlds", type=int, default=3, help="simulated worlds of each kind")
    given = parser.parse_args()
    parts: dict[str, Callable[[], list[Row]]] = {
        "Responses": partial(responses.rows, given.data),
        "Lift": partial(lifts.rows, given.worlds),
        "Offer amounts": partial(offer_amounts.rows, given.data, given.worlds),
        "Send times": partial(send_hours.rows, given.data, given.worlds),
        "Merchant affinity": partial(affinities.rows, given.data),
        "Training": training.rows,
        "The demo's world": demo_truth.rows,
        "Live offers": partial(live_offers.rows, given.data),
        "Served": predictions.rows,
    }
    for title, measure in parts.items():
        started = time.perf_counter()
        rows = measure()
        table = Table(title=f"{title} ({time.perf_counter() - started:.0f} s)")
        for heading in ("what", "target", "reached", "kept", "beside"):
            table.add_column(heading)
        for row in rows:
            kept = None if row.kept is None else bool(row.kept)
            table.add_row(row.what, row.target, row.reached, VERDICT[kept], row.beside)
        Console(width=170).print(table)


if __name__ == "__main__":
    main()

"""What happens to acknowledged events, totals and live results when things break, under load with the sender's count.

Each fault happens to a `winnow serve` of its own, with its worker and a durable PostgreSQL (`--own`: one that belongs
to somebody else, by DATABASE_URL; `--programs` names its folder of programs), under the load of four senders of events,
of queries, OpenFeature evaluations and followers of a live test, all on loopback and bounded. Senders keep count of
what was acknowledged, send again what was refused or has an unknown fate, and know by themselves what must have been
counted. Afterwards: no acknowledged event is missing, none is there twice, totals are what the sender reckons, and
`winnow rebuild-totals` changes no row. `back` is the time from the fault's end (for a kill: the kill itself) to the
first good answer to what was asked after it, of events, queries and flags, and until each follower was told of a
change.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from bench.faulting.jumping import FAULTS as JUMPING
from bench.faulting.killing import FAULTS as KILLING
from bench.faulting.running import Variant, original
from bench.faulting.scene import Fault, Outcome, play
from bench.faulting.straining import FAULTS as STRAINING
from bench.faulting.working import FAULTS as WORKING

FAULTS: tuple[Fault, ...] = (*KILLING, *WORKING, *STRAINING, *JUMPING)


def chosen(names: Iterable[str], variant: Variant) -> list[Fault]:
    """Return the faults whose name has one of these words, all where none is given."""
    wanted = list(names)
    return [
        fault
        for fault in FAULTS
        if (not wanted or any(name in fault.name for name in wanted)) and not (variant.own and fault.embedded_only)
    ]


def table(outcomes: Iterable[Outcome]) -> str:
    """Return one line for each fault."""
    counts = f"{'fault':<33}{'acknowledged':>13}{'again':>6}{'lost':>5}{'twice':>6}"
    head = f"{counts}  totals  back: events query flags live   last error  log                 load"
    lines = [head]
    for one in outcomes:
        judged = one.judgement
        back = " ".join(f"{'-' if seconds is None else f'{seconds:.1f}':>5}" for seconds in one.back.values())
        lines.append(
            f"{one.name:<33}{judged.acknowledged:>13,}{one.sent_again:>6}{judged.lost:>5}{judged.twice:>6}  "
            f"{'differ' if judged.differing else 'equal':<6}       {back}   {one.last_bad:>8.1f} s  "
            f"{f'{one.log_lines} lines, {one.tracebacks} traces':<20}"
            f"{one.machine_load:.1f}"
        )
    return "\n".join(lines)


def details(one: Outcome) -> str:
    """Return what the sender and the followers saw of a fault, and what was not as it must be."""
    errors = ", ".join(f"{kind} {count}" for kind, count in sorted(one.errors.items())) or "none"
    told = ", ".join(f"{kind} {count}" for kind, count in one.told.items()) or "nothing"
    lines = [f"{one.name}: errors: {errors}; followers were told: {told}"]
    lines += [f"    {note}" for note in one.notes]
    if one.judgement.rejected or one.duplicates:
        lines.append(f"    {one.judgement.rejected:,} rejected, {one.duplicates:,} told to be duplicates")
    return "\n".join(lines + [f"    NOT AS PROMISED: {problem}" for problem in one.problems])


def main() -> None:
    """Play the faults, and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], help="words of faults' names")
    parser.add_argument("--list", action="store_true", help="print the faults' names")
    parser.add_argument("--own", action="store_true", help="on a PostgreSQL that Winnow does not own")
    parser.add_argument("--programs", type=Path, help="the folder of that PostgreSQL's programs")
    parser.add_argument("--logs", type=Path, help="a folder to keep what the server said from each fault on")
    options = parser.parse_args()
    variant = Variant(own=options.own, programs=options.programs)
    faults = chosen(options.only, variant)
    if options.list:
        print("\n".join(fault.name for fault in faults))
        return
    outcomes = []
    with original(variant) as made:
        for number, fault in enumerate(faults):
            began = time.monotonic()
            outcomes.append(asyncio.run(play(fault, made, variant, seed=number)))
            if options.logs:
                options.logs.mkdir(exist_ok=True)
                (options.logs / f"{fault.name.replace(' ', '-')}.log").write_text(outcomes[-1].log)
            print(f"{details(outcomes[-1])}\n    (took {time.monotonic() - began:.0f} s)", flush=True)
    print(f"\n{table(outcomes)}")
    sys.exit(any(one.problems for one in outcomes))


if __name__ == "__main__":
    main()

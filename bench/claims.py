"""What is claimed of speed, what was measured of it, and the table of both.

A claim names what is measured, what stands beside it in the same run (a peer, or a limit) and how many times as fast as
that it is said to be at least. Ratios are always so: above 1 is faster than the peer, or within the limit.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table

LIMIT = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim. With a `rate` more is better; without a promise it is shown for comparison only."""

    name: str
    unit: str
    peer: str = LIMIT
    limit: float | None = None
    promised: float | None = 1.0
    rate: bool = False

    def measured(self, *pairs: tuple[float, float], ratios: Sequence[float] = ()) -> "Row":
        """Return the row of what was measured, ours and the peer's; ratios where they are not simply of these."""
        return Row(self, pairs, ratios=tuple(ratios) or tuple(self._ratio(*pair) for pair in pairs))

    def within(self, ours: float) -> "Row":
        """Return the row of what was measured beside the claim's own limit."""
        assert self.limit is not None
        return self.measured((ours, self.limit))

    def rounds(self, pairs: Sequence[tuple[float, float]]) -> "Row":
        """Return the row of rounds measured in turns: medians of either side, and of the rounds' ratios."""
        ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
        return self.measured((ours, theirs), ratios=[statistics.median(self._ratio(*pair) for pair in pairs)])

    def unmeasured(self, reason: object) -> "Row":
        """Return the row of what could not be measured."""
        return Row(self, reason=" ".join(str(reason).split())[:120] or "no reason was given")

    def _ratio(self, ours: float, theirs: float) -> float:
        return ours / theirs if self.rate else theirs / ours


@dataclass(frozen=True, slots=True)
class Row:
    """A claim, and what was measured: one pair or several (as with 1 and with 16 connections), or why nothing was."""

    claim: Claim
    pairs: tuple[tuple[float, float], ...] = ()
    ratios: tuple[float, ...] = ()
    reason: str = ""

    @property
    def met(self) -> bool | None:
        """Return whether the claim is met by the worst of the ratios; None where that is not known or not asked."""
        if not self.ratios or self.claim.promised is None:
            return None
        return min(self.ratios) >= self.claim.promised

    def cells(self) -> tuple[str, ...]:
        """Return what the table shows."""
        claim = self.claim
        promised = "" if claim.promised is None else f"{claim.promised:g}"
        if not self.pairs:
            return claim.name, f"not measured: {self.reason}", claim.peer, "", promised, ""
        ours, theirs = (" / ".join(map(figure, side)) for side in zip(*self.pairs, strict=True))
        ratios = " / ".join(map(figure, self.ratios))
        verdict = {True: "yes", False: "NO", None: ""}[self.met]
        return claim.name, f"{ours} {claim.unit}", f"{claim.peer}: {theirs}", ratios, promised, verdict


def figure(value: float) -> str:
    """Return a number with three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{2 if abs(value) >= 0.1 else 4}f}" if abs(value) < 10 else f"{value:.1f}"


def table(rows: Iterable[Row], *, title: str) -> Table:
    """Return rows as a table."""
    made = Table(title=title)
    for heading in ("what", "Winnow", "beside", "times as fast", "promised", "met"):
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*row.cells())
    return made

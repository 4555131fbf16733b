"""What was known at a moment: sums over events of a kind, strictly before it, for many moments at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.arrays import FloatArray, IntArray

type Spans = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeline:
    """Events in the order of their kind, and of their day within it.

    Attributes
    ----------
    order : places of the events as given, sorted: shape (m,)
    keys : kind and day of each as one integer, sorted: shape (m,)
    days : of the sorted events: shape (m,)
    moments : the different days, increasing
    """

    order: NDArray[np.intp]
    keys: IntArray
    days: FloatArray
    moments: FloatArray

    @classmethod
    def of(cls, kinds: IntArray, days: FloatArray) -> "Timeline":
        """Return the timeline of events of these kinds, at least 0, on these finite days: shape (m,) each."""
        moments, codes = np.unique(days, return_inverse=True)
        keys = kinds.astype(np.int64) * (moments.size + 1) + codes
        order = np.argsort(keys, kind="stable")
        return cls(order=order, keys=keys[order], days=days[order], moments=moments)

    def spans(self, kinds: IntArray, days: FloatArray, *, since: FloatArray | None = None) -> Spans:
        """Return where a kind's events before a day (and from `since` on) begin and end: shape (n,) each."""
        return self._place(kinds, since), self._place(kinds, days)

    def sums(self, spans: Spans, weights: FloatArray | None = None) -> FloatArray:
        """Return the number of events in each span, or the sum of their weights, given in the events' own order."""
        first, last = spans
        if weights is None:
            return (last - first).astype(np.float64)
        totals = np.concatenate([[0.0], np.cumsum(weights[self.order])])
        return totals[last] - totals[first]

    def latest(self, spans: Spans, *, otherwise: FloatArray) -> FloatArray:
        """Return the day of the last event in each span; `otherwise` where there is none."""
        first, last = spans
        if not self.days.size:
            return otherwise
        return np.where(last > first, self.days[np.maximum(last, 1) - 1], otherwise)

    def _place(self, kinds: IntArray, days: FloatArray | None) -> NDArray[np.intp]:
        codes = 0 if days is None else np.searchsorted(self.moments, days, side="left")
        return np.searchsorted(self.keys, kinds.astype(np.int64) * (self.moments.size + 1) + codes, side="left")

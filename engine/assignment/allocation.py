"""From a place on the line to a variant: ranges, coverage, mutual exclusion, holdout, and assignments that stick.

The line from 0 to 1 is cut by cumulative weight. Coverage shortens every range from its end and moves no start, so
that raising it keeps whoever is in. As in GrowthBook: "Build your own SDK", "Ranges" and "Namespaces".
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.arrays import FloatArray, IntArray
from engine.assignment.hashing import POSITIONS, Units, hash_fraction, outcome_of_unit, positions
from engine.errors import InvalidInput

NO_VARIANT = -1
_SUM_TOLERANCE = 0.01
_ROUNDING = 1e-6
_MANY = 8
"""Units from which on arrays are faster than numbers one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A part of the line: start <= place < end, both in [0, 1]."""

    start: float
    end: float

    def __post_init__(self) -> None:
        """Refuse ends that are not on the line."""
        if not 0.0 <= self.start <= self.end <= 1.0 + _SUM_TOLERANCE:
            raise InvalidInput(f"The range runs from {self.start} to {self.end}: pass 0 <= start <= end <= 1.")

    def __contains__(self, place: float) -> bool:
        """Tell whether a place lies in the range."""
        return self.start <= place < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A part of the units that tests with the same name and disjoint ranges never share.

    Attributes
    ----------
    name : shared by the tests that exclude each other
    range : the test's part of the line
    """

    name: str
    range: Range

    def holds(self, unit: str) -> bool:
        """Tell whether a unit may enter, by the version 1 hash with the seed ``"__" + name``."""
        return hash_fraction(unit, seed=f"__{self.name}", version=1) in self.range


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """Units kept out of all tests that name it.

    Attributes
    ----------
    seed : shared by the tests
    fraction : of all units, in [0, 1)
    """

    seed: str
    fraction: float

    def __post_init__(self) -> None:
        """Refuse a fraction that leaves nobody."""
        if not 0.0 <= self.fraction < 1.0:
            raise InvalidInput(f"The holdout is {self.fraction} of all units: pass a fraction in [0, 1).")

    def holds(self, unit: str) -> bool:
        """Tell whether a unit is kept out, by the version 2 hash."""
        return hash_fraction(unit, seed=self.seed) < self.fraction


class Reason(StrEnum):
    """Why a unit has its variant, or has none."""

    EXPOSED_BEFORE = "exposed_before"
    ALLOCATED = "allocated"
    HELD_OUT = "held_out"
    EXCLUDED = "excluded"
    NOT_COVERED = "not_covered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The decision for one unit.

    Attributes
    ----------
    variant : index of the variant; None where the unit takes no part
    reason : why
    """

    variant: int | None
    reason: Reason


def variant_ranges(weights: Sequence[float], *, coverage: float = 1.0) -> tuple[Range, ...]:
    """Cut the line by cumulative weight.

    Parameters
    ----------
    weights : of k >= 1 variants, finite, at least 0; their sum is within 0.01 of 1 and is not rescaled
    coverage : part of each range that is used, in [0, 1]

    Raises
    ------
    InvalidInput
        an argument is outside its range
    """
    _check(weights, coverage)
    starts = [0.0, *itertools.accumulate(weights)][:-1]
    return tuple(
        Range(start=start, end=start + coverage * weight) for start, weight in zip(starts, weights, strict=True)
    )


def variant_table(weights: Sequence[float], *, coverage: float = 1.0) -> NDArray[np.int16]:
    """Return the variant at each of the 10,000 positions, -1 where there is none: shape (10_000,).

    Parameters and errors as in variant_ranges.
    """
    places = np.arange(POSITIONS) / POSITIONS
    table = np.full(POSITIONS, NO_VARIANT, np.int16)
    for variant, part in enumerate(variant_ranges(weights, coverage=coverage)):
        table[(places >= part.start) & (places < part.end) & (table == NO_VARIANT)] = variant
    return table


def variant_probabilities(table: NDArray[np.int16], *, variants: int) -> FloatArray:
    """Return the exact share of positions that each variant has: shape (variants,).

    These are the propensities to log: weights are rounded to ten-thousandths by the hash.
    """
    return np.bincount(table[table >= 0], minlength=variants) / POSITIONS


def variant_of_unit(weights: Sequence[float], *, seed: str, coverage: float = 1.0) -> Callable[[str], int | None]:
    """Return the function from a unit's id to its variant's index, None where it is not covered.

    Make it once for each version of a test's weights. Parameters and errors as in variant_ranges.
    """
    table = variant_table(weights, coverage=coverage)
    return outcome_of_unit([None if variant == NO_VARIANT else int(variant) for variant in table], seed=seed)


def variants_of_units(units: Units, weights: Sequence[float], *, seed: str, coverage: float = 1.0) -> NDArray[np.int16]:
    """Return the variants of many units, -1 where a unit is not covered: shape (n,), the same as one by one."""
    return variant_table(weights, coverage=coverage)[positions(units, seed=seed)]


def assign(
    unit: str,
    allocated: Callable[[str], int | None],
    *,
    exposed: int | None = None,
    namespace: Namespace | None = None,
    holdout: Holdout | None = None,
) -> Assignment:
    """Decide one unit's variant.

    Parameters
    ----------
    unit : the unit's id
    allocated : the test's present variant_of_unit
    exposed : the variant that the unit was exposed to first, which it keeps whatever has changed since; None where it
        was not exposed yet, so that only the present weights count
    namespace : the test's part of the units, if it excludes other tests
    holdout : the units that take part in no test, if any
    """
    if exposed is not None:
        return _assignment(exposed, Reason.EXPOSED_BEFORE)
    if holdout is not None and holdout.holds(unit):
        return _assignment(None, Reason.HELD_OUT)
    if namespace is not None and not namespace.holds(unit):
        return _assignment(None, Reason.EXCLUDED)
    variant = allocated(unit)
    return _assignment(variant, Reason.NOT_COVERED if variant is None else Reason.ALLOCATED)


def moved_fraction(before: NDArray[np.int16], after: NDArray[np.int16]) -> float:
    """Return the fraction of all units, not yet exposed, whom a change from one variant table to another moves."""
    return int(np.count_nonzero(before != after)) / before.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One unit's own parts of the 10,000 positions, where each unit has its own probabilities.

    Attributes
    ----------
    starts, ends : of each variant's part, start <= position < end
    probabilities : the exact share of each variant among covered positions, to be logged; zeros where none is covered
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    probabilities: tuple[float, ...]

    def variant_at(self, position: int) -> int | None:
        """Return the variant at a position; None where there is none."""
        for variant, end in enumerate(self.ends):
            if position < end:
                return variant if position >= self.starts[variant] else None
        return None


def parts(probabilities: FloatArray, *, coverage: float = 1.0) -> list[Parts]:
    """Return units' own parts: their probabilities in ten-thousandths, as a contextual bandit gives them.

    Parameters
    ----------
    probabilities : of each unit's variants, each at least 0, each row summing to 1: shape (n, k)
    coverage : the fraction of all units that take part, in [0, 1]; ends move with it, starts never do

    Raises
    ------
    InvalidInput
        the probabilities are none, or the coverage is outside its range
    """
    if not 0.0 <= coverage <= 1.0:
        raise InvalidInput(f"The coverage is {coverage}: pass a fraction in [0, 1].")
    if len(probabilities) < _MANY:
        return [_parts(own, coverage) for own in probabilities.tolist()]
    return _parts_of_many(probabilities, coverage)


def _parts(shares: Sequence[float], coverage: float) -> Parts:
    if not (min(shares) >= 0.0 and abs(sum(shares) - 1.0) <= _SUM_TOLERANCE):
        raise InvalidInput("Each unit's probabilities are numbers of at least 0 that sum to 1: correct them.")
    places = list(itertools.accumulate(shares, initial=0.0))
    starts = [_position(place) for place in places[:-1]]
    if coverage == 1.0:
        ends = [*starts[1:], POSITIONS]
    else:
        ends = [_position(place + coverage * own) for place, own in zip(places, shares, strict=False)]
    lengths = [end - start for start, end in zip(starts, ends, strict=True)]
    total = sum(lengths) or 1
    probabilities = tuple([length / total for length in lengths])
    return Parts(starts=tuple(starts), ends=tuple(ends), probabilities=probabilities)


def _parts_of_many(shares: FloatArray, coverage: float) -> list[Parts]:
    """Return the same as `_parts` of each row, to the last bit: the same sums in the same order."""
    if not (shares.min(initial=0.0) >= 0.0 and np.abs(shares.sum(axis=1) - 1.0).max(initial=0.0) <= _SUM_TOLERANCE):
        raise InvalidInput("Each unit's probabilities are numbers of at least 0 that sum to 1: correct them.")
    places = np.zeros((len(shares), shares.shape[1] + 1))
    np.cumsum(shares, axis=1, out=places[:, 1:])
    starts = _positions(places[:, :-1])
    ends = np.full_like(starts, POSITIONS)
    if coverage == 1.0:
        ends[:, :-1] = starts[:, 1:]
    else:
        ends = _positions(places[:, :-1] + coverage * shares)
    lengths = ends - starts
    probabilities = lengths / np.maximum(lengths.sum(axis=1, keepdims=True), 1)
    columns = (starts.tolist(), ends.tolist(), probabilities.tolist())
    return [
        Parts(starts=tuple(first), ends=tuple(last), probabilities=tuple(own))
        for first, last, own in zip(*columns, strict=True)
    ]


def _positions(places: FloatArray) -> IntArray:
    return np.minimum(np.ceil(places * POSITIONS - _ROUNDING), POSITIONS).astype(np.int64)


def position_of_unit(seed: str) -> Callable[[str], int]:
    """Return the function from a unit's id to its position, by the version 2 hash, in [0, 10_000)."""
    return outcome_of_unit(range(POSITIONS), seed=seed)


def _position(place: float) -> int:
    """Return the first position at or beyond a place; what rounding added to a sum is taken off."""
    return min(math.ceil(place * POSITIONS - _ROUNDING), POSITIONS)


def choose(places: FloatArray, probabilities: FloatArray) -> NDArray[np.intp]:
    """Return the variant of each unit where each has its own probabilities, as a contextual bandit gives.

    Parameters
    ----------
    places : shape (n,), in [0, 1)
    probabilities : shape (n, k), each row at least 0 and summing to 1

    Returns
    -------
    shape (n,): the first variant whose cumulative probability exceeds the place; never one of probability 0
    """
    ends = np.cumsum(probabilities, axis=-1)
    beyond = (places[:, None] >= ends).sum(axis=-1)
    last = probabilities.shape[-1] - 1 - np.argmax(probabilities[:, ::-1] > 0.0, axis=-1)
    return np.minimum(beyond, last)


@lru_cache(maxsize=1_024)
def _assignment(variant: int | None, reason: Reason) -> Assignment:
    return Assignment(variant=variant, reason=reason)


def _check(weights: Sequence[float], coverage: float) -> None:
    if not 0.0 <= coverage <= 1.0:
        raise InvalidInput(f"The coverage is {coverage}: pass a fraction in [0, 1].")
    if not weights or not all(0.0 <= weight < math.inf for weight in weights):
        raise InvalidInput("Weights are one or more finite numbers of at least 0: correct them.")
    if abs(math.fsum(weights) - 1.0) > _SUM_TOLERANCE:
        raise InvalidInput(f"The weights sum to {math.fsum(weights)}: divide each by the sum, so that they sum to 1.")

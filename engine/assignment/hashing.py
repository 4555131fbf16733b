"""FNV-1a, 32 bit, over UTF-16 code units as in JavaScript, and GrowthBook's two hashes built on it.

Version 2 places a unit at ``fnv(str(fnv(seed + unit))) mod 10_000``, a ten-thousandth of the line from 0 to 1; version
1, which namespaces use, at ``fnv(unit + seed) mod 1_000``. Fowler, Noll and Vo, "The FNV non-cryptographic hash
algorithm" (IETF draft-eastlake-fnv), sections 2 and 5; GrowthBook's "Build your own SDK", "Hashing".
"""

from array import array
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.assignment.digits import MASK, OFFSET, PRIME, SPLIT, StateArray, digit_tables
from engine.errors import InvalidInput

type Units = Sequence[str] | NDArray[np.str_]
type CodeArray = NDArray[np.uint8] | NDArray[np.uint16]

POSITIONS = 10_000
_TAIL = 3
_UNMASKED = 48  # code units up to which it costs less to cut the state to 32 bits once, at the end
_TAIL_SCALE = pow(PRIME, _TAIL, MASK + 1)
_MOST_HEADS = 4_096
_MOST_TAILS = 4_096
_CHUNK = 16_384  # units hashed at once, so that their states stay in the processor's cache
_TAILS: dict[str, "array[int]"] = {}


def fnv1a(text: str, *, state: int = OFFSET) -> int:
    """Return the 32-bit FNV-1a hash of a text's UTF-16 code units.

    Parameters
    ----------
    text : any text; a character beyond the basic plane counts as its two surrogates
    state : the hash of what comes before the text, in [0, 2**32): fnv1a(a + b) = fnv1a(b, state=fnv1a(a))
    """
    codes = _codes(text)
    if len(codes) > _UNMASKED:
        for code in codes:
            state = ((state ^ code) * PRIME) & MASK
        return state
    for code in codes:
        state = (state ^ code) * PRIME
    return state & MASK


def hash_fraction(unit: str, *, seed: str, version: int = 2) -> float:
    """Return a unit's place on the line, in [0, 1), as GrowthBook's SDKs do.

    Parameters
    ----------
    unit : the unit's id
    seed : the seed of the test
    version : 2, in ten-thousandths; or 1, in thousandths

    Raises
    ------
    InvalidInput
        the version is neither
    """
    if version == 2:
        return fnv1a(str(fnv1a(seed + unit))) % POSITIONS / POSITIONS
    if version == 1:
        return fnv1a(unit + seed) % 1_000 / 1_000
    raise InvalidInput(f"There is no hash version {version}: pass 1 or 2.")


def outcome_of_unit[Outcome](outcomes: Sequence[Outcome], *, seed: str) -> Callable[[str], Outcome]:
    """Return the function from a unit's id to ``outcomes[position]``, by the version 2 hash.

    What ids have in common is hashed once: the seed, up to 4,096 beginnings of ids for each function, and up to 4,096
    endings of three characters for all. What is remembered never changes what is returned.

    Parameters
    ----------
    outcomes : what each of the 10,000 positions stands for
    seed : the seed of the test

    Raises
    ------
    InvalidInput
        there are not exactly 10,000 outcomes
    """
    if len(outcomes) != POSITIONS:
        raise InvalidInput(f"There are {len(outcomes)} outcomes: pass one for each of the {POSITIONS} positions.")
    tables = digit_tables()
    scaled, rows, tails = tables.scaled, tables.rows, _TAILS
    start, heads = fnv1a(seed), dict[str, tuple[int, int]]()

    def outcome(unit: str) -> Outcome:
        head, tail = unit[:-_TAIL], unit[-_TAIL:]
        if head in heads and tail in tails:
            before, low_byte = heads[head]
            state = (before + tails[tail][low_byte]) & MASK
        else:
            state = fnv1a(unit, state=start)
            if len(heads) < _MOST_HEADS or len(tails) < _MOST_TAILS:
                _remember(head, tail, start=start, heads=heads)
        leading = state // SPLIT
        return outcomes[((scaled[leading] + rows[leading][state % SPLIT]) & MASK) % POSITIONS]

    return outcome


def positions(units: Units, *, seed: str) -> NDArray[np.uint16]:
    """Return the version 2 positions of many units: 10,000 times hash_fraction, as whole numbers.

    Parameters
    ----------
    units : shape (n,), ids
    seed : the seed of the test

    Returns
    -------
    shape (n,), in [0, 10_000)
    """
    codes, lengths = _flat_codes(units if isinstance(units, list) else list[str](units))
    starts, state = np.cumsum(lengths) - lengths, fnv1a(seed)
    parts = [
        _positions(_fold(codes, starts[at : at + _CHUNK], lengths[at : at + _CHUNK], state))
        for at in range(0, len(starts), _CHUNK)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.uint16)


def _codes(text: str) -> bytes | memoryview:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return memoryview(text.encode("utf-16", "surrogatepass")[2:]).cast("H")


def _remember(head: str, tail: str, *, start: int, heads: dict[str, tuple[int, int]]) -> None:
    if len(tail) < _TAIL:
        return
    if head not in heads and len(heads) < _MOST_HEADS:
        state = fnv1a(head, state=start)
        heads[head] = (state * _TAIL_SCALE & MASK, state & 0xFF)
    if tail not in _TAILS and len(_TAILS) < _MOST_TAILS:
        codes = _codes(tail)
        if isinstance(codes, bytes):  # a wider code touches more than the low byte of the state
            _TAILS[tail] = _changes(codes)


def _changes(codes: bytes) -> "array[int]":
    """Return what the codes add to ``state * prime**n``, for each low byte of the state: 256 numbers."""
    low_bytes = np.arange(256, dtype=np.uint32)
    states = low_bytes
    for code in codes:
        states = (states ^ np.uint32(code)) * np.uint32(PRIME)
    return array("I", (states - low_bytes * np.uint32(_TAIL_SCALE)).tolist())


def _flat_codes(units: Sequence[str]) -> tuple[CodeArray, NDArray[np.intp]]:
    """Return all code units one after the other, and how many are each unit's."""
    text = "".join(units)
    codes = _codes(text)
    lengths = np.fromiter(map(len, units), np.intp, len(units))
    if len(codes) != len(text):  # a character beyond the basic plane is two code units
        lengths = np.fromiter((len(_codes(unit)) for unit in units), np.intp, len(units))
    if isinstance(codes, bytes):
        return np.frombuffer(codes, np.uint8), lengths
    return np.frombuffer(codes, np.uint16), lengths


def _fold(codes: CodeArray, starts: NDArray[np.intp], lengths: NDArray[np.intp], state: int) -> StateArray:
    """Return the states after each unit, longest units first, so that those still being read come first."""
    order = np.argsort(-lengths, kind="stable")
    starts, ascending = starts[order], np.sort(lengths)
    states = np.full(len(starts), state, np.uint32)
    for place in range(int(ascending[-1])):
        reading = len(starts) - int(np.searchsorted(ascending, place, side="right"))
        states[:reading] ^= codes[starts[:reading] + place]
        states[:reading] *= np.uint32(PRIME)
    restored = np.empty_like(states)
    restored[order] = states
    return restored


def _positions(states: StateArray) -> NDArray[np.uint16]:
    tables = digit_tables()
    leading, last = np.divmod(states, np.uint32(SPLIT))
    second = tables.scaled_states[leading] + tables.changes[tables.low_bytes[leading], last]
    return (second % np.uint32(POSITIONS)).astype(np.uint16)

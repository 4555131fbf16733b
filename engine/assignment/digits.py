"""Tables that turn a second pass of FNV-1a, over the decimal digits of a first hash, into two look-ups.

Exclusive-or with a character below 256 touches only the low byte of the state, and multiplication is linear. So after
n characters the state is ``state * prime**n + change``, where the change depends on the characters and the low byte
of the state before them alone. A 32-bit number has ten digits at most: six in front of four.
"""

from array import array
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

type StateArray = NDArray[np.uint32]

OFFSET = 0x811C9DC5
PRIME = 0x01000193
MASK = 0xFFFFFFFF
SPLIT = 10_000  # the last four digits
_BYTES = 256
_HEADS = MASK // SPLIT + 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DigitTables:
    """The second pass, for every 32-bit number.

    Attributes
    ----------
    scaled : scaled[h // 10_000] is the state after the leading digits, times prime**4; 0 where there are none
    rows : rows[h // 10_000][h % 10_000] is the change that the last four digits make
    scaled_states, low_bytes, changes : the same as arrays: shapes (429_497,), (429_497,), (257, 10_000); row 256 holds
        the states of numbers below 10_000, which have no leading digits
    """

    scaled: "array[int]"
    rows: "list[array[int]]"
    scaled_states: StateArray
    low_bytes: NDArray[np.intp]
    changes: StateArray


@lru_cache(maxsize=1)
def digit_tables() -> DigitTables:
    """Return the tables, made once a process in about 0.1 s; they take 19 MB."""
    heads, scale = np.arange(_HEADS), np.uint32(pow(PRIME, 4, MASK + 1))
    states, low_bytes = _significant(heads, 6), np.full(_HEADS, _BYTES)
    low_bytes[1:] = states[1:] & 0xFF
    scaled = states * scale
    scaled[0] = 0
    changes = _changes(scale)
    rows = [array("I", row.tolist()) for row in changes]
    return DigitTables(
        scaled=array("I", scaled.tolist()),
        rows=[rows[low_byte] for low_byte in low_bytes.tolist()],
        scaled_states=scaled,
        low_bytes=low_bytes,
        changes=changes,
    )


def _significant(numbers: NDArray[np.int_], digits: int) -> StateArray:
    """Return the state after each number's digits, leading zeros left out; 0 itself has none."""
    states = np.full(numbers.shape, OFFSET, np.uint32)
    for place in reversed(range(digits)):
        states = np.where(numbers >= 10**place, _step(states, numbers // 10**place % 10), states)
    return states


def _changes(scale: np.uint32) -> StateArray:
    tails, low_bytes = np.arange(SPLIT), np.arange(_BYTES, dtype=np.uint32)[:, None]
    states = np.broadcast_to(low_bytes, (_BYTES, SPLIT))
    for place in (1000, 100, 10, 1):
        states = _step(states, tails // place % 10)
    whole = _significant(tails, 4)
    whole[0] = ((OFFSET ^ ord("0")) * PRIME) & MASK
    return np.concatenate([states - low_bytes * scale, whole[None]])


def _step(states: StateArray, digits: NDArray[np.int_]) -> StateArray:
    return (states ^ (digits + ord("0")).astype(np.uint32)) * np.uint32(PRIME)

"""Sums of floats without rounding: a finite float is a whole number of some power of two, so its sums are integers.

Values are cut into limbs of 20 bits, so that products of limbs, added up over a block, stay whole numbers that a
float64 holds exactly (20 + 20 + 12 bits < 53); the few block sums are then joined as Python integers.
"""

from collections.abc import Iterator

import numpy as np

from engine.arrays import FloatArray, IntArray

_LIMB_BITS = 20
_BLOCK = 4096
_MANTISSA_BITS = 53


def binary_places(values: FloatArray) -> int:
    """Return the smallest k >= 0 for which every value times 2**k is a whole number.

    Parameters
    ----------
    values : shape (n,), finite
    """
    mantissas, exponents = _mantissas(values)
    present = mantissas != 0
    if not present.any():
        return 0
    lowest_bit = np.frexp((mantissas & -mantissas)[present].astype(np.float64))[1] - 1
    return max(0, -int((exponents[present] + lowest_bit).min()))


def exact_sum(values: FloatArray, places: int) -> int:
    """Return the sum of the values, times 2**places, exactly.

    Parameters
    ----------
    values : shape (n,), finite
    places : at least ``binary_places(values)``
    """
    return sum(_joined(limbs.sum(axis=1)) for limbs in _blocks(values, places))


def exact_dot(first: FloatArray, second: FloatArray, *, first_places: int, second_places: int) -> int:
    """Return the sum of products, times 2**(first_places + second_places), exactly.

    Parameters
    ----------
    first, second : shape (n,) each, finite
    first_places, second_places : at least ``binary_places`` of each
    """
    pairs = zip(_blocks(first, first_places), _blocks(second, second_places), strict=True)
    return sum(_joined(_antidiagonal_sums(left @ right.T)) for left, right in pairs)


def _mantissas(values: FloatArray) -> tuple[IntArray, IntArray]:
    fractions, exponents = np.frexp(values)
    return np.ldexp(fractions, _MANTISSA_BITS).astype(np.int64), exponents.astype(np.int64) - _MANTISSA_BITS


def _blocks(values: FloatArray, places: int) -> Iterator[FloatArray]:
    for start in range(0, len(values), _BLOCK):
        yield _limbs(values[start : start + _BLOCK], places)


def _limbs(values: FloatArray, places: int) -> FloatArray:
    """Return shape (n_limbs, n), lowest limb first, each carrying its value's sign."""
    mantissas, exponents = _mantissas(values)
    shifts = np.where(mantissas == 0, 0, exponents + places)
    count = max(1, -(-(int(shifts.max()) + _MANTISSA_BITS) // _LIMB_BITS))
    starts = _LIMB_BITS * np.arange(count)[:, None] - shifts
    sizes = np.abs(mantissas)
    down = sizes >> np.clip(starts, 0, 63)
    up = np.where(starts > -_LIMB_BITS, sizes << np.clip(-starts, 0, _LIMB_BITS), 0)
    limbs = np.where(starts >= 0, down, up) & ((1 << _LIMB_BITS) - 1)
    return (limbs * np.sign(mantissas)).astype(np.float64)


def _antidiagonal_sums(products: FloatArray) -> list[int]:
    rows, columns = products.shape
    sums = [0] * (rows + columns - 1)
    for row in range(rows):
        for column in range(columns):
            sums[row + column] += int(products[row, column])
    return sums


def _joined(limb_sums: FloatArray | list[int]) -> int:
    return sum(int(limb) << (_LIMB_BITS * place) for place, limb in enumerate(limb_sums))

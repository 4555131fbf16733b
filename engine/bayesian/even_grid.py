"""Sums over even grids, exact to rounding for smooth densities: convolution, distribution functions, comparison.

A density whose Fourier transform vanishes beyond pi / step is known everywhere from its grid values; its integral
up to a grid point is a sum of sine integrals (Stenger, 1993, "Numerical methods based on sinc and analytic functions",
section 3.6), and the trapezoidal rule integrates it, and its products with distribution functions, without error.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from scipy.special import sici

from engine.arrays import FloatArray
from engine.bayesian.quadrature import Standing, others, probability

_MOST_POINTS = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class EvenGrid:
    """The points start, start + step, ...

    Attributes
    ----------
    start, step : of the grid; step is positive
    size : number of points
    """

    start: float
    step: float
    size: int

    @classmethod
    def over(cls, low: float, high: float, *, step: float) -> Self:
        """Return a grid from low to high or just beyond; the step grows where it would take over 131,072 points."""
        wide = max(step, (high - low) / _MOST_POINTS)
        return cls(start=low, step=wide, size=math.ceil((high - low) / wide) + 1)

    @property
    def points(self) -> FloatArray:
        """The points, shape (size,)."""
        return self.start + self.step * np.arange(self.size, dtype=np.float64)


def convolved(
    first: Callable[[FloatArray], FloatArray],
    first_limits: tuple[float, float],
    second: Callable[[FloatArray], FloatArray],
    second_limits: tuple[float, float],
    grid: EvenGrid,
) -> FloatArray:
    """Return heights, on the grid, of the density of a sum of two independent variables.

    Parameters
    ----------
    first, second : heights of their densities at points of shape (m,)
    first_limits, second_limits : outside which they vanish
    grid : holds the sum of the limits
    """
    step = grid.step
    left = np.arange(first_limits[0], first_limits[1] + step, step)
    shift = round((second_limits[0] + left[0] - grid.start) / step)
    origin = grid.start + shift * step - left[0]  # so that the sums fall on the grid's points
    right = origin + step * np.arange(math.ceil((second_limits[1] - origin) / step) + 1, dtype=np.float64)
    summed = _convolution(first(left), second(right))
    heights = np.zeros(grid.size)
    begin, skip = max(shift, 0), max(-shift, 0)
    count = min(summed.size - skip, grid.size - begin)
    heights[begin : begin + count] = np.maximum(summed[skip : skip + count], 0.0)
    return heights


def ratio_heights(treatment: FloatArray, control: FloatArray, step: float) -> tuple[FloatArray, float]:
    """Return heights of the density of a difference on the same step, and the difference its first point stands for.

    Parameters
    ----------
    treatment, control : densities on one grid, shape (n,)
    step : of the grid
    """
    heights = np.maximum(_convolution(treatment, control[::-1]), 0.0)
    held = np.flatnonzero(heights > heights.max() * 1e-13)
    first, last = int(held[0]), int(held[-1]) + 1
    return heights[first:last], step * (first - (control.size - 1))


def even_standing(densities: FloatArray, grid: EvenGrid, *, control: int, higher_is_better: bool) -> Standing:
    """Return how variants stand whose logarithms have these densities; as in ``quadrature.standing``.

    Parameters
    ----------
    densities : shape (k, n), of log x, each with unit mass on the grid
    grid : of log x
    control : index of the control
    higher_is_better : False where the lowest value is best
    """
    below = _distribution(densities * grid.step)
    above = _distribution(densities[:, ::-1] * grid.step)[:, ::-1]
    if not higher_is_better:
        below, above = above, below
    beaten, exceeded = others(below, above)
    beats = (densities * below[control]).sum(axis=-1) * grid.step
    beats[control] = np.nan
    return Standing(
        probability_best=probability((densities * beaten).sum(axis=-1) * grid.step),
        expected_loss=np.maximum((below * exceeded) @ np.exp(grid.points) * grid.step, 0.0),
        probability_beats_control=probability(beats),
    )


def _distribution(masses: FloatArray) -> FloatArray:
    """Return the mass below each point, of densities known on the grid: shape (k, n)."""
    size = int(masses.shape[-1])
    kernel = _sine_integrals(size)
    length = _length(3 * size)
    product = np.fft.rfft(masses, length) * np.fft.rfft(kernel, length)
    summed = np.fft.irfft(product, length)[..., size - 1 : 2 * size - 1]
    return np.minimum(np.maximum(summed, 0.0), 1.0)


@lru_cache(maxsize=8)
def _sine_integrals(size: int) -> FloatArray:
    """Return the integrals of sinc up to whole numbers from 1 - size to size - 1."""
    offsets = np.arange(1 - size, size, dtype=np.float64)
    return 0.5 + np.asarray(sici(np.pi * offsets)[0], dtype=np.float64) / np.pi


def _convolution(first: FloatArray, second: FloatArray) -> FloatArray:
    size = first.size + second.size - 1
    if min(first.size, second.size) < 256:
        return np.convolve(first, second)
    length = _length(size)
    return np.fft.irfft(np.fft.rfft(first, length) * np.fft.rfft(second, length), length)[:size]


def _length(size: int) -> int:
    return 1 << (size - 1).bit_length()

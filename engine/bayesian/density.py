"""Posterior densities on a grid, for drawing."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.arrays import FloatArray

_CENTRAL = np.array([0.0005, 0.9995])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Density:
    """A density on a grid.

    Attributes
    ----------
    x : shape (points,), rising, the metric's unit
    density : shape (points,), per that unit, never negative
    """

    x: FloatArray
    density: FloatArray


class Drawable(Protocol):
    """Posteriors with quantiles and a density of the metric itself."""

    def quantile(self, probability: FloatArray) -> FloatArray:
        """Return the value with that probability below it; broadcast against the parameters."""
        ...

    def density(self, value: FloatArray) -> FloatArray:
        """Return the density at a value; broadcast against the parameters."""
        ...


def marginal_density(marginals: Drawable, variant: int, points: int) -> Density:
    """Return one variant's density on an even grid over its central 99.9 %.

    Parameters
    ----------
    marginals : shape (k,)
    variant : its index
    points : of the grid, at least 2
    """
    ends = marginals.quantile(_CENTRAL[:, None])[:, variant]
    values = np.linspace(float(ends[0]), float(ends[1]), points)
    return Density(x=values, density=marginals.density(values[:, None])[:, variant])

"""The Gaussian-mixture boundary of asymptotic confidence sequences, and its tuning to a target size.

After n units the boundary depends on n and the mixture's scale rho only through the *information* r = n rho**2. All of
it is Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2021), "Time-uniform central limit theory and asymptotic
confidence sequences", Theorem 2.2 and appendix B.2; the mixture itself is Robbins (1970), section 4.
"""

import math
from functools import lru_cache

import numpy as np
from scipy.special import lambertw

from engine.arrays import FloatArray


@lru_cache(maxsize=256)
def target_information(alpha: float) -> float:
    """Return the information at which the boundary is narrowest relative to that of a fixed sample.

    Parameters
    ----------
    alpha : error rate of the sequence, in (0, 1)

    Returns
    -------
    r* = -W(-alpha**2 / e) - 1 on the branch -1 of Lambert's W; rho**2 is r* over the target size. It solves
    r* = log((r* + 1) / alpha**2), where the derivative of the boundary's width by r is 0.
    """
    return float(-lambertw(-(alpha**2) / math.e, -1).real - 1.0)


def information(units: float, *, target: float, alpha: float) -> float:
    """Return r after so many units, for a boundary that is narrowest at the target."""
    return target_information(alpha) * units / target


def boundary(reached: float, *, alpha: float) -> float:
    """Return the half-width of the interval in standard errors.

    Parameters
    ----------
    reached : information r, above 0
    alpha : error rate of the whole sequence, in (0, 1)

    Returns
    -------
    sqrt((r + 1) / r * log((r + 1) / alpha**2)): Theorem 2.2's half-width over sigma / sqrt(n)
    """
    return math.sqrt((reached + 1.0) / reached * math.log((reached + 1.0) / alpha**2))


def always_valid_p(statistic: float, reached: float) -> float:
    """Return the smallest alpha whose interval leaves out 0, at a fixed mixture.

    Parameters
    ----------
    statistic : the difference in standard errors
    reached : information r, above 0

    Returns
    -------
    sqrt(r + 1) exp(-z**2 r / (2 (r + 1))), at most 1: the boundary solved for alpha. Johari, Koomen, Pekelis and
    Walsh (2022), "Always valid inference", eq. 7, is the same mixture.
    """
    exponent = 0.5 * (math.log1p(reached) - statistic**2 * reached / (reached + 1.0))
    return math.exp(min(0.0, exponent))


def boundary_batch(reached: FloatArray, *, alpha: float) -> FloatArray:
    """Return ``boundary`` of an array, any shape."""
    return np.sqrt((reached + 1.0) / reached * np.log((reached + 1.0) / alpha**2))


def always_valid_p_batch(statistic: FloatArray, reached: FloatArray) -> FloatArray:
    """Return ``always_valid_p`` of two arrays of one shape."""
    exponent = 0.5 * (np.log1p(reached) - statistic**2 * reached / (reached + 1.0))
    return np.exp(np.minimum(0.0, exponent))

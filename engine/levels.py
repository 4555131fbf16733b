"""Confidence levels and the normal quantiles that belong to them."""

import math
from functools import lru_cache

from scipy.special import ndtri

from engine.errors import InvalidInput

_ROOT_TWO = math.sqrt(2.0)


def error_rate(level: float, *, comparisons: int = 1) -> float:
    """Return alpha = (1 - level) / comparisons, the chance of a false call each comparison may take (Bonferroni).

    Parameters
    ----------
    level : confidence level, in (0, 1)
    comparisons : how many share the chance, at least 1

    Raises
    ------
    InvalidInput
        the level is outside (0, 1), or comparisons is below 1
    """
    if not 0.0 < level < 1.0:
        raise InvalidInput(f"The level is {level}: pass a fraction between 0 and 1, such as 0.95.")
    if comparisons < 1:
        raise InvalidInput(f"There are {comparisons} comparisons: pass at least one treatment beside the control.")
    return (1.0 - level) / comparisons


@lru_cache(maxsize=256)
def normal_quantile(probability: float) -> float:
    """Return z with P(Z <= z) = probability, for Z standard normal; probability in (0, 1)."""
    return float(ndtri(probability))


def two_sided_quantile(alpha: float) -> float:
    """Return z with P(|Z| >= z) = alpha, for Z standard normal; alpha in (0, 1)."""
    return -normal_quantile(alpha / 2.0)


def two_sided_p(statistic: float) -> float:
    """Return P(|Z| >= |statistic|), for Z standard normal, accurate far into the tail."""
    return math.erfc(abs(statistic) / _ROOT_TWO)


def normal_cdf(value: float) -> float:
    """Return P(Z <= value), for Z standard normal, accurate far into the lower tail."""
    return 0.5 * math.erfc(-value / _ROOT_TWO)

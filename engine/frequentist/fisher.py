"""Fisher's exact test, and its extension by Freeman and Halton to more than two variants."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from engine.arrays import FloatArray, IntArray
from engine.frequentist.chi_squared import check_table
from engine.frequentist.results import FrequentistTest, OmnibusResult
from engine.summaries import ProportionSummary

MAXIMUM_TABLES = 200_000
"""Up to this many tables are enumerated; beyond, tables are drawn."""

MONTE_CARLO_DRAWS = 10_000
"""They leave a standard error of 0.002 on a p-value of 0.05, and cost a few milliseconds."""

_MANY = 10**9  # tables need not be counted further, and sums of such counts stay within 64 bits
_SAME = 1e-7  # tables whose log-probabilities differ by rounding alone count as equally likely, as in R's fisher.test
_SEED = 20_261_124


def fisher_exact_test(
    summaries: Sequence[ProportionSummary], *, rng: np.random.Generator | None = None
) -> OmnibusResult:
    """Return the exact conditional test that the variants convert alike.

    With both margins held, the p-value is the probability of all tables no likelier than the one observed.
    Up to ``MAXIMUM_TABLES`` tables are enumerated; a larger set is sampled, and the result's ``method`` says so.

    Parameters
    ----------
    summaries : one a variant, two or more
    rng : for the sampled case; by default one with a fixed seed, so that the same summaries give the same answer

    Returns
    -------
    no statistic; two-sided p-value. Fisher (1935); Freeman and Halton (1951), "Note on an exact treatment of
    contingency, goodness of fit and other problems of significance"; sampled: Phipson and Smyth (2010), eq. 2.

    Raises
    ------
    InvalidInput
        fewer than two variants
    NotEnoughData
        a variant without units, or no unit converted, or all did
    """
    check_table(summaries)
    exposed, counts = _rarer_outcome(summaries)
    if _table_count(exposed, int(counts.sum())) <= MAXIMUM_TABLES:
        return _result("exact conditional test over all tables", exposed, enumerated_p(exposed, counts))
    p_value = sampled_p(exposed, counts, rng=rng or np.random.default_rng(_SEED))
    return _result(f"conditional test over {MONTE_CARLO_DRAWS} drawn tables (Monte Carlo)", exposed, p_value)


def pair_p(control: ProportionSummary, treatment: ProportionSummary) -> float:
    """Return Fisher's two-sided p-value of a pair; 1 where only one table is possible."""
    exposed, counts = _rarer_outcome((control, treatment))
    return enumerated_p(exposed, counts)


def enumerated_p(exposed: IntArray, counts: IntArray) -> float:
    """Return the probability of all tables with these margins that are no likelier than this one.

    Parameters
    ----------
    exposed, counts : shape (n_variants,); how many units each variant has, and how many had the outcome
    """
    order = np.argsort(np.minimum(exposed, int(counts.sum())), kind="stable")
    exposed, counts = exposed[order], counts[order]  # the widest range last, where it needs no enumerating
    ranges = _ranges(exposed, int(counts.sum()))
    weights = _table_log_weights(ranges, int(counts.sum()))
    shares = np.exp(weights - weights.max())
    observed = sum(one.log_weights[count - one.low] for one, count in zip(ranges, counts, strict=True))
    return min(1.0, float(shares[weights <= observed + _SAME].sum() / shares.sum()))


def sampled_p(exposed: IntArray, counts: IntArray, *, rng: np.random.Generator) -> float:
    """Return an estimate of ``enumerated_p`` from drawn tables, never 0: (1 + no likelier) / (1 + draws)."""
    drawn = rng.multivariate_hypergeometric(exposed, int(counts.sum()), size=MONTE_CARLO_DRAWS, method="marginals")
    tables = np.vstack([drawn, counts]).astype(np.float64)
    weights = -(gammaln(tables + 1.0) + gammaln(exposed - tables + 1.0)).sum(axis=1)
    no_likelier = int((weights[:-1] <= weights[-1] + _SAME).sum())
    return (1 + no_likelier) / (1 + MONTE_CARLO_DRAWS)


@dataclass(frozen=True, slots=True)
class _Range:
    """The counts a variant can have, from low on, with the logs of their binomial coefficients relative to low's."""

    low: int
    log_weights: FloatArray


def _ranges(exposed: IntArray, total: int) -> list[_Range]:
    others = int(exposed.sum()) - exposed
    return [_range(int(units), max(0, total - int(rest)), total) for units, rest in zip(exposed, others, strict=True)]


def _range(units: int, low: int, total: int) -> _Range:
    counts = np.arange(low, min(units, total))
    steps = np.log((units - counts) / (counts + 1.0))  # C(n, x + 1) / C(n, x)
    return _Range(low, np.concatenate([[0.0], np.cumsum(steps)]))


def _rarer_outcome(summaries: Sequence[ProportionSummary]) -> tuple[IntArray, IntArray]:
    """Return units, and the counts of the rarer outcome: both give the same test, the rarer one by fewer tables."""
    exposed = np.array([summary.exposed for summary in summaries])
    converted = np.array([summary.converted for summary in summaries])
    return exposed, min(converted, exposed - converted, key=lambda counts: int(counts.sum()))


def _table_count(exposed: IntArray, total: int) -> int:
    """Return how many tables have these margins, by dynamic programming over running totals; capped when too many."""
    if len(exposed) == 2:
        return min(int(exposed.min()), total) + 1
    if total > MAXIMUM_TABLES:
        return total
    ways = np.zeros(total + 1, dtype=np.int64)
    ways[0] = 1
    for units in exposed:
        summed = np.cumsum(ways)
        reach = summed.copy()
        reach[units + 1 :] -= summed[: max(0, total - int(units))]
        ways = np.minimum(reach, _MANY)
    return int(ways[total])


def _table_log_weights(ranges: list[_Range], total: int) -> FloatArray:
    """Return the log-weight of every table, built variant by variant; the last one takes what is left of the total."""
    totals, weights = np.zeros(1, dtype=np.int64), np.zeros(1)
    for place, one in enumerate(ranges[:-1]):
        reached = (totals[:, None] + one.low + np.arange(len(one.log_weights))).ravel()
        joined = (weights[:, None] + one.log_weights).ravel()
        least, most = _room(ranges[place + 1 :])
        possible = (reached + least <= total) & (reached + most >= total)
        totals, weights = reached[possible], joined[possible]
    return weights + ranges[-1].log_weights[total - totals - ranges[-1].low]


def _room(ranges: list[_Range]) -> tuple[int, int]:
    """Return the least and the most that these variants together can have."""
    least = sum(one.low for one in ranges)
    return least, least + sum(len(one.log_weights) - 1 for one in ranges)


def _result(method: str, exposed: IntArray, p_value: float) -> OmnibusResult:
    name = "Fisher's " if len(exposed) == 2 else "Freeman-Halton extension of Fisher's test: "
    return OmnibusResult(
        test=FrequentistTest.FISHER_EXACT,
        method=name + method,
        statistic=None,
        degrees_of_freedom=None,
        p_value=p_value,
    )

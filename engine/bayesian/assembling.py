"""From posterior families to results: the part that all closed forms share."""

from collections.abc import Callable, Sequence
from functools import partial

from engine.bayesian.density import Density, marginal_density
from engine.bayesian.intervals import Interval
from engine.bayesian.lift import lift_estimate
from engine.bayesian.marginals import Marginals
from engine.bayesian.quadrature import Standing, standing
from engine.bayesian.results import BatchPosterior, BayesianResult, VariantPosterior
from engine.bayesian.tabulated import Tabulated
from engine.effects import IntervalEstimate

type Ratio = Callable[[int], Tabulated | None]


def closed_form(
    model: str,
    marginals: Marginals,
    *,
    interval: Interval,
    ratio: Ratio,
    control: int,
    level: float,
    higher_is_better: bool,
) -> BayesianResult:
    """Return the result of one test.

    Parameters
    ----------
    model : its name
    marginals : posteriors, shape (k,)
    interval : highest-density intervals, two arrays of shape (k,)
    ratio : the ratio of a treatment's value to the control's, by the treatment's index
    control, level, higher_is_better : as in the analyses
    """
    means, (low, high) = marginals.mean.tolist(), (ends.tolist() for ends in interval)
    estimates = [IntervalEstimate(point=means[i], low=low[i], high=high[i]) for i in range(len(means))]
    lifts = [None if i == control else _lift(ratio(i), level) for i in range(len(means))]
    curves = [partial(marginal_density, marginals, i) for i in range(len(means))]
    compared = standing(marginals, control=control, higher_is_better=higher_is_better)
    return BayesianResult(
        model=model,
        level=level,
        control=control,
        variants=variant_posteriors(compared, control, estimates, lifts, curves),
    )


def variant_posteriors(
    compared: Standing,
    control: int,
    estimates: Sequence[IntervalEstimate],
    lifts: Sequence[IntervalEstimate | None],
    curves: Sequence[Callable[[int], Density]],
) -> tuple[VariantPosterior, ...]:
    """Return one posterior a variant from what was computed of each."""
    best, loss = compared.probability_best.tolist(), compared.expected_loss.tolist()
    beats = compared.probability_beats_control.tolist()
    return tuple(
        VariantPosterior(
            variant=i,
            mean=estimates[i],
            lift=lifts[i],
            probability_best=best[i],
            probability_beats_control=None if i == control else beats[i],
            expected_loss=loss[i],
            curve=curves[i],
        )
        for i in range(len(estimates))
    )


def batch(marginals: Marginals, *, interval: Interval, control: int, higher_is_better: bool) -> BatchPosterior:
    """Return the results of many tests, from posteriors of shape (n, k)."""
    compared = standing(marginals, control=control, higher_is_better=higher_is_better)
    return BatchPosterior(
        mean=marginals.mean,
        low=interval[0],
        high=interval[1],
        probability_best=compared.probability_best,
        probability_beats_control=compared.probability_beats_control,
        expected_loss=compared.expected_loss,
    )


def _lift(ratio: Tabulated | None, level: float) -> IntervalEstimate | None:
    return None if ratio is None else lift_estimate(ratio, level=level)

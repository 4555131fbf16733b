"""What every Bayesian analysis returns."""

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.arrays import FloatArray
from engine.bayesian.density import Density
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantPosterior:
    """What is believed of one variant.

    Attributes
    ----------
    variant : index among the summaries given
    mean : posterior mean with its highest-density interval, the metric's unit
    lift : posterior median of the lift over control with its highest-density interval, fractions; None for the control,
        and where the control's value is not told from 0
    probability_best : that no other variant's value is better, in [0, 1]; they sum to 1
    probability_beats_control : that this value is better than the control's; None for the control
    expected_loss : what choosing this variant is expected to cost, the metric's unit, never negative
    curve : makes the density; ask ``density`` instead
    """

    variant: int
    mean: IntervalEstimate
    lift: IntervalEstimate | None
    probability_best: float
    probability_beats_control: float | None
    expected_loss: float
    curve: Callable[[int], Density] = field(repr=False, compare=False)

    def density(self, points: int = 64) -> Density:
        """Return the posterior density on an even grid over its central 99.9 %.

        Parameters
        ----------
        points : how many, from 2 to 10,000

        Raises
        ------
        InvalidInput
            another number of points
        """
        if not 2 <= points <= 10_000:
            raise InvalidInput(f"A density was asked for at {points} points: pass a number from 2 to 10,000.")
        return self.curve(points)


@dataclass(frozen=True, slots=True, kw_only=True)
class BayesianResult:
    """The posteriors of a test's variants.

    Attributes
    ----------
    model : what was fitted: beta-binomial, gamma-poisson, normal, ratio-normal, hurdle, hierarchical,
        hierarchical-hurdle
    level : mass inside every interval
    control : index of the control
    variants : one a variant, in the order of the summaries
    r_hat : the largest split R-hat of a sampler; None for closed forms
    effective_sample_size : the smallest bulk effective sample size of a sampler; None for closed forms
    """

    model: str
    level: float
    control: int
    variants: tuple[VariantPosterior, ...]
    r_hat: float | None = None
    effective_sample_size: float | None = None

    @property
    def converged(self) -> bool:
        """True: what has not converged raises instead of being returned."""
        return True

    @property
    def best(self) -> VariantPosterior:
        """The variant most probably best."""
        return max(self.variants, key=lambda posterior: posterior.probability_best)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchPosterior:
    """Posteriors of many tests at once, every array of shape (n_tests, n_variants).

    Attributes
    ----------
    mean : posterior means, the metric's unit
    low, high : ends of the highest-density intervals
    probability_best : each test's sum to 1
    probability_beats_control : NaN at the control
    expected_loss : the metric's unit, never negative
    """

    mean: FloatArray
    low: FloatArray
    high: FloatArray
    probability_best: FloatArray
    probability_beats_control: FloatArray
    expected_loss: FloatArray

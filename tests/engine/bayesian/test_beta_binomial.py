import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from engine.bayesian.beta_binomial import analyze_proportions, analyze_proportions_batch, beta_posterior
from engine.bayesian.priors import BetaPrior
from engine.errors import InvalidInput, NotEnoughData
from engine.summaries import ProportionSummary

COOKIE_CATS = [ProportionSummary(converted=8502, exposed=44700), ProportionSummary(converted=8279, exposed=45489)]


def test_cookie_cats() -> None:
    """Day-7 retention: P(gate 30 better) by SciPy 1.18's beta distributions and adaptive quadrature."""
    from scipy.integrate import quad

    first, second = stats.beta(8503, 36199), stats.beta(8280, 37211)
    better = quad(lambda x: first.pdf(x) * second.cdf(x), 0.17, 0.21, epsabs=1e-13, limit=500)[0]
    result = analyze_proportions(COOKIE_CATS)
    assert_allclose(result.variants[0].probability_best, better, atol=1e-9)
    assert_allclose([v.mean.point for v in result.variants], [first.mean(), second.mean()], rtol=1e-12)
    assert result.best.variant == 0
    lift = result.variants[1].lift
    assert lift is not None
    assert -0.08 < lift.low < lift.point < lift.high < 0.0


def test_what_belongs_to_the_control() -> None:
    result = analyze_proportions(COOKIE_CATS, control=1)
    assert result.variants[1].lift is None
    assert result.variants[1].probability_beats_control is None
    assert_allclose(result.variants[0].probability_beats_control, result.variants[0].probability_best, atol=1e-12)
    assert (result.model, result.converged, result.r_hat) == ("beta-binomial", True, None)


def test_lower_is_better_turns_the_answer_round() -> None:
    high, low = analyze_proportions(COOKIE_CATS), analyze_proportions(COOKIE_CATS, higher_is_better=False)
    assert_allclose(low.variants[1].probability_best, high.variants[0].probability_best, atol=1e-12)
    assert_allclose(low.variants[1].expected_loss, high.variants[0].expected_loss, atol=1e-12)
    assert low.variants[1].lift == high.variants[1].lift


def test_stated_prior_is_worth_its_units() -> None:
    prior = BetaPrior.stated(rate=0.2, units=100)
    posterior = beta_posterior([10, 20], [100, 100], prior=prior)
    assert_allclose(posterior.mean, [30 / 200, 40 / 200])


def test_density_is_the_betas_and_survives_a_pickle() -> None:
    posterior = analyze_proportions(COOKIE_CATS).variants[0]
    density = pickle.loads(pickle.dumps(posterior)).density(200)  # noqa: S301  # our own bytes
    assert density.x.shape == density.density.shape == (200,)
    assert_allclose(density.density, stats.beta(8503, 36199).pdf(density.x), rtol=1e-7)
    assert_allclose(np.trapezoid(density.density, density.x), 0.999, atol=1e-4)


def test_batch_agrees_with_single_tests() -> None:
    rng = np.random.default_rng(5)
    exposed = rng.integers(10, 3000, (20, 3))
    converted = rng.binomial(exposed, 0.2)
    together = analyze_proportions_batch(converted, exposed, control=1, level=0.9)
    for row in range(20):
        counts = zip(converted[row], exposed[row], strict=True)
        alone = analyze_proportions(
            [ProportionSummary(converted=int(x), exposed=int(n)) for x, n in counts], control=1, level=0.9
        )
        for column, variant in enumerate(alone.variants):
            assert_allclose(together.probability_best[row, column], variant.probability_best, atol=1e-12)
            assert_allclose(together.expected_loss[row, column], variant.expected_loss, atol=1e-12)
            assert_allclose(together.low[row, column], variant.mean.low, atol=1e-9)
            assert_allclose(together.high[row, column], variant.mean.high, atol=1e-9)


@pytest.mark.parametrize(
    ("converted", "exposed", "error", "words"),
    [
        ([1.0, math.nan], [5, 5], InvalidInput, "NaN or infinite: leave"),
        ([1, -1], [5, 5], InvalidInput, "negative: pass 0"),
        ([1, 6], [5, 5], InvalidInput, "More units converted"),
        ([1], [5], InvalidInput, "two variants or more"),
        ([[[1, 2]]], [[[5, 5]]], InvalidInput, "two variants or more"),
        ([1, 2], [5, 5, 5], InvalidInput, "Shapes differ"),
        ([0, 2], [0, 5], NotEnoughData, "Variant 0 has 0 exposed units.*wait"),
    ],
)
def test_degenerate_counts_are_refused(converted: object, exposed: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        beta_posterior(converted, exposed)


def test_degenerate_questions_are_refused() -> None:
    with pytest.raises(InvalidInput, match="pass an index"):
        analyze_proportions(COOKIE_CATS, control=2)
    with pytest.raises(InvalidInput, match=r"such as 0\.95"):
        analyze_proportions(COOKIE_CATS, level=95)
    with pytest.raises(InvalidInput, match="two variants or more"):
        analyze_proportions(COOKIE_CATS[:1])
    with pytest.raises(NotEnoughData, match="wait for more exposures"):
        analyze_proportions([COOKIE_CATS[0], ProportionSummary(converted=0, exposed=0)])
    with pytest.raises(InvalidInput, match="from 2 to 10,000"):
        analyze_proportions(COOKIE_CATS).variants[0].density(1)

import numpy as np
from numpy.testing import assert_allclose
from scipy import stats

from engine.bayesian.draws import drawn_density, drawn_interval, drawn_posteriors, expected_loss, probability_best


def test_loss_and_probability_by_hand() -> None:
    draws = np.array([[1.0, 2.0, 0.0], [3.0, 1.0, 0.0], [5.0, 4.0, 0.0], [1.0, 1.5, 0.0]])
    assert_allclose(expected_loss(draws), [(1 + 0 + 0 + 0.5) / 4, (0 + 2 + 1 + 0) / 4, (2 + 3 + 5 + 1.5) / 4])
    assert_allclose(probability_best(draws), [0.5, 0.5, 0.0])
    assert_allclose(probability_best(draws, higher_is_better=False), [0.0, 0.0, 1.0])
    assert expected_loss(draws, higher_is_better=False)[2] == 0.0


def test_interval_and_density_of_normal_draws() -> None:
    draws = np.random.default_rng(1).standard_normal(200_000)
    assert_allclose(drawn_interval(draws, level=0.95), stats.norm.interval(0.95), atol=0.05)
    density = drawn_density(draws[:20_000], 50)
    assert_allclose(density.density, stats.norm.pdf(density.x), atol=0.02)


def test_posteriors_say_what_the_draws_say() -> None:
    rng = np.random.default_rng(2)
    draws = rng.normal([1.0, 1.1], [0.05, 0.05], (50_000, 2))
    control, treatment = drawn_posteriors(draws, control=0, level=0.9, higher_is_better=False)
    assert control.lift is None
    assert treatment.lift is not None
    assert_allclose(treatment.lift.point, 0.1, atol=0.01)
    assert_allclose(treatment.probability_beats_control, stats.norm.cdf(-0.1 / np.hypot(0.05, 0.05)), atol=0.01)
    assert_allclose(np.trapezoid(treatment.density(64).density, treatment.density(64).x), 1.0, atol=0.02)

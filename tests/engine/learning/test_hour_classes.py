import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, logit
from scipy.stats import multivariate_normal

from engine.learning.hour_classes import HourClasses, fit_hour_classes
from engine.learning.hour_shapes import circular_covariance, fit_shapes, linearised
from engine.learning.send_times import fit_send_times

HOURS = np.arange(24)


def kinds(seed: int, *, users: int = 240, sends: int = 240) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return open rates, opens and sends by hour of users of twelve kinds, each with two narrow peaks of its own."""
    rng = np.random.default_rng(seed)
    first = np.arange(users) % 12
    apart = np.abs(HOURS - 2 * first[:, None]) % 24
    near = np.minimum(apart, 24 - apart)
    other = np.abs(HOURS - (2 * first[:, None] + 9) % 24)
    rates = 0.03 + 0.5 * (near == 0) + 0.3 * (np.minimum(other, 24 - other) == 0)
    sent = rng.multinomial(sends, np.full(24, 1 / 24), size=users)
    return rates, rng.binomial(sent, rates).astype(float), sent.astype(float)


def classes_of(opened: np.ndarray, sent: np.ndarray) -> tuple[HourClasses, ...]:
    places = np.zeros(len(sent), dtype=int)
    shapes = fit_shapes(opened, sent, segments=places, count=1)
    return fit_hour_classes(opened, sent, segments=places, count=1, shapes=shapes)


@pytest.mark.slow
def test_kinds_of_days_are_found_and_make_the_advice_better() -> None:
    rates, opened, sent = kinds(1)
    model, places = fit_send_times(opened, sent), np.zeros(len(sent), dtype=int)
    again = classes_of(opened, sent)
    assert len(model.classes) == 2
    for one, other in zip(model.classes, again, strict=True):
        assert_allclose(one.means, other.means)
        assert_allclose(one.weights.sum(axis=1), 1.0)
    rows = np.arange(len(sent))
    values = []
    for fitted in (model, type(model)(shapes=model.shapes, segment_sends=model.segment_sends, tried=model.tried)):
        advice = fitted.advise(opened, sent, segments=places)
        values.append(rates[rows, [each.hour for each in advice]].mean())
    assert values[0] >= values[1]
    assert values[0] > 0.97 * rates.max(axis=1).mean()
    advice = model.advise(opened, sent, segments=places)
    held = [
        each.open_probability.low <= rates[row, each.hour] <= each.open_probability.high
        for row, each in enumerate(advice)
    ]
    assert np.mean(held) > 0.85


def test_days_of_one_smooth_kind_need_no_classes() -> None:
    rng = np.random.default_rng(2)
    root = np.linalg.cholesky(circular_covariance(level=0.5, shape=0.7))
    rates = expit(-1.5 + rng.standard_normal((300, 24)) @ root.T)
    sent = np.full((300, 24), 4.0)
    assert classes_of(rng.binomial(4, rates).astype(float), sent) == ()


def test_few_users_have_no_classes() -> None:
    _, opened, sent = kinds(3, users=150)
    assert classes_of(opened, sent) == ()


def test_shares_and_moments_against_scipy() -> None:
    """Two classes, counts large enough that one linearisation at the truth is all: the marginals are normal."""
    rng = np.random.default_rng(4)
    means = np.array([np.where(HOURS < 12, -1.0, -2.0), np.where(HOURS < 12, -1.3, -1.8)])
    within = circular_covariance(level=0.2, shape=0.2)
    sent = np.full((3, 24), 30.0)
    opened = rng.binomial(30, 0.2, (3, 24)).astype(float)
    start = logit((opened + 1.0) / (sent + 2.0))
    model = HourClasses(means=means, weights=np.array([[0.3, 0.7], [0.5, 0.5]]), within=within)
    _, found, variance = model.moments(start, opened, sent, segments=np.array([0, 0, 1]))
    values = start
    for _ in range(3):
        information, answers = linearised(values, opened, sent)
        expected = []
        for user in range(3):
            noise = np.diag(1.0 / information[user])
            seen = answers[user] / information[user]
            likely = [multivariate_normal.pdf(seen, mean, within + noise) for mean in means]
            shares = np.array(likely) * model.weights[0 if user < 2 else 1]
            shares /= shares.sum()
            gain = within @ np.linalg.inv(within + noise)
            given = np.array([mean + gain @ (seen - mean) for mean in means])
            spread = np.diag(within - gain @ within)
            mean = shares @ given
            expected.append((mean, spread + shares @ (given - mean) ** 2))
        values = np.array([mean for mean, _ in expected])
    assert_allclose(found, values, rtol=1e-6)
    assert_allclose(variance, [spread for _, spread in expected], rtol=1e-4)

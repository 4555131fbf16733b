import numpy as np
from numpy.testing import assert_allclose
from scipy.special import logit

from engine.learning.hour_shapes import circular_covariance, diagonal, fit_shapes, linearised


def test_the_covariance_goes_around_the_clock() -> None:
    covariance = circular_covariance(level=0.5, shape=0.7)
    assert_allclose(covariance[0], np.roll(covariance, (5, 5), axis=(0, 1))[0], atol=1e-12)
    assert_allclose(covariance[0, 23], covariance[0, 1])
    assert np.linalg.eigvalsh(covariance).min() > 0.0


def test_linearised_is_exact_at_the_answer() -> None:
    sent, opened = np.array([[10.0, 40.0]]), np.array([[2.0, 20.0]])
    information, answers = linearised(logit(opened / sent), opened, sent)
    assert_allclose(answers / information, logit(opened / sent))
    assert_allclose(information, [[1.6, 10.0]])
    assert diagonal(information).shape == (1, 2, 2)


def test_large_counts_stand_by_themselves() -> None:
    rng = np.random.default_rng(1)
    rates = np.exp(rng.normal(-1.5, 0.4, (12, 24)))
    sent = np.full(rates.shape, 1e6)
    shapes = fit_shapes(rates * sent, sent, segments=np.zeros(12, dtype=int), count=1)
    logits, covariances = shapes.users(rates * sent, sent, segments=np.zeros(12, dtype=int))
    assert_allclose(logits, logit(rates), atol=1e-2)
    assert_allclose(np.diagonal(covariances, axis1=1, axis2=2), 1.0 / (sent * rates * (1.0 - rates)), rtol=1e-2)


def test_users_without_counts_have_their_segment() -> None:
    rng = np.random.default_rng(2)
    sent = np.full((30, 24), 5.0)
    opened = rng.binomial(5, 0.2, sent.shape).astype(float)
    segments = np.arange(30) % 2
    shapes = fit_shapes(opened, sent, segments=segments, count=2)
    logits, _ = shapes.users(np.zeros((2, 24)), np.zeros((2, 24)), segments=np.array([0, 1]))
    assert_allclose(logits, shapes.segments, atol=1e-9)


def test_rare_events_converge() -> None:
    opened = np.zeros((40, 24))
    opened[:, 18] = 3.0
    sent = np.full(opened.shape, 300.0)
    shapes = fit_shapes(opened, sent, segments=np.zeros(40, dtype=int), count=1)
    assert np.isfinite(shapes.common).all()
    assert int(np.argmax(shapes.common)) == 18

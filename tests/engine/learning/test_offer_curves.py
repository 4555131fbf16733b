import numpy as np
from numpy.testing import assert_allclose
from scipy.special import logit

from engine.learning.offer_curves import Rows, fit_pooled, group_alike, smooth_covariance


def rows_of(converted: list[float], sent: list[float]) -> Rows:
    return Rows(
        weights=np.eye(len(sent)), terms=np.zeros((len(sent), 0)), converted=np.array(converted), sent=np.array(sent)
    )


def test_large_samples_stand_by_themselves() -> None:
    rates = np.array([[0.1, 0.2, 0.4], [0.3, 0.5, 0.55]])
    curves = fit_pooled([rows_of((rate * 1e7).tolist(), [1e7] * 3) for rate in rates])
    assert_allclose(curves.values, logit(rates), atol=1e-3)
    expected = 1.0 / (1e7 * rates * (1.0 - rates))
    assert_allclose(np.diagonal(curves.covariances, axis1=1, axis2=2), expected, rtol=1e-2)


def test_a_small_campaign_leans_on_the_others() -> None:
    large = [rows_of([100.0, 200.0, 300.0], [1000.0] * 3) for _ in range(8)]
    curves = fit_pooled([*large, rows_of([3.0, 0.0, 1.0], [5.0] * 3)])
    assert np.abs(curves.values[-1] - curves.values[0]).max() < 0.7
    assert (np.diagonal(curves.covariances[-1]) > np.diagonal(curves.covariances[0])).all()


def test_counting_alike_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    place, outcome = rng.integers(0, 3, 300), (rng.random(300) < 0.3).astype(float)
    single = Rows(weights=np.eye(3)[place], terms=np.zeros((300, 0)), converted=outcome, sent=np.ones(300))
    first, converted, sent = group_alike(np.zeros(300, dtype=int), place.astype(float), outcome)
    assert sent.sum() == 300
    counted = rows_of(converted.tolist(), sent.tolist())
    assert place[first].tolist() == [0, 1, 2]
    assert_allclose(fit_pooled([single]).values, fit_pooled([counted]).values, atol=1e-9)


def test_smooth_covariance_is_positive_definite() -> None:
    assert np.linalg.eigvalsh(smooth_covariance(9, level=0.6, shape=0.25)).min() > 0.0

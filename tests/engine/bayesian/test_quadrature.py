from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import special, stats

from engine.bayesian.marginals import BetaMarginals, GammaMarginals, StudentMarginals
from engine.bayesian.quadrature import standing


def beta(converted: list[int], exposed: list[int]) -> BetaMarginals:
    x, n = np.array(converted, dtype=float), np.array(exposed, dtype=float)
    return BetaMarginals(alpha=x + 1.0, beta=n - x + 1.0)


def beats(a2: int, b2: int, a1: int, b1: int) -> Decimal:
    """P(Beta(a2, b2) > Beta(a1, b1)), by the finite sum of Miller (2015), "Formulas for Bayesian A/B testing", eq. 6.

    In 60 decimal digits; each term follows from the last, the first is B(a1, b1 + b2) / B(a1, b1).
    """
    with localcontext() as context:
        context.prec = 60
        term = Decimal(1)
        for i in range(a1):
            term *= Decimal(b1 + i) / Decimal(b1 + b2 + i)
        total = Decimal(0)
        for i in range(a2):
            total += term
            term *= Decimal(a1 + i) / Decimal(a1 + b1 + b2 + i) * Decimal(b2 + i) / Decimal(1 + i)
        return total


def exact(converted: list[int], exposed: list[int]) -> float:
    (a1, a2), (b1, b2) = ([x + 1 for x in converted], [n - x + 1 for x, n in zip(converted, exposed, strict=True)])
    return float(beats(a2, b2, a1, b1))


@pytest.mark.parametrize(
    ("converted", "exposed"),
    [
        ([120, 150], [1000, 1010]),
        ([0, 0], [3, 3]),
        ([0, 3], [3, 3]),
        ([9, 0], [9, 5]),
        ([5, 8], [10_000_000, 10_000_000]),
        ([5, 0], [10_000_000, 3]),
        ([0, 5], [3, 10_000_000]),
        ([829, 850], [4549, 4470]),
    ],
)
def test_two_arms_agree_with_the_exact_sum(converted: list[int], exposed: list[int]) -> None:
    found = standing(beta(converted, exposed))
    assert_allclose(found.probability_beats_control[1], exact(converted, exposed), rtol=0, atol=1e-11)
    assert_allclose(found.probability_best.sum(), 1.0, rtol=0, atol=1e-12)


def test_large_counts_agree_with_the_normal_limit() -> None:
    found = standing(beta([5_000_000, 5_003_000], [10_000_000, 10_000_000]))
    z = 3_000 / np.sqrt(2 * 10_000_000 * 0.25)
    assert_allclose(found.probability_best[1], stats.norm.cdf(z), atol=1e-6)


def test_three_arms_agree_with_the_exact_double_sum() -> None:
    """Three uniform-prior arms of few units, integrated exactly: the integrand is a polynomial."""
    marginals = beta([1, 2, 0], [4, 4, 2])
    points, weights = np.polynomial.legendre.leggauss(40)
    x, w = 0.5 * (points + 1.0), 0.5 * weights
    cdf = [stats.beta.cdf(x, a, b) for a, b in zip(marginals.alpha, marginals.beta, strict=True)]
    pdf = [stats.beta.pdf(x, a, b) for a, b in zip(marginals.alpha, marginals.beta, strict=True)]
    best = [(w * pdf[i] * np.prod([cdf[j] for j in range(3) if j != i], axis=0)).sum() for i in range(3)]
    loss = [(w * cdf[i] * (1 - np.prod([cdf[j] for j in range(3) if j != i], axis=0))).sum() for i in range(3)]
    found = standing(marginals)
    assert_allclose(found.probability_best, best, atol=1e-13)
    assert_allclose(found.expected_loss, loss, atol=1e-13)


@given(
    counts=st.lists(
        st.integers(1, 10_000_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=2, max_size=7
    ),
    higher=st.booleans(),
)
def test_probabilities_sum_to_one_and_losses_differ_by_the_means(counts: list[tuple[int, int]], higher: bool) -> None:
    marginals = beta([x for x, _ in counts], [n for _, n in counts])
    found = standing(marginals, higher_is_better=higher)
    assert_allclose(found.probability_best.sum(), 1.0, rtol=0, atol=1e-10)
    assert (found.expected_loss >= 0.0).all()
    sign = 1.0 if higher else -1.0
    best = found.expected_loss + sign * marginals.mean  # E[max], whichever variant it is told from
    assert_allclose(best, np.full(len(counts), best[0]), rtol=0, atol=1e-11)


def test_arms_at_opposite_ends_cost_the_whole_distance() -> None:
    marginals = beta([0, 10_000_000], [10_000_000, 10_000_000])
    found = standing(marginals)
    assert_allclose(found.expected_loss, [marginals.mean[1] - marginals.mean[0], 0.0], atol=1e-12)
    far = GammaMarginals(shape_=np.array([3.0, 5.0]), rate=np.array([1e9, 1e-3]))
    assert_allclose(standing(far).expected_loss[0], far.mean[1] - far.mean[0], rtol=1e-11)


@given(st.integers(0, 50), st.integers(0, 70))
def test_swapping_arms_swaps_everything(first: int, second: int) -> None:
    one, other = standing(beta([first, second], [50, 70])), standing(beta([second, first], [70, 50]))
    assert_allclose(one.probability_best, other.probability_best[::-1], atol=1e-13)
    assert_allclose(one.expected_loss, other.expected_loss[::-1], atol=1e-13)


def test_lower_is_better_is_the_mirror() -> None:
    marginals = beta([120, 150, 90], [1000, 1010, 980])
    mirrored = BetaMarginals(alpha=marginals.beta, beta=marginals.alpha)
    low, high = standing(marginals, higher_is_better=False), standing(mirrored)
    assert_allclose(low.probability_best, high.probability_best, atol=1e-12)
    assert_allclose(low.expected_loss, high.expected_loss, atol=1e-12)
    assert low.probability_best.argmax() == 2


def test_batch_is_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(1)
    exposed = rng.integers(1, 5000, (300, 4)).astype(float)
    converted = np.floor(exposed * rng.random((300, 4)))
    together = standing(BetaMarginals(alpha=converted + 1, beta=exposed - converted + 1), control=2)
    for row in (0, 57, 299):
        alone = standing(BetaMarginals(alpha=converted[row] + 1, beta=exposed[row] - converted[row] + 1), control=2)
        assert_allclose(together.probability_best[row], alone.probability_best, atol=1e-13)
        assert_allclose(together.expected_loss[row], alone.expected_loss, atol=1e-13)
        assert_allclose(together.probability_beats_control[row], alone.probability_beats_control, atol=1e-13)
        assert np.isnan(alone.probability_beats_control[2])


def test_two_gammas_agree_with_the_f_distribution() -> None:
    """X / Y of independent gammas is a scaled F: P(second > first) is its tail (scipy.stats.f)."""
    marginals = GammaMarginals(shape_=np.array([5.0, 9.0]), rate=np.array([100.0, 120.0]))
    tail = stats.f.sf((5.0 / 100.0) / (9.0 / 120.0), 18, 10)
    assert_allclose(standing(marginals).probability_beats_control[1], tail, atol=1e-12)


def test_two_normals_agree_with_the_closed_form() -> None:
    marginals = StudentMarginals(
        location=np.array([10.0, 10.5]), scale=np.array([0.3, 0.4]), freedom=np.array([np.inf, np.inf])
    )
    z, spread = 0.5 / 0.5, 0.5
    loss = spread * (stats.norm.pdf(z) - z * stats.norm.sf(z))
    found = standing(marginals)
    assert_allclose(found.probability_best[1], special.ndtr(z), atol=1e-12)
    assert_allclose(found.expected_loss[1], loss, atol=1e-12)


@pytest.mark.parametrize("freedom", [3.0, 8.0, 60.0])
def test_students_agree_with_adaptive_quadrature(freedom: float) -> None:
    from scipy.integrate import quad

    marginals = StudentMarginals(
        location=np.array([0.0, 1.0]), scale=np.array([1.0, 0.5]), freedom=np.array([freedom, freedom])
    )
    first, second = stats.t(freedom, 0.0, 1.0), stats.t(freedom, 1.0, 0.5)
    expected = quad(lambda x: second.pdf(x) * first.cdf(x), -np.inf, np.inf, epsabs=1e-13, limit=500)[0]
    assert_allclose(standing(marginals).probability_beats_control[1], expected, atol=1e-9)


def test_a_small_loss_keeps_its_digits() -> None:
    """E[x1 - x2]_+ = E[x1] P(x1' > x2) - E[x2] P(x1 > x2'), primes one success more: Stucchio (2015), in 60 digits."""
    a, b, c, d = 101, 901, 201, 801
    with localcontext() as context:
        context.prec = 60
        first = Decimal(a) / Decimal(a + b) * beats(a + 1, b, c, d)
        loss = first - Decimal(c) / Decimal(c + d) * beats(a, b, c + 1, d)
    found = standing(beta([100, 200], [1000, 1000]))
    assert 0 < float(loss) < 1e-10
    assert_allclose(found.expected_loss[1], float(loss), rtol=1e-8)

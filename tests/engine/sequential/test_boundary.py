import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from engine.sequential.boundary import (
    always_valid_p,
    always_valid_p_batch,
    boundary,
    boundary_batch,
    information,
    target_information,
)

alphas = st.floats(1e-6, 0.5)
reached = st.floats(1e-3, 1e4)


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.01, 0.0125])
def test_the_target_is_where_the_interval_is_narrowest(alpha: float):
    # SciPy 1.18.1's scalar minimiser on the squared half-width, which knows nothing of Lambert's W
    found = minimize_scalar(
        lambda r: (r + 1) / r * math.log((r + 1) / alpha**2),
        bounds=(0.1, 100.0),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert target_information(alpha) == pytest.approx(found.x, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.01])
@pytest.mark.parametrize("r", [0.1, 1.0, 8.0, 100.0])
def test_at_the_boundary_the_mixture_is_one_over_alpha(alpha: float, r: float):
    # Robbins's mixture martingale, integral of exp(x s - x**2 n / 2) over N(0, rho**2), with n = 1 and rho**2 = r:
    # Ville's inequality says that it reaches 1 / alpha with probability alpha
    s = boundary(r, alpha=alpha)
    mixture, _ = quad(
        lambda x: math.exp(x * s - x * x / 2 - x * x / (2 * r)) / math.sqrt(2 * math.pi * r),
        -60,
        60,
        points=[s * r / (r + 1)],
        limit=400,
    )
    assert mixture == pytest.approx(1 / alpha, rel=1e-6)


# The authors' R package drconfseq has std_conjmix_margin(t, rho2, alpha) =
# sqrt(2 (t rho2 + 1) log(sqrt(t rho2 + 1) / alpha) / (t**2 rho2)); by hand for (100, 0.08, 0.05): sqrt(18 log 60 / 800)
def test_the_published_margin():
    margin = math.sqrt(18 * math.log(60) / 800)
    assert boundary(8.0, alpha=0.05) / math.sqrt(100) == pytest.approx(margin, rel=1e-12)


@given(alphas, reached)
def test_the_p_value_is_alpha_at_the_boundary(alpha: float, r: float):
    assert always_valid_p(boundary(r, alpha=alpha), r) == pytest.approx(alpha, rel=1e-9)


def test_the_p_value_is_one_without_evidence():
    assert always_valid_p(0.0, 5.0) == 1.0


def test_information_is_the_targets_at_the_target():
    assert information(700, target=700, alpha=0.05) == pytest.approx(target_information(0.05), rel=1e-15)


def test_batches_agree_with_one_by_one():
    r, z = np.array([[0.5, 8.0], [20.0, 300.0]]), np.array([[0.1, 3.0], [-4.0, 2.0]])
    assert boundary_batch(r, alpha=0.05) == pytest.approx(np.vectorize(lambda x: boundary(x, alpha=0.05))(r))
    assert always_valid_p_batch(z, r) == pytest.approx(np.vectorize(always_valid_p)(z, r))

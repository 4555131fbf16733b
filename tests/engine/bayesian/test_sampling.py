import numpy as np
import pytest

from engine.bayesian.pooling import PoolingPrior, compile_proportions
from engine.bayesian.sampling import Diagnostics, PymcSampler, compiled, fitted
from engine.errors import InvalidInput, NotConverged

GOOD = Diagnostics(r_hat=1.01, effective_sample_size=400.0, divergences=0)


def test_what_may_be_reported() -> None:
    GOOD.check()
    assert GOOD.converged


@pytest.mark.parametrize(
    "bad",
    [
        Diagnostics(r_hat=1.0101, effective_sample_size=400.0, divergences=0),
        Diagnostics(r_hat=1.0, effective_sample_size=399.0, divergences=0),
        Diagnostics(r_hat=1.0, effective_sample_size=4000.0, divergences=1),
        Diagnostics(r_hat=np.nan, effective_sample_size=4000.0, divergences=0),
    ],
)
def test_what_may_not(bad: Diagnostics) -> None:
    with pytest.raises(NotConverged, match="closed form meanwhile"):
        bad.check()


@pytest.mark.parametrize("name", ["scale", "variant_spread", "segment_spread", "cell_spread"])
def test_priors_that_are_no_distribution(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"{name} is 0.0: pass a finite number above 0"):
        PoolingPrior(**{name: 0.0})
    with pytest.raises(InvalidInput, match="location"):
        PoolingPrior(location=np.inf)


def test_shapes_that_are_no_test() -> None:
    with pytest.raises(InvalidInput, match="pass 2 variants or more"):
        compile_proportions(variants=1)


@pytest.mark.slow
def test_without_nutpie_pymc_itself_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight values of mean 3 and deviation 1, a flat prior: the posterior mean is theirs, its deviation 1 / sqrt(8)."""
    import pymc

    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pymc.Model() as model:
        values = pymc.Data("values", np.zeros(8))
        mean = pymc.Normal("mean", 0.0, 100.0)
        pymc.Potential("likelihood", -0.5 * ((values - mean) ** 2).sum())
    sampler = compiled(model)
    assert isinstance(sampler, PymcSampler)
    given = {"values": np.array([2.0, 4.0] * 4)}
    tree, diagnostics = fitted(sampler, given, quantities=["mean"], draws=500, chains=2, rng=np.random.default_rng(1))
    assert diagnostics.converged
    draws = tree["posterior"]["mean"].values
    assert draws.mean() == pytest.approx(3.0, abs=0.1)
    assert draws.std() == pytest.approx(8**-0.5, rel=0.15)

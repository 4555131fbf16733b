"""Partial pooling by PyMC: variants and segments that inform each other. Needs the ``models`` extra.

Each cell of variants by segments has its own rate on the logit scale (and, for revenue, its own mean and spread of log
amounts). Cells vary about variant plus segment, variants about a common value, segments about 0; how much is learnt
from the data, so that a small segment leans on the others and a large one stands by itself::

    theta_vs ~ Normal(a_v + b_s, t_cell)    a_v ~ Normal(base, t_variant)    b_s ~ ZeroSumNormal(t_segment)
    base ~ Normal(location, scale)          log t ~ Normal(log prior median, 0.5)

With one segment, theta_v = a_v. Given the spreads all of it is normal, so base, a and b are integrated out exactly and
the cells alone are sampled, from one multivariate normal: nothing is left for them to be entangled with. Spreads have
log-normal priors, which keep off 0, where the posterior has its funnel: Gelman and others (2013), section 5.7, and
Chung and others (2013), "A nondegenerate penalized likelihood estimator for variance parameters in multilevel models".

PyMC, nutpie and ArviZ are imported when a model is compiled, never with the engine.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from engine.arrays import FloatArray, NumberArray
from engine.bayesian.checks import check_question
from engine.bayesian.draws import drawn_posteriors
from engine.bayesian.hurdle import LARGEST_LOG_VARIANCE, LEAST_BUYERS, SHARE_OF_BOUND
from engine.bayesian.results import BayesianResult, VariantPosterior
from engine.bayesian.sampling import DataTree, Diagnostics, PymcModel, Sampler, compiled, fitted
from engine.errors import InvalidInput, NotEnoughData

LOG_SPREAD = 0.5
"""Of the log-normal priors of the standard deviations, on the log scale."""

DEVIATIONS_SPREAD = 0.1
"""Prior median of how much the cells' standard deviations of log amounts vary, on the log scale.

A mean is exp(sigma**2 / 2) times the median. Fixed at 0.3, that of a cell with few buyers rested on the widest of the
draws: the mean of four segments with a deviation of 1.5 came out as 9.7 or 6.8 by the seed, where it is 6.1. Fixed at
0.1, intervals at 95 % held 84 % of worlds where it was 0.3; learnt, 97 % of the same.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolingPrior:
    """What is believed of the common value, and of how much cells differ, on the logit (or log) scale.

    Attributes
    ----------
    location, scale : of the common value
    variant_spread, segment_spread, cell_spread : prior medians of the standard deviations; large ones pool nothing

    Raises
    ------
    InvalidInput
        a scale or spread that is not positive, or a number that is not finite
    """

    location: float = -2.5
    scale: float = 2.0
    variant_spread: float = 0.2
    segment_spread: float = 0.5
    cell_spread: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        spreads = {name: getattr(self, name) for name in ("scale", "variant_spread", "segment_spread", "cell_spread")}
        for name, value in spreads.items():
            if not 0.0 < value < math.inf:
                raise InvalidInput(f"The pooling prior's {name} is {value}: pass a finite number above 0.")
        if not math.isfinite(self.location):
            raise InvalidInput(f"The pooling prior's location is {self.location}: pass a finite number.")

    def data(self, name: str) -> dict[str, NumberArray]:
        """Return the prior as the model's data, under a cell parameter's name."""
        spreads = (self.variant_spread, self.segment_spread, self.cell_spread)
        return {
            f"{name}_base_prior": np.array([self.location, self.scale]),
            f"{name}_spread_prior": np.log(np.array(spreads)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledResult:
    """A pooled fit.

    Attributes
    ----------
    overall : of each variant over all segments, weighted by the segments' shares of exposed units
    segments : each segment's posteriors, one a variant
    diagnostics : of the sampler
    draws : the fit's DataTree, for ArviZ
    """

    overall: BayesianResult
    segments: tuple[tuple[VariantPosterior, ...], ...]
    diagnostics: Diagnostics
    draws: DataTree


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledModel:
    """A model compiled for a number of variants and segments.

    Attributes
    ----------
    name : hierarchical (conversion) or hierarchical-hurdle (revenue)
    variants, segments : how many
    sampler : the compiled model
    quantities : what the diagnostics judge
    """

    name: str
    variants: int
    segments: int
    sampler: Sampler
    quantities: tuple[str, ...]

    def fit_proportions(
        self,
        converted: ArrayLike,
        exposed: ArrayLike,
        *,
        rng: np.random.Generator,
        prior: PoolingPrior | None = None,
        control: int = 0,
        level: float = 0.95,
        higher_is_better: bool = True,
        draws: int = 1000,
        chains: int = 4,
    ) -> PooledResult:
        """Fit a conversion model to data.

        Parameters
        ----------
        converted, exposed : shape (variants, segments), or (variants,) with one segment; whole numbers
        rng : where the sampler's seed comes from
        prior : None takes the defaults
        control, level, higher_is_better : as in the closed forms
        draws, chains : how much to draw

        Raises
        ------
        InvalidInput
            another shape, NaN, negative, more converted than exposed, or a model of revenue
        NotEnoughData
            a variant without exposed units
        NotConverged
            the diagnostics forbid reporting
        """
        self._check_kind("hierarchical")
        counts, units = self._cells("converted", converted), self._cells("exposed", exposed)
        _check_counts(counts, units)
        data = {"converted": counts, "exposed": units, **(prior or PoolingPrior()).data("logit")}
        return self._fit(data, rng, control, level, higher_is_better, draws, chains)

    def fit_revenue(
        self,
        log_means: ArrayLike,
        log_variances: ArrayLike,
        converted: ArrayLike,
        exposed: ArrayLike,
        *,
        rng: np.random.Generator,
        prior: PoolingPrior | None = None,
        amount_prior: PoolingPrior | None = None,
        control: int = 0,
        level: float = 0.95,
        higher_is_better: bool = True,
        draws: int = 1000,
        chains: int = 4,
    ) -> PooledResult:
        """Fit a model of revenue with zeros to data.

        Parameters
        ----------
        log_means, log_variances : of the log amounts, unbiased; shape (variants, segments), or (variants,) with one
            segment; any number where fewer than one (two) units bought
        converted, exposed : units that bought, and all; the same shape
        rng : where the sampler's seed comes from
        prior, amount_prior : of the share that buys and of the log amounts' mean; None takes the defaults
        control, level, higher_is_better, draws, chains : as for conversion

        Raises
        ------
        InvalidInput, NotEnoughData, NotConverged
            as for conversion; and NotEnoughData where a variant has fewer than 10 buyers, or so few of so different
            amounts that its mean rests on the tail of the spread's prior
        """
        self._check_kind("hierarchical-hurdle")
        counts, units = self._cells("converted", converted), self._cells("exposed", exposed)
        _check_counts(counts, units)
        _check_buyers(counts)
        means, variances = self._cells("log_means", log_means), self._cells("log_variances", log_variances)
        data = {
            "converted": counts,
            "exposed": units,
            "log_mean": np.where(counts > 0, means, 0.0),
            "log_scatter": np.where(counts > 1, variances * (counts - 1.0), 0.0),
            **(prior or PoolingPrior()).data("logit"),
            **(amount_prior or PoolingPrior(location=3.0, scale=3.0)).data("log_amount"),
        }
        return self._fit(data, rng, control, level, higher_is_better, draws, chains)

    def _check_kind(self, name: str) -> None:
        if self.name != name:
            raise InvalidInput(f"This model is {self.name}, not {name}: compile the one that fits the metric.")

    def _cells(self, name: str, values: ArrayLike) -> FloatArray:
        array = np.asarray(values, dtype=np.float64)
        cells = array[:, None] if array.ndim == 1 else array
        if cells.shape != (self.variants, self.segments):
            raise InvalidInput(
                f"{name} has shape {array.shape}: this model takes {self.variants} variants by {self.segments} "
                "segments; compile another for other shapes."
            )
        if not np.isfinite(cells).all():
            raise InvalidInput(f"A number in {name} is NaN or infinite: pass 0 where a cell has no units.")
        return cells

    def _fit(
        self,
        data: Mapping[str, NumberArray],
        rng: np.random.Generator,
        control: int,
        level: float,
        higher_is_better: bool,
        draws: int,
        chains: int,
    ) -> PooledResult:
        check_question(self.variants, control=control, level=level)
        tree, diagnostics = fitted(
            self.sampler, data, quantities=list(self.quantities), draws=draws, chains=chains, rng=rng
        )
        cells = np.asarray(tree["posterior"]["value"].values, dtype=np.float64)
        cells = cells.reshape(-1, self.variants, self.segments)
        units = np.asarray(data["exposed"], dtype=np.float64).sum(axis=0)
        shares = units / units.sum()
        if "log_deviation_cell" in self.quantities:
            deviations = np.asarray(tree["posterior"]["log_deviation_cell"].values, dtype=np.float64)
            _check_tail(cells, deviations, shares)
        overall = drawn_posteriors(cells @ shares, control=control, level=level, higher_is_better=higher_is_better)
        segments = tuple(
            drawn_posteriors(cells[:, :, s], control=control, level=level, higher_is_better=higher_is_better)
            for s in range(self.segments)
        )
        result = BayesianResult(
            model=self.name,
            level=level,
            control=control,
            variants=overall,
            r_hat=diagnostics.r_hat,
            effective_sample_size=diagnostics.effective_sample_size,
        )
        return PooledResult(overall=result, segments=segments, diagnostics=diagnostics, draws=tree)


def compile_proportions(*, variants: int, segments: int = 1) -> PooledModel:
    """Compile the conversion model; some ten seconds, so keep it and refit.

    Parameters
    ----------
    variants : at least 2
    segments : at least 1
    """
    _check_shape(variants, segments)
    import pymc as untyped  # pyright: ignore[reportMissingTypeStubs]  # it has none

    pymc: Any = untyped
    with pymc.Model(coords=_coordinates(variants, segments)) as model:
        logit = _pooled_cells(pymc, "logit", variants, segments)
        pymc.Deterministic("value", pymc.math.sigmoid(logit), dims=("variant", "segment"))
        _binomial(pymc, logit, variants, segments)
    quantities = ("value", *_names("logit", segments))
    return PooledModel(
        name="hierarchical", variants=variants, segments=segments, sampler=compiled(model), quantities=quantities
    )


def compile_revenue(*, variants: int, segments: int = 1) -> PooledModel:
    """Compile the model of revenue with zeros: who buys as for conversion, log amounts normal in each cell.

    The likelihood of k log amounts is that of their mean and scatter, which is all of it.

    Parameters
    ----------
    variants : at least 2
    segments : at least 1
    """
    _check_shape(variants, segments)
    import pymc as untyped  # pyright: ignore[reportMissingTypeStubs]  # it has none

    pymc: Any = untyped
    with pymc.Model(coords=_coordinates(variants, segments)) as model:
        logit = _pooled_cells(pymc, "logit", variants, segments)
        rate = pymc.math.sigmoid(logit)
        count = _binomial(pymc, logit, variants, segments)
        amount = _pooled_cells(pymc, "log_amount", variants, segments)
        log_deviation = _log_deviations(pymc, variants, segments)
        _log_normal(pymc, count, amount, log_deviation, variants, segments)
        mean = rate * pymc.math.exp(amount + 0.5 * pymc.math.exp(2.0 * log_deviation))
        pymc.Deterministic("value", mean, dims=("variant", "segment"))
    deviations = ("log_deviation_cell", "log_deviation_spread")
    quantities = ("value", *deviations, *_names("logit", segments), *_names("log_amount", segments))
    return PooledModel(
        name="hierarchical-hurdle", variants=variants, segments=segments, sampler=compiled(model), quantities=quantities
    )


def _check_shape(variants: int, segments: int) -> None:
    if variants < 2 or segments < 1:
        raise InvalidInput(
            f"{variants} variants by {segments} segments: pass 2 variants or more and 1 segment or more."
        )


def _check_counts(converted: FloatArray, exposed: FloatArray) -> None:
    if (converted < 0).any() or (converted > exposed).any():
        raise InvalidInput("A cell has fewer than 0 or more converted than exposed units: count each unit once.")
    if (exposed.sum(axis=1) == 0).any():
        raise NotEnoughData("A variant has no exposed units: wait for the first exposure.")


def _check_buyers(converted: FloatArray) -> None:
    for variant, buyers in enumerate(converted.sum(axis=1)):
        if buyers < LEAST_BUYERS:
            raise NotEnoughData(
                f"Variant {variant} has {buyers:.0f} buyers and at least {LEAST_BUYERS} are needed: wait for more, or "
                "compare conversion instead."
            )


def _check_tail(values: FloatArray, log_deviations: FloatArray, shares: FloatArray) -> None:
    """Raise NotEnoughData where a variant's mean owes much to variances that hurdle.py takes for the prior's."""
    variances = np.exp(2.0 * log_deviations.reshape(values.shape))
    whole = (values @ shares).sum(axis=0)
    tail = (np.where(variances > 0.5 * LARGEST_LOG_VARIANCE, values, 0.0) @ shares).sum(axis=0)
    if not (np.isfinite(whole) & (tail <= SHARE_OF_BOUND * whole)).all():
        raise NotEnoughData(
            "There are too few buyers, of too different amounts, and the mean would rest on the prior: wait for more "
            "buyers, or compare conversion instead."
        )


def _coordinates(variants: int, segments: int) -> dict[str, list[int]]:
    return {"variant": list(range(variants)), "segment": list(range(segments))}


def _names(name: str, segments: int) -> tuple[str, ...]:
    always = (f"{name}_cell", f"{name}_variant_spread")
    return always if segments == 1 else (*always, f"{name}_segment_spread", f"{name}_cell_spread")


def _pooled_cells(pymc: Any, name: str, variants: int, segments: int) -> PymcModel:
    """Return a parameter of every cell, partially pooled; see the head of this module."""
    base_prior = pymc.Data(f"{name}_base_prior", np.array([0.0, 1.0]))
    spread_prior = pymc.Data(f"{name}_spread_prior", np.zeros(3))
    spread = pymc.LogNormal(f"{name}_variant_spread", spread_prior[0], LOG_SPREAD)
    covariance = base_prior[1] ** 2 + spread**2 * np.kron(np.eye(variants), np.ones((segments, segments)))
    if segments > 1:
        apart = np.kron(np.ones((variants, variants)), np.eye(segments) - 1.0 / segments)
        segment_spread = pymc.LogNormal(f"{name}_segment_spread", spread_prior[1], LOG_SPREAD)
        cell_spread = pymc.LogNormal(f"{name}_cell_spread", spread_prior[2], LOG_SPREAD)
        covariance = covariance + segment_spread**2 * apart + cell_spread**2 * np.eye(variants * segments)
    means = base_prior[0] * np.ones(variants * segments)
    return pymc.MvNormal(f"{name}_cell", means, cov=covariance).reshape((variants, segments))


def _binomial(pymc: Any, logit: PymcModel, variants: int, segments: int) -> PymcModel:
    """Add the binomial likelihood, on the logit so that rates near 0 keep their digits; return the counts."""
    counts = pymc.Data("converted", np.ones((variants, segments)), dims=("variant", "segment"))
    units = pymc.Data("exposed", np.full((variants, segments), 2.0), dims=("variant", "segment"))
    pymc.Potential("conversions", (counts * logit - units * pymc.math.log1pexp(logit)).sum())
    return counts


def _log_deviations(pymc: Any, variants: int, segments: int) -> PymcModel:
    """Return the logs of the cells' standard deviations; the common one, about which they vary, is integrated out."""
    spread = pymc.LogNormal("log_deviation_spread", math.log(DEVIATIONS_SPREAD), LOG_SPREAD)
    cells = variants * segments
    covariance = np.ones((cells, cells)) + spread**2 * np.eye(cells)
    return pymc.MvNormal("log_deviation_cell", np.zeros(cells), cov=covariance).reshape((variants, segments))


def _log_normal(
    pymc: Any, count: PymcModel, amount: PymcModel, log_deviation: PymcModel, variants: int, segments: int
) -> None:
    mean = pymc.Data("log_mean", np.zeros((variants, segments)), dims=("variant", "segment"))
    scatter = pymc.Data("log_scatter", np.ones((variants, segments)), dims=("variant", "segment"))
    squares = scatter + count * (mean - amount) ** 2
    likelihood = -count * log_deviation - 0.5 * squares * pymc.math.exp(-2.0 * log_deviation)
    pymc.Potential("amounts", likelihood.sum())

"""How PyMC models are compiled once, refitted with new data, and judged. Needs the ``models`` extra."""

import importlib.util
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from engine.arrays import NumberArray
from engine.errors import NotConverged

LARGEST_R_HAT = 1.01
"""Vehtari and others (2021), "Rank-normalization, folding, and localization: an improved R-hat", section 4."""

SMALLEST_SAMPLE_SIZE = 400.0
"""Bulk effective sample size: the same, section 4.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How hard a try at sampling is.

    Attributes
    ----------
    tune : tuning steps of each chain
    accept : acceptance aimed at, in (0, 1)
    longer : how many times the draws asked for
    """

    tune: int
    accept: float
    longer: int


_ATTEMPTS = (Effort(tune=1000, accept=0.97, longer=1), Effort(tune=3000, accept=0.995, longer=3))
"""The first try, and a patient one."""

type DataTree = Any  # xarray's, which is not imported with the engine
type PymcModel = Any  # PyMC's, likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """Whether draws may be reported.

    Attributes
    ----------
    r_hat : the largest rank-normalised split R-hat of any quantity
    effective_sample_size : the smallest bulk effective sample size
    divergences : how many transitions after tuning diverged
    """

    r_hat: float
    effective_sample_size: float
    divergences: int

    @property
    def converged(self) -> bool:
        """Whether R-hat is at most 1.01, the effective sample size at least 400, and nothing diverged."""
        mixed = self.r_hat <= LARGEST_R_HAT and self.effective_sample_size >= SMALLEST_SAMPLE_SIZE
        return mixed and self.divergences == 0

    def check(self) -> None:
        """Raise NotConverged unless the draws may be reported."""
        if not self.converged:
            raise NotConverged(
                f"The sampler did not converge (R-hat {self.r_hat:.3f}, effective sample size "
                f"{self.effective_sample_size:.0f}, {self.divergences} divergences): draw longer, or wait for more "
                "data and use the closed form meanwhile."
            )


class Sampler(Protocol):
    """A compiled model."""

    def sample(
        self, data: Mapping[str, NumberArray], *, effort: Effort, draws: int, chains: int, seed: int
    ) -> DataTree:
        """Return posterior draws given data for every ``pm.Data`` of the model."""
        ...


@dataclass(frozen=True, slots=True)
class NutpieSampler:
    """nutpie's, which takes new data without compiling anew."""

    compiled: Any

    @classmethod
    def of(cls, model: PymcModel) -> "NutpieSampler":
        """Compile a model."""
        import nutpie as untyped  # pyright: ignore[reportMissingTypeStubs]  # it has none

        nutpie: Any = untyped

        with warnings.catch_warnings():
            _ignore_foreign()
            return cls(nutpie.compile_pymc_model(model))

    def sample(
        self, data: Mapping[str, NumberArray], *, effort: Effort, draws: int, chains: int, seed: int
    ) -> DataTree:
        """Return posterior draws."""
        import nutpie as untyped  # pyright: ignore[reportMissingTypeStubs]  # it has none

        nutpie: Any = untyped

        with warnings.catch_warnings():
            _ignore_foreign()
            return nutpie.sample(
                self.compiled.with_data(**data),
                draws=draws * effort.longer,
                tune=effort.tune,
                chains=chains,
                target_accept=effort.accept,
                adaptation="low_rank",
                seed=seed,
                progress_bar=False,
                save_warmup=False,
            )


@dataclass(frozen=True, slots=True)
class PymcSampler:
    """PyMC's own, which compiles at every fit: for machines without nutpie."""

    model: PymcModel

    def sample(
        self, data: Mapping[str, NumberArray], *, effort: Effort, draws: int, chains: int, seed: int
    ) -> DataTree:
        """Return posterior draws."""
        import pymc as untyped  # pyright: ignore[reportMissingTypeStubs]  # it has none

        pymc: Any = untyped

        with warnings.catch_warnings(), self.model:
            _ignore_foreign()
            pymc.set_data(dict(data))
            return pymc.sample(
                draws=draws * effort.longer,
                tune=effort.tune,
                chains=chains,
                cores=1,
                target_accept=effort.accept,
                random_seed=seed,
                progressbar=False,
                compute_convergence_checks=False,
                nuts_sampler="pymc",
            )


def compiled(model: PymcModel) -> Sampler:
    """Return the model compiled by nutpie where it is installed, else ready for PyMC's own sampler."""
    return NutpieSampler.of(model) if importlib.util.find_spec("nutpie") else PymcSampler(model)


def fitted(
    sampler: Sampler,
    data: Mapping[str, NumberArray],
    *,
    quantities: list[str],
    draws: int,
    chains: int,
    rng: np.random.Generator,
) -> tuple[DataTree, Diagnostics]:
    """Return converged draws with their diagnostics.

    Parameters
    ----------
    sampler : of a compiled model
    data : by name
    quantities : names of the variables to judge
    draws, chains : how much to draw; chains at least 2
    rng : where the sampler's seed comes from

    Raises
    ------
    NotConverged
        neither a first nor a second, longer tuned, attempt may be reported
    """
    tree, diagnostics = _attempt(sampler, data, _ATTEMPTS[0], quantities, draws, chains, rng)
    if not diagnostics.converged:
        tree, diagnostics = _attempt(sampler, data, _ATTEMPTS[1], quantities, draws, chains, rng)
    diagnostics.check()
    return tree, diagnostics


def _attempt(
    sampler: Sampler,
    data: Mapping[str, NumberArray],
    effort: Effort,
    quantities: list[str],
    draws: int,
    chains: int,
    rng: np.random.Generator,
) -> tuple[DataTree, Diagnostics]:
    tree = sampler.sample(data, effort=effort, draws=draws, chains=chains, seed=int(rng.integers(2**31 - 1)))
    return tree, diagnose(tree, quantities=quantities)


def diagnose(tree: DataTree, *, quantities: list[str]) -> Diagnostics:
    """Return ArviZ's diagnostics of the named quantities."""
    import arviz as untyped  # pyright: ignore[reportMissingTypeStubs]  # it has none

    arviz: Any = untyped
    posterior = tree["posterior"].to_dataset()[quantities]
    r_hat, sizes = arviz.rhat(posterior), arviz.ess(posterior, method="bulk")
    return Diagnostics(
        r_hat=max(float(each.max()) for each in r_hat.data_vars.values()),
        effective_sample_size=min(float(each.min()) for each in sizes.data_vars.values()),
        divergences=int(tree["sample_stats"]["diverging"].sum()),
    )


def _ignore_foreign() -> None:
    """Silence what PyMC, PyTensor, numba, nutpie and ArviZ say of themselves; their diagnostics are judged instead."""
    for module in ("pymc", "pytensor", "numba", "nutpie", "arviz", "xarray"):
        warnings.filterwarnings("ignore", module=rf"{module}(_\w+)?(\..*)?")

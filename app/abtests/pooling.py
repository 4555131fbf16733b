"""Partial pooling of a test's variants and segments, in a worker: PyMC is never imported where requests are served."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from app.abtests.summarising import MetricTotals, metric_totals
from app.errors import DomainErrors, InvalidInput, NotEnoughData, Unavailable
from app.runtime.compute import Compute
from app.store.abtest_rows import TestDefinition, TotalsRow
from app.store.models.codes import MetricKind
from engine.bayesian.pooling import PooledModel, compile_proportions, compile_revenue
from engine.bayesian.results import BayesianResult
from engine.errors import EngineError

MOST_CELLS = 100
"""Variants times segments: a fit's time grows with their cube."""
MISSING = (
    "A hierarchical analysis needs PyMC, which is not installed here: install Winnow with its `models` extra, "
    "pip install 'winnow[models]', or analyze without `hierarchical`."
)

type Cells = tuple[tuple[float, ...], ...]
"""By variant, then segment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolingQuestion:
    """What a worker is asked to fit; log amounts where the metric is revenue."""

    converted: Cells
    exposed: Cells
    log_means: Cells | None
    log_variances: Cells | None
    control: int
    level: float
    higher_is_better: bool
    seed: tuple[int, ...]


async def pooled_posterior(
    compute: Compute, definition: TestDefinition, rows: Sequence[TotalsRow], *, level: float
) -> BayesianResult:
    """Return the pooled posterior of a test's metric from its totals by segment.

    What cannot be fitted raises DomainErrors; where PyMC is missing, Unavailable.
    """
    question = pooling_question(definition, rows, level=level)
    try:
        return await compute.run(fit_pooled, question)
    except ModuleNotFoundError as error:
        raise Unavailable(MISSING) from error
    except EngineError as error:
        raise DomainErrors([NotEnoughData(str(error))]) from error


def pooling_question(definition: TestDefinition, rows: Sequence[TotalsRow], *, level: float) -> PoolingQuestion:
    """Return what to fit: every segment that has units."""
    metric = definition.metrics[0]
    if metric.kind not in (MetricKind.CONVERSION, MetricKind.REVENUE):
        message = f"Segments are pooled for CONVERSION and REVENUE, not {metric.kind}: analyze without `hierarchical`."
        raise DomainErrors([InvalidInput(message, path=("hierarchical",))])
    names = sorted({row.segment or "" for row in rows if row.metric_id == metric.id and row.exposed})
    segments = [metric_totals(definition, metric, rows, segment=name) for name in names]
    _check_size(definition, len(segments))
    revenue = metric.kind is MetricKind.REVENUE
    return PoolingQuestion(
        converted=_cells([[row.converted for row in one.rows] for one in segments]),
        exposed=_cells([[row.exposed for row in one.rows] for one in segments]),
        log_means=_cells([_log_means(one) for one in segments]) if revenue else None,
        log_variances=_cells([_log_variances(one) for one in segments]) if revenue else None,
        control=segments[0].control,
        level=level,
        higher_is_better=metric.higher_is_better,
        seed=(definition.test.id, sum(sum(one.exposed) for one in segments)),
    )


def fit_pooled(question: PoolingQuestion) -> BayesianResult:
    """Fit in this process, which may take half a minute; the engine's refusals pass through."""
    shape = len(question.exposed), len(question.exposed[0])
    if question.log_means is None or question.log_variances is None:
        return _fit_conversion(_conversion_model(*shape), question)
    return _fit_revenue(_revenue_model(*shape), question, question.log_means, question.log_variances)


def _fit_conversion(model: PooledModel, question: PoolingQuestion) -> BayesianResult:
    return model.fit_proportions(
        question.converted,
        question.exposed,
        rng=np.random.default_rng(question.seed),
        control=question.control,
        level=question.level,
        higher_is_better=question.higher_is_better,
    ).overall


def _fit_revenue(model: PooledModel, question: PoolingQuestion, means: Cells, variances: Cells) -> BayesianResult:
    return model.fit_revenue(
        means,
        variances,
        question.converted,
        question.exposed,
        rng=np.random.default_rng(question.seed),
        control=question.control,
        level=question.level,
        higher_is_better=question.higher_is_better,
    ).overall


@lru_cache(maxsize=8)
def _conversion_model(variants: int, segments: int) -> PooledModel:
    return compile_proportions(variants=variants, segments=segments)


@lru_cache(maxsize=8)
def _revenue_model(variants: int, segments: int) -> PooledModel:
    return compile_revenue(variants=variants, segments=segments)


def _check_size(definition: TestDefinition, segments: int) -> None:
    if segments == 0:
        raise DomainErrors([NotEnoughData("Nobody was exposed yet: wait for the first exposures.", path=("id",))])
    cells = len(definition.variants) * segments
    if cells > MOST_CELLS:
        message = (
            f"{len(definition.variants)} variants by {segments} segments make {cells} cells, more than the "
            f"{MOST_CELLS} that are pooled: give users fewer, wider segments, or analyze without `hierarchical`."
        )
        raise DomainErrors([InvalidInput(message, path=("hierarchical",))])


def _cells(by_segment: Sequence[Sequence[float]]) -> Cells:
    return tuple(zip(*by_segment, strict=True))


def _log_means(totals: MetricTotals) -> list[float]:
    return [one.log_amounts.mean if one.log_amounts.count else 0.0 for one in totals.hurdles()]


def _log_variances(totals: MetricTotals) -> list[float]:
    return [one.log_amounts.variance if one.log_amounts.count > 1 else 0.0 for one in totals.hurdles()]

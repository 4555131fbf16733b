"""A saved analysis: what it was asked, the totals it saw, and the figures it gave.

The totals are kept whole (as text, since squares outgrow a JSON number), so that every part of the results can be
shown again; the figures are kept beside them as they were shown.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any, cast

import numpy as np
from msgspec import structs

from app.abtests.results import Question, TestResults, Totals, compute_results
from app.abtests.summarising import MetricTotals, metric_of
from app.store.abtest_rows import TestDefinition, TotalsRow
from engine.arrays import FloatArray
from engine.bayesian.density import Density
from engine.bayesian.results import BayesianResult, VariantPosterior
from engine.effects import IntervalEstimate

type Saved = Mapping[str, Any]

FORM = 1
DENSITY_POINTS = 64
PLAN = ("target_sample_size", "minimum_detectable_effect", "confidence_level", "power")
"""What of a test's definition its results depend on."""


def saved_results(results: TestResults, totals: Totals, *, pooled: bool = False) -> dict[str, Any]:
    """Return an analysis as JSON; a `pooled` posterior is restored from its figures, as totals do not tell it."""
    question = results.question
    return {
        "form": FORM,
        "as_of": results.as_of.isoformat(),
        "metric": question.metric.key,
        "level": question.level,
        "segment": question.segment,
        "adjusted": question.adjusted,
        "expected_weights": list(totals.expected_weights),
        "totals": _saved_rows(totals.asked),
        "guardrails": {guarded.metric.key: _saved_rows(guarded) for guarded in totals.guardrails},
        "plan": {name: getattr(results.definition.test, name) for name in PLAN},
        "pooled": pooled,
        "figures": figures(results),
    }


def restored_results(definition: TestDefinition, saved: Saved) -> TestResults:
    """Return the results of a saved analysis, from the totals that it saw."""
    question = Question(
        metric=metric_of(definition, saved["metric"]),
        level=saved["level"],
        segment=saved["segment"],
        adjusted=saved["adjusted"],
    )
    totals = Totals(
        asked=_restored_rows(definition, saved["metric"], saved["totals"]),
        guardrails=tuple(_restored_rows(definition, key, rows) for key, rows in saved["guardrails"].items()),
        expected_weights=tuple(saved["expected_weights"]),
    )
    return compute_results(
        structs.replace(definition, test=structs.replace(definition.test, **saved["plan"])),
        question,
        totals,
        as_of=datetime.fromisoformat(saved["as_of"]),
        posterior=_restored_bayesian(saved["figures"]["bayesian"]) if saved["pooled"] else None,
    )


def figures(results: TestResults) -> dict[str, Any]:
    """Return every figure of the results, as JSON that stands by itself."""
    return {
        "totals": [
            {
                "variant": totals.variant.key,
                "exposed": totals.exposed,
                "converted": totals.converted,
                "multiple_exposed": totals.multiple_exposed,
                "mean": totals.mean,
                "standard_deviation": totals.standard_deviation,
            }
            for totals in results.totals
        ],
        "sample_ratio": results.sample_ratio and asdict(results.sample_ratio),
        "frequentist": results.frequentist and asdict(results.frequentist),
        "sequential": results.sequential and asdict(results.sequential),
        "bayesian": results.bayesian and _saved_bayesian(results.bayesian),
        "power": results.power and asdict(results.power),
        "guardrails": [{"metric": one.metric.key, **asdict(one.check)} for one in results.guardrails],
        "pending": results.pending,
        "verdict": asdict(results.verdict),
    }


def _saved_rows(totals: MetricTotals) -> list[dict[str, str]]:
    fields = ("segment",)
    rows = (structs.asdict(row) for row in totals.rows)
    return [{name: str(value) for name, value in row.items() if name not in fields} for row in rows]


def _restored_rows(definition: TestDefinition, metric_key: str, rows: list[dict[str, str]]) -> MetricTotals:
    return MetricTotals(
        metric=metric_of(definition, metric_key),
        variants=definition.variants,
        rows=tuple(TotalsRow(segment=None, **{name: int(value) for name, value in row.items()}) for row in rows),
    )


def _saved_bayesian(result: BayesianResult) -> dict[str, Any]:
    return {
        "model": result.model,
        "level": result.level,
        "control": result.control,
        "r_hat": result.r_hat,
        "effective_sample_size": result.effective_sample_size,
        "variants": [_saved_posterior(posterior) for posterior in result.variants],
    }


def _saved_posterior(posterior: VariantPosterior) -> dict[str, Any]:
    density = posterior.density(DENSITY_POINTS)
    plain = ("variant", "probability_best", "probability_beats_control", "expected_loss")
    return {
        **{name: getattr(posterior, name) for name in plain},
        "mean": asdict(posterior.mean),
        "lift": posterior.lift and asdict(posterior.lift),
        "density": {"x": cast("list[float]", density.x.tolist()), "density": density.density.tolist()},
    }


def _restored_bayesian(saved: Saved) -> BayesianResult:
    kept = ("model", "level", "control", "r_hat", "effective_sample_size")
    return BayesianResult(
        variants=tuple(_restored_posterior(one) for one in saved["variants"]), **{name: saved[name] for name in kept}
    )


def _restored_posterior(saved: Saved) -> VariantPosterior:
    plain = ("variant", "probability_best", "probability_beats_control", "expected_loss")
    curve = np.array(saved["density"]["x"]), np.array(saved["density"]["density"])
    return VariantPosterior(
        mean=IntervalEstimate(**saved["mean"]),
        lift=None if saved["lift"] is None else IntervalEstimate(**saved["lift"]),
        curve=partial(_restored_density, *curve),
        **{name: saved[name] for name in plain},
    )


def _restored_density(x: FloatArray, density: FloatArray, points: int) -> Density:
    values = np.linspace(x[0], x[-1], points, dtype=np.float64)
    return Density(x=values, density=np.interp(values, x, density))

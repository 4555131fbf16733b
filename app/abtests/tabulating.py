"""A test's results as a table: one row for each metric and variant, with both schools' figures beside the totals."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.abtests.analyzing import Analyzing, Asked
from app.abtests.results import TestResults, VariantTotals
from app.errors import DomainError
from app.store.abtest_rows import TestDefinition
from engine.effects import Comparison, IntervalEstimate

type Row = dict[str, Any]


async def tabulate(analyzing: Analyzing, definition: TestDefinition) -> list[Row]:
    """Return the rows of every metric of a test, at the test's own level."""
    rows: list[Row] = []
    for metric in definition.metrics:
        asked = Asked(metric_key=metric.key)
        results = (await analyzing.attempts({definition.test.id: definition}, asked))[definition.test.id]
        if isinstance(results, DomainError):
            raise results
        rows += result_rows(results)
    return rows


def result_rows(results: TestResults) -> list[Row]:
    """Return one row a variant."""
    frequentist, sequential, bayesian = results.frequentist, results.sequential, results.bayesian
    classical = _by_variant(frequentist.comparisons if frequentist else ())
    always = _by_variant(sequential.comparisons if sequential else ())
    posteriors = {one.variant: one for one in (bayesian.variants if bayesian else ())}
    return [
        {
            **_asked(results),
            **_totals(totals),
            **_compared("", classical.get(index)),
            **_compared("sequential_", always.get(index)),
            "probability_best": posteriors[index].probability_best if index in posteriors else None,
            "expected_loss": posteriors[index].expected_loss if index in posteriors else None,
            **_interval("credible", posteriors[index].mean if index in posteriors else None),
            "sample_ratio_p_value": results.sample_ratio.p_value if results.sample_ratio else None,
            "verdict": results.verdict.decision.name,
            "pending": results.pending,
        }
        for index, totals in enumerate(results.totals)
    ]


def _asked(results: TestResults) -> Row:
    test, question = results.definition.test, results.question
    return {
        "test": test.key,
        "metric": question.metric.key,
        "kind": str(question.metric.kind),
        "is_guardrail": question.metric.position > 0,
        "level": question.level,
        "as_of": results.as_of,
    }


def _totals(totals: VariantTotals) -> Row:
    return {
        "variant": totals.variant.key,
        "is_control": totals.variant.is_control,
        "exposed": totals.exposed,
        "converted": totals.converted,
        "multiple_exposed": totals.multiple_exposed,
        "mean": totals.mean,
        "standard_deviation": totals.standard_deviation,
    }


def _by_variant(comparisons: Iterable[Comparison]) -> Mapping[int, Comparison]:
    return {one.variant: one for one in comparisons}


def _compared(prefix: str, comparison: Comparison | None) -> Row:
    """Return a treatment's difference to the control, empty for the control."""
    return dict(
        [
            *_named(f"{prefix}difference", comparison and comparison.difference),
            *_named(f"{prefix}lift", comparison and comparison.lift),
            (f"{prefix}p_value", comparison and comparison.p_value),
            (f"{prefix}adjusted_p_value", comparison and comparison.adjusted_p_value),
        ]
    )


def _named(name: str, estimate: IntervalEstimate | None) -> Iterator[tuple[str, float | None]]:
    yield name, estimate and estimate.point
    yield from _interval(name, estimate).items()


def _interval(name: str, estimate: IntervalEstimate | None) -> dict[str, float | None]:
    return {f"{name}_low": estimate and estimate.low, f"{name}_high": estimate and estimate.high}

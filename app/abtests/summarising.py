"""From a test's totals to the engine's summaries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from app.errors import NotFound
from app.store.abtest_rows import MetricRow, TestDefinition, TotalsRow, VariantRow
from app.store.models.codes import MetricKind
from engine.bayesian.hurdle import HurdleSummary
from engine.summaries import CovariateSummary, MeanSummary, ProportionSummary, RatioSummary

MICROS = 1_000_000
MONEY = (MetricKind.REVENUE, MetricKind.RATIO)
_KEYS = ("test_id", "metric_id", "variant_id", "segment")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricTotals:
    """The totals of one metric, one row a variant in the variants' order; zeros where nobody was exposed."""

    metric: MetricRow
    variants: tuple[VariantRow, ...]
    rows: tuple[TotalsRow, ...]

    @property
    def scale(self) -> int:
        """Return how many counted units make 1 of the metric's unit."""
        return MICROS if self.metric.kind in MONEY else 1

    @property
    def control(self) -> int:
        """Return the control's index."""
        return next(index for index, variant in enumerate(self.variants) if variant.is_control)

    @property
    def exposed(self) -> tuple[int, ...]:
        """Return the exposed units by variant."""
        return tuple(row.exposed for row in self.rows)

    def proportions(self) -> list[ProportionSummary]:
        """Return converted of exposed."""
        return [ProportionSummary(converted=row.converted, exposed=row.exposed) for row in self.rows]

    def means(self) -> list[MeanSummary]:
        """Return each unit's value: a count, or money."""
        return [_mean(row.exposed, row.value_sum, row.value_squares, self.scale) for row in self.rows]

    def ratios(self) -> list[RatioSummary]:
        """Return value over denominator."""
        return [
            RatioSummary(
                numerator=_mean(row.exposed, row.value_sum, row.value_squares, self.scale),
                denominator=_mean(row.exposed, row.denominator_sum, row.denominator_squares, 1),
                total_of_products=row.product_sum,
            )
            for row in self.rows
        ]

    def hurdles(self) -> list[HurdleSummary]:
        """Return how many bought, and the logarithms of what they spent."""
        return [
            HurdleSummary(exposed=row.exposed, log_amounts=_mean(row.converted, row.log_sum, row.log_squares, MICROS))
            for row in self.rows
        ]

    def covariates(self) -> list[CovariateSummary]:
        """Return each unit's value with the same value from before its exposure."""
        return [
            CovariateSummary(
                metric=_mean(row.exposed, row.value_sum, row.value_squares, self.scale),
                covariate=_mean(row.exposed, row.covariate_sum, row.covariate_squares, self.scale),
                total_of_products=row.covariate_product,
            )
            for row in self.rows
        ]


def metric_of(definition: TestDefinition, key: str | None) -> MetricRow:
    """Return a metric by key, the test's own where none is named."""
    if key is None:
        return definition.metrics[0]
    found = next((metric for metric in definition.metrics if metric.key == key), None)
    if found is None:
        known = ", ".join(metric.key for metric in definition.metrics)
        raise NotFound(f"This test has no metric {key!r}: choose one of {known}.", path=("metricKey",))
    return found


def metric_totals(
    definition: TestDefinition, metric: MetricRow, rows: Iterable[TotalsRow], *, segment: str | None = None
) -> MetricTotals:
    """Return the totals of one metric, of one segment or of all."""
    mine = [row for row in rows if row.metric_id == metric.id and segment in (None, row.segment)]
    return MetricTotals(
        metric=metric,
        variants=definition.variants,
        rows=tuple(_summed(definition, metric, variant, mine) for variant in definition.variants),
    )


def _summed(definition: TestDefinition, metric: MetricRow, variant: VariantRow, rows: Sequence[TotalsRow]) -> TotalsRow:
    own = [row for row in rows if row.variant_id == variant.id]
    if len(own) == 1:
        return own[0] if own[0].segment is None else replace(own[0], segment=None)
    sums = {name: sum(getattr(row, name) for row in own) for name in _SUMS}
    return replace(_empty(definition.test.id, metric.id, variant.id), **sums)


def _empty(test_id: int, metric_id: int, variant_id: int) -> TotalsRow:
    zeros = dict.fromkeys(_SUMS, 0)
    return TotalsRow(test_id=test_id, metric_id=metric_id, variant_id=variant_id, segment=None, **zeros)


def _mean(count: int, total: int, squares: int, scale: int) -> MeanSummary:
    return MeanSummary(count=count, total=total, total_of_squares=squares, scale=scale)


_SUMS = tuple(name for name in TotalsRow.__struct_fields__ if name not in _KEYS)

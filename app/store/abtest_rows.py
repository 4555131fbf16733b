"""Rows of the A/B tests, and the JSON in which PostgreSQL writes a test with all its parts.

A test comes in one value of one row: `definition_json` says what PostgreSQL writes, and `definition_of` reads it. An
object of this form is an array of its fields in their order, so that it is read straight into them: a list of tests
with their variants costs half of what rows of their columns do.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any, cast

import msgspec
import orjson
from msgspec import Raw, Struct

from app.store.abtest_parts import WHOLE, Part, Parts
from app.store.database import Record
from app.store.models.codes import AllocationPolicy, EventType, MetricKind, TestStatus

_UNREAD = cast("Any", None)


class VariantRow(Struct, frozen=True, gc=False, array_like=True):
    """One arm of a test."""

    id: int
    test_id: int
    key: str
    name: str
    position: int
    is_control: bool
    weight: float
    written_payload: Raw
    """JSON, as the database writes it."""

    @property
    def payload(self) -> orjson.Fragment | None:
        """What the application gets, to be passed on; None where the key says it all."""
        written = bytes(self.written_payload)
        return None if written == b"null" else orjson.Fragment(written)


class MetricRow(Struct, frozen=True, gc=False, array_like=True):
    """What a test is judged by; position 0 is the metric, the others are guardrails."""

    id: int
    test_id: int
    key: str
    name: str
    position: int
    kind: MetricKind
    event: EventType
    denominator: EventType | None
    higher_is_better: bool
    window_hours: int
    margin: float | None
    stops: bool


class AllocationRow(Struct, frozen=True, gc=False, array_like=True):
    """One policy version: probabilities in the variants' order."""

    id: int
    test_id: int
    policy_version: int
    policy: AllocationPolicy
    floor: float
    probabilities: tuple[float, ...]
    watermark: Any
    seed: int | None
    created_at: datetime


class OwnTotals(Struct, frozen=True, gc=False, array_like=True):
    """What one variant's units did by the test's own metric, over segments: counts, and sums in micros for money."""

    variant_id: int
    kind: MetricKind
    exposed: int
    multiple_exposed: int
    converted: int
    value_sum: int
    value_squares: int
    denominator_sum: int


class TestRow(Struct, frozen=True, gc=False, array_like=True):
    """A test as stored."""

    __test__ = False

    # always read
    id: int
    key: str
    name: str
    status: TestStatus
    campaign_id: int | None
    confidence_level: float
    allocation_policy: AllocationPolicy
    coverage: float
    started_at: datetime | None
    # Part.DETAILS
    hypothesis: str | None = _UNREAD
    minimum_detectable_effect: float | None = _UNREAD
    target_sample_size: int | None = _UNREAD
    holdout: float = _UNREAD
    winner_id: int | None = _UNREAD
    created_at: datetime = _UNREAD
    ended_at: datetime | None = _UNREAD
    # Part.PLAN
    power: float = _UNREAD
    baseline: float | None = _UNREAD
    floor: float = _UNREAD
    reallocate_every_minutes: int = _UNREAD
    discount: float | None = _UNREAD
    seed: str = _UNREAD
    exclusion_group: str | None = _UNREAD
    exclusion_low: float | None = _UNREAD
    exclusion_high: float | None = _UNREAD
    targeting: Any = _UNREAD
    context_attributes: Any = _UNREAD
    decided_elsewhere: bool = _UNREAD
    guardrail_stops: Any = _UNREAD


class TestDefinition(Struct, frozen=True, gc=False, array_like=True):
    """A test with all that decides about a unit: variants by position, metrics by position, newest allocation.

    `own_totals` are of the variants with exposures; None where they were not read.
    """

    __test__ = False

    test: TestRow
    variants: tuple[VariantRow, ...]
    metrics: tuple[MetricRow, ...]
    allocation: AllocationRow | None
    own_totals: tuple[OwnTotals, ...] | None = None

    @property
    def control(self) -> VariantRow:
        """Return the control."""
        return next(variant for variant in self.variants if variant.is_control)

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Return the shares in force: the newest policy version's, before the first the weights."""
        if self.allocation is not None:
            return self.allocation.probabilities
        return tuple(variant.weight for variant in self.variants)


class TotalsRow(Struct, frozen=True, kw_only=True):
    """Sufficient statistics of one metric and variant, exact; values in micros for money, else whole numbers."""

    test_id: int
    metric_id: int
    variant_id: int
    segment: str | None
    exposed: int
    multiple_exposed: int
    converted: int
    value_sum: int
    value_squares: int
    denominator_sum: int
    denominator_squares: int
    product_sum: int
    covariate_sum: int
    covariate_squares: int
    covariate_product: int
    log_sum: int
    log_squares: int


class AssignmentRow(Struct, frozen=True, kw_only=True):
    """What was decided for a unit, and with what probability."""

    test_id: int
    user_id: int
    external_id: str
    variant_id: int
    assigned_at: datetime
    first_exposed_at: datetime | None
    probability: float
    policy_version: int


class AnalysisRow(Struct, frozen=True, kw_only=True):
    """One saved analysis."""

    id: int
    test_id: int
    created_at: datetime
    requested_by: str | None
    hierarchical: bool
    results: Any


_FIELDS = TestRow.__struct_fields__
_DETAILS, _PLAN = _FIELDS.index("hypothesis"), _FIELDS.index("power")
_DEFINITION = msgspec.json.Decoder(TestDefinition)
_DEFINITIONS = msgspec.json.Decoder(list[TestDefinition])
_TEST = msgspec.json.Decoder(TestRow)
_POLICY_VERSION = msgspec.json.Decoder(AllocationRow)


def _array(columns: Iterable[str]) -> str:
    return f"json_build_array({', '.join(columns)})"


def _of_test(row: str, table: str, order: str) -> str:
    """Return what writes all rows of a table that belong to the test."""
    return f"(SELECT coalesce(json_agg({row} ORDER BY {order}), '[]') FROM {table} WHERE test_id = ab_test.id)"


TEST_JSON = f"{_array(_FIELDS)}::text"
"""What PostgreSQL writes of a row of `ab_test`, for `row_of_test`."""

ALLOCATION_JSON = f"{_array(AllocationRow.__struct_fields__)}::text"
"""What PostgreSQL writes of a row of `allocation`, for `allocation_row`."""

_VARIANTS = _of_test(_array((*VariantRow.__struct_fields__[:-1], "payload")), "ab_test_variant", "position")
_METRICS = _of_test(_array(MetricRow.__struct_fields__), "ab_test_metric", "position")
_ALLOCATION = f"""
(SELECT {_array(AllocationRow.__struct_fields__)} FROM allocation WHERE test_id = ab_test.id
 ORDER BY policy_version DESC LIMIT 1)
"""
_OWN_TOTALS = f"""
(SELECT coalesce(json_agg({_array(f"o.{name}" for name in OwnTotals.__struct_fields__)}), '[]') FROM (
    SELECT t.variant_id, m.kind, sum(exposed)::bigint AS exposed, sum(multiple_exposed)::bigint AS multiple_exposed,
           sum(converted)::bigint AS converted, sum(value_sum) AS value_sum, sum(value_squares) AS value_squares,
           sum(denominator_sum) AS denominator_sum
    FROM ab_test_metric m JOIN test_totals t ON t.test_id = m.test_id AND t.metric_id = m.id
    WHERE m.test_id = ab_test.id AND m.position = 0 GROUP BY t.variant_id, m.kind
 ) AS o)
"""


def definition_json(parts: Parts = WHOLE) -> str:
    """Return what PostgreSQL writes of each row of `ab_test`, as a text, for `definition_of`."""
    return f"{definition_array(parts)}::text"


@cache
def definition_array(parts: Parts = WHOLE) -> str:
    """Return what PostgreSQL writes of each row of `ab_test`, for `definition_of` and `definitions_of`."""
    width = len(_FIELDS) if Part.PLAN in parts else _PLAN if Part.DETAILS in parts else _DETAILS
    of_parts = (
        _VARIANTS if Part.VARIANTS in parts else "'[]'::json",
        _METRICS if Part.METRICS in parts else "'[]'::json",
        _ALLOCATION if Part.ALLOCATION in parts else "NULL",
        *((_OWN_TOTALS,) if Part.OWN_TOTALS in parts else ()),
    )
    return _array((_array(_FIELDS[:width]), *of_parts))


def definitions_of(written: str) -> list[TestDefinition]:
    """Return the tests of an array that PostgreSQL wrote."""
    return _DEFINITIONS.decode(written)


def definition_of(written: str) -> TestDefinition:
    """Return the test that PostgreSQL wrote; what is not among its parts is empty or None."""
    return _DEFINITION.decode(written)


def row_of_test(written: str) -> TestRow:
    """Return the row that PostgreSQL wrote."""
    return _TEST.decode(written)


def analysis_row(row: Record) -> AnalysisRow:
    """Return a saved analysis."""
    return AnalysisRow(
        **{name: row[name] for name in ("id", "test_id", "created_at", "requested_by", "hierarchical", "results")}
    )


def allocation_row(row: Record) -> AllocationRow:
    """Return a row that has ALLOCATION_JSON as `written`."""
    return _POLICY_VERSION.decode(row["written"])

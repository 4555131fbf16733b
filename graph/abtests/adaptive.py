"""Bandits: estimates that hold although the shares followed the rewards, and a step at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import strawberry

from app.abtests.estimating import Adaptive, Estimated
from app.auth.principals import Permission
from app.store.abtest_rows import TestDefinition, VariantRow
from engine.bandits.inference import ArmDifference
from engine.bandits.inference import Estimator as AdaptiveEstimator
from engine.effects import IntervalEstimate
from graph.abtests import rows, types
from graph.abtests.queries import TestReference, test_number
from graph.context import Context
from graph.errors import UserError
from graph.fields import answers, extend, loads, reading, related
from graph.payloads import Payload, payload, refused

strawberry.enum(AdaptiveEstimator, name="AdaptiveEstimator", description="How a bandit's variants are estimated.")


@dataclass(frozen=True, slots=True)
class Valued:
    """A variant's value."""

    variant: VariantRow
    value: IntervalEstimate


@dataclass(frozen=True, slots=True)
class Differing:
    """A treatment's difference to the control."""

    variant: VariantRow
    one: ArmDifference


def _values(row: Estimated) -> list[Valued]:
    if row.estimates is None:
        return []
    return [Valued(*pair) for pair in zip(row.definition.variants, row.estimates.values, strict=True)]


def _differences(row: Estimated) -> list[Differing]:
    if row.estimates is None:
        return []
    return [Differing(row.definition.variants[one.arm], one) for one in row.estimates.differences]


@strawberry.type(description="A variant's value by one estimator.")
class AdaptiveValue:
    """The row is a `Valued`."""

    variant: types.Variant = reading("The variant.")
    value: types.IntervalEstimate = reading("Mean of a unit's value, the metric's unit.")


@strawberry.type(description="A treatment against the control by one estimator.")
class AdaptiveDifference:
    """The row is a `Differing`."""

    variant: types.Variant = reading("The treatment.")
    difference: types.IntervalEstimate = reading(
        "Treatment minus control, the metric's unit.", lambda row: row.one.difference
    )
    p_value: float = reading("Two-sided, of no difference.", lambda row: row.one.p_value)


@strawberry.type(description="One estimator's answer.")
class AdaptiveEstimate:
    """The row is an `app.abtests.estimating.Estimated`."""

    estimator: AdaptiveEstimator = reading(
        "NAIVE: the plain mean, biased once shares have moved. IPW: weighed by inverse propensity, unbiased and wide. "
        "AW_AIPW: adaptively weighted, the one whose intervals cover."
    )
    values: list[AdaptiveValue] = reading("By variant; empty where `unavailable` says why.", _values)
    differences: list[AdaptiveDifference] = reading("Each treatment against the control.", _differences)
    warning: str | None = reading("Why this estimator is not to be relied on, in words; null where it is.")
    unavailable: str | None = reading("Why there is no answer, in words; null where there is one.")


@strawberry.type(description="What a bandit's variants are worth, by estimators that know how its shares moved.")
class AdaptiveResults:
    """The row is an `app.abtests.estimating.Adaptive`."""

    as_of: datetime = reading("When the log was read, UTC.")
    units: int = reading("Units counted: those whose window has closed.")
    left_out: int = reading(
        "Units of a contextual test left out, a count: a sender exposed them to a variant of its own choice, and with "
        "what probability is not known."
    )
    open_units: int = reading("Units not counted yet: those whose window is open.")
    policy_versions: int = reading("Policy versions under which they were assigned, a count.")
    estimates: list[AdaptiveEstimate] = reading("Side by side.", lambda row: list(row.estimates))


extend(
    types.ABTest,
    "adaptive",
    AdaptiveResults | None,
    related(
        "Estimates that hold although the shares followed the rewards, each unit weighed by the probability with which "
        "it got its variant; null for FIXED tests.",
        permission=Permission.READ_TESTS,
    ),
)


@loads(types.ABTest, "adaptive")
async def adaptive(context: Context, tests: Sequence[TestDefinition]) -> list[Adaptive | None]:
    """Load bandits' estimates."""
    found = await context.services.estimating.estimates({one.test.id: one for one in tests})
    return [found[one.test.id] for one in tests]


@strawberry.type(description="The new shares, or why there are none.")
class AllocationPayload:
    """The row is a `graph.payloads.Payload`."""

    allocation: types.Allocation | None = payload("The policy version in force from now on; null when refused.")
    errors: list[UserError] = reading("What was wrong; empty when it was done.")


@strawberry.type
class Mutation:
    """Bandits' part of what can be changed."""

    reallocate: AllocationPayload = related(
        "One bandit step now, instead of on schedule; the next on schedule is one interval later.",
        permission=Permission.EDIT_TESTS,
        refused=refused,
    )


@answers(Mutation, "reallocate")
async def reallocate(context: Context, *, test_id: TestReference) -> Payload[rows.Allocated]:
    """Reallocate a test."""
    number = await test_number(context, test_id, path="testId")
    definition = await context.services.reallocating.reallocate(number, principal=context.principal)
    return Payload(rows.allocation(definition))

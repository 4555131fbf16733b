"""The enums of A/B tests, described for clients once and taken from here."""

import strawberry

from app.store.abtest_lists import TestOrder
from app.store.models.codes import AllocationPolicy, MetricKind, TestStatus
from engine.decision import Decision
from engine.frequentist.guardrail import GuardrailStatus
from engine.frequentist.results import FrequentistTest

strawberry.enum(TestStatus, description="A test's place in its life.")
strawberry.enum(
    AllocationPolicy,
    description="How traffic is shared. FIXED: by weights, the most powerful way to tell variants apart. All others "
    "are bandits, which earn while testing and pay in power: a difference that an even split finds in 62 of 100 tests, "
    "Thompson finds in 40 with a floor of 0.1, and in 21 with one of 0.01. THOMPSON: by the probability of being best, "
    "to earn while testing. TOP_TWO_THOMPSON: between the best and its challenger, to find the winner. UCB: all "
    "but the floor to the highest upper bound. EPSILON_GREEDY: all but a tenth and the floor to the best so far. "
    "CONTEXTUAL_THOMPSON: by the probability of being best for a unit of which this is known (contextAttributes).",
)
strawberry.enum(MetricKind, description="What a unit's value is made of.")
strawberry.enum(TestOrder, description="The order of tests: NAME ascending, times latest first; without a value last.")
strawberry.enum(FrequentistTest, description="The family of a fixed-horizon test.")
strawberry.enum(Decision, description="What to do with a test.")
strawberry.enum(GuardrailStatus, description="What the interval says about a guardrail's margin.")

__all__ = [
    "AllocationPolicy",
    "Decision",
    "FrequentistTest",
    "GuardrailStatus",
    "MetricKind",
    "TestOrder",
    "TestStatus",
]

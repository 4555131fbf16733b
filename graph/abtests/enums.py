"""The enums of A/B tests, described for clients once and taken from here."""

import strawberry

from app.store.abtest_lists import TestOrder
from app.store.models.codes import AllocationPolicy, MetricKind, TestStatus
from engine.decision import Decision
from engine.frequentist.guardrail import GuardrailStatus
from engine.frequentist.results import FrequentistTest

strawberry.enum(TestStatus, description="A test's place in its life.")
strawberry.enum(AllocationPolicy, description="How traffic is shared: fixed weights, or a bandit that learns.")
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

"""What tests say, as advice asks for it."""

from collections.abc import Sequence

from app.abtests.analyzing import Analyzing
from app.abtests.results import TestResults
from app.optimizer.advising import Verdicts
from app.optimizer.situations import TestState
from app.store.abtests import TestStore
from app.store.models.codes import EventType, MetricKind
from engine.effects import IntervalEstimate


def verdicts_of(tests: TestStore, analyzing: Analyzing) -> Verdicts:
    """Return how to ask for the verdicts of all tests that run or are paused; one that cannot answer is left out."""

    async def verdicts() -> Sequence[TestState]:
        found = await analyzing.attempts(await tests.live_definitions())
        return [state_of(results) for results in found.values() if isinstance(results, TestResults)]

    return verdicts


def state_of(results: TestResults) -> TestState:
    """Return what both schools say of a test."""
    definition, verdict, metric = results.definition, results.verdict, results.question.metric
    winner, test = verdict.winner, results.definition.test
    return TestState(
        test_id=test.id,
        key=test.key,
        name=test.name,
        campaign_id=test.campaign_id,
        decision=verdict.decision,
        reasons=verdict.reasons,
        winner=None if winner is None else definition.variants[winner].name,
        difference=None if winner is None or not metric.higher_is_better else _difference(results, winner),
        winner_share=0.0 if winner is None else definition.probabilities[winner],
        counts_conversions=metric.kind is MetricKind.CONVERSION and metric.event is EventType.CONVERTED,
        is_money=metric.kind is MetricKind.REVENUE and metric.event is EventType.CONVERTED,
    )


def _difference(results: TestResults, winner: int) -> IntervalEstimate | None:
    """Return the winner's difference to the control; where the control wins, to the best treatment."""
    if results.sequential is None:
        return None
    treatments = {one.variant: one.difference for one in results.sequential.comparisons}
    if winner in treatments:
        return treatments[winner]
    best = max(treatments.values(), key=lambda one: one.point)
    return IntervalEstimate(point=-best.point, low=-best.high, high=-best.low)

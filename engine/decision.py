"""Both schools of statistics to one verdict, with its reasons in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.effects import Comparison, IntervalEstimate
from engine.errors import InvalidInput
from engine.frequentist.guardrail import GuardrailCheck, GuardrailStatus
from engine.frequentist.results import FrequentistResult
from engine.frequentist.sample_ratio import SampleRatioCheck
from engine.levels import error_rate
from engine.sequential.comparing import SequentialResult


class Decision(StrEnum):
    """What to do with a test."""

    WINNER = "winner"
    NO_DIFFERENCE = "no_difference"
    KEEP_RUNNING = "keep_running"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What both schools together say.

    Attributes
    ----------
    decision : what to do
    winner : index of the winning variant, which may be the control; None unless the decision is WINNER
    agreed : both schools call the same variant, or both call none
    reasons : sentences, the weightiest first
    """

    decision: Decision
    winner: int | None
    agreed: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When evidence is enough.

    Attributes
    ----------
    probability_best : a posterior probability of being best must reach this, in (0, 1)
    expected_loss : the expected loss of the choice must not exceed this, in the metric's unit, at least 0; by default a
        tenth of the effect that matters or, where none is given, ``relative_expected_loss`` of the control's value
    relative_expected_loss : a fraction of the control's value, at least 0
    effect_that_matters : differences within -+ this are as good as none, in the metric's unit, above 0; None where
        nobody said, and then there is never NO_DIFFERENCE

    Raises
    ------
    InvalidInput
        a threshold is outside its range
    """

    probability_best: float = 0.95
    expected_loss: float | None = None
    relative_expected_loss: float = 0.01
    effect_that_matters: float | None = None

    def __post_init__(self) -> None:
        """Refuse thresholds that mean nothing."""
        if not 0.0 < self.probability_best < 1.0:
            raise InvalidInput(f"probability_best is {self.probability_best}: pass a fraction between 0 and 1.")
        if not (self.relative_expected_loss >= 0.0 and (self.expected_loss is None or self.expected_loss >= 0.0)):
            raise InvalidInput("An expected loss to tolerate is negative or NaN: pass 0 or more.")
        if self.effect_that_matters is not None and not self.effect_that_matters > 0.0:
            raise InvalidInput(f"The effect that matters is {self.effect_that_matters}: pass its size, above 0.")


STANDARD = Thresholds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of a test.

    Attributes
    ----------
    progress : exposed units over the planned ones, at least 0; from 1 on the fixed horizon is reached. None where no
        size is planned: there is no horizon then, and only what is valid at every look can end the test
    frequentist, sequential : results; None where there is too little data for them
    probability_best, expected_loss : by variant, in the metric's own direction and unit; None where there is no
        posterior
    control : the control's index
    control_value : the control's rate, mean or ratio
    higher_is_better : the metric's direction
    sample_ratio : None where nobody was exposed
    guardrails : one check a guardrail metric and treatment
    multiple_exposures : units exposed to more than one variant
    names : of the variants, for the reasons; by default "variant 0" and so on
    """

    progress: float | None
    frequentist: FrequentistResult | None = None
    sequential: SequentialResult | None = None
    probability_best: Sequence[float] | None = None
    expected_loss: Sequence[float] | None = None
    control: int = 0
    control_value: float | None = None
    higher_is_better: bool = True
    sample_ratio: SampleRatioCheck | None = None
    guardrails: Sequence[GuardrailCheck] = ()
    multiple_exposures: int = 0
    names: Sequence[str] | None = None

    @property
    def horizon_reached(self) -> bool:
        """Whether the planned size is reached."""
        return self.progress is not None and self.progress >= 1.0

    def name(self, variant: int) -> str:
        """Return what a variant is called in a sentence."""
        return self.names[variant] if self.names else f"variant {variant}"

    def gain(self, difference: float) -> float:
        """Return a difference with the sign turned so that more is better."""
        return difference if self.higher_is_better else -difference


def decide(evidence: Evidence, *, thresholds: Thresholds = STANDARD) -> Verdict:
    """Return the verdict.

    Parameters
    ----------
    evidence : what both schools, and the checks of the test's health, say
    thresholds : when that is enough

    Returns
    -------
    INVALID on a sample ratio mismatch; WINNER when the always-valid test, or the fixed-horizon test once its horizon is
    reached, calls a variant, that variant's probability of being best and expected loss agree, and it breaches no
    guardrail; NO_DIFFERENCE when the horizon is reached and every interval lies within the effect that matters;
    otherwise KEEP_RUNNING. A treatment is called when it is better than the control at the adjusted p-value; the
    control is called when it is better than every treatment.
    """
    frequentist, bayesian = _frequentist_call(evidence), _bayesian_call(evidence, thresholds)
    decision, winner = _decided(evidence, thresholds, frequentist, bayesian)
    reasons = [
        *_health_reasons(evidence),
        *_frequentist_reasons(evidence, frequentist),
        *_bayesian_reasons(evidence, thresholds, bayesian),
        *_disagreement_reasons(evidence, frequentist, bayesian),
        *_guardrail_reasons(evidence),
        *_horizon_reasons(evidence, thresholds, decision),
    ]
    agreed = evidence.probability_best is not None and _has_test(evidence) and frequentist == bayesian
    return Verdict(decision=decision, winner=winner, agreed=agreed, reasons=tuple(reasons))


def _decided(
    evidence: Evidence, thresholds: Thresholds, frequentist: int | None, bayesian: int | None
) -> tuple[Decision, int | None]:
    if evidence.sample_ratio is not None and evidence.sample_ratio.mismatch:
        return Decision.INVALID, None
    if frequentist is not None and frequentist == bayesian and not _breached(evidence, frequentist):
        return Decision.WINNER, frequentist
    if frequentist is None and _within_what_matters(evidence, thresholds):
        return Decision.NO_DIFFERENCE, None
    return Decision.KEEP_RUNNING, None


def _has_test(evidence: Evidence) -> bool:
    return evidence.sequential is not None or evidence.frequentist is not None


def _frequentist_call(evidence: Evidence) -> int | None:
    """Return the variant that the always-valid test calls, or else the fixed-horizon test at its horizon."""
    called = None if evidence.sequential is None else _call(evidence, evidence.sequential)
    if called is None and evidence.horizon_reached and evidence.frequentist is not None:
        return _call(evidence, evidence.frequentist)
    return called


def _call(evidence: Evidence, result: FrequentistResult | SequentialResult) -> int | None:
    """Return the best of the treatments that beat the control, or the control where it beats them all."""
    alpha = error_rate(result.level)
    apart = [one for one in result.comparisons if one.adjusted_p_value < alpha]
    better = [one for one in apart if evidence.gain(one.difference.point) > 0.0]
    if better:
        return max(better, key=lambda one: evidence.gain(one.difference.point)).variant
    return evidence.control if len(apart) == len(result.comparisons) else None


def _bayesian_call(evidence: Evidence, thresholds: Thresholds) -> int | None:
    """Return the likeliest best variant, where it is likely enough and choosing it costs little enough."""
    if evidence.probability_best is None:
        return None
    best = _likeliest(evidence.probability_best)
    likely = evidence.probability_best[best] >= thresholds.probability_best
    return best if likely and _cheap(evidence, thresholds, best) else None


def _likeliest(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=probabilities.__getitem__)


def _cheap(evidence: Evidence, thresholds: Thresholds, variant: int) -> bool:
    limit = _loss_limit(evidence, thresholds)
    return limit is None or evidence.expected_loss is None or evidence.expected_loss[variant] <= limit


def _loss_limit(evidence: Evidence, thresholds: Thresholds) -> float | None:
    if thresholds.expected_loss is not None:
        return thresholds.expected_loss
    if thresholds.effect_that_matters is not None:
        return thresholds.effect_that_matters / 10.0
    return None if evidence.control_value is None else thresholds.relative_expected_loss * abs(evidence.control_value)


def _breached(evidence: Evidence, variant: int) -> bool:
    return any(g.variant == variant and g.status is GuardrailStatus.BREACHED for g in evidence.guardrails)


def _within_what_matters(evidence: Evidence, thresholds: Thresholds) -> bool:
    limit = thresholds.effect_that_matters
    if limit is None or evidence.frequentist is None or not evidence.horizon_reached:
        return False
    return all(_within(one.difference, limit) for one in evidence.frequentist.comparisons)


def _within(difference: IntervalEstimate, limit: float) -> bool:
    return -limit <= difference.low and difference.high <= limit


def _health_reasons(evidence: Evidence) -> Iterator[str]:
    ratio = evidence.sample_ratio
    if ratio is not None and ratio.mismatch:
        yield (
            f"Sample ratio mismatch (p = {ratio.p_value:.2g}): exposures do not follow the weights, so no result can "
            "be trusted; find the cause, then start anew."
        )
    elif ratio is not None and ratio.caution:
        yield (
            f"Caution: exposures fit the weights poorly (p = {ratio.p_value:.2g}); look for lost or doubled exposures."
        )
    if evidence.multiple_exposures > 0:
        yield f"{evidence.multiple_exposures} units were exposed to more than one variant; check how they are assigned."


def _frequentist_reasons(evidence: Evidence, called: int | None) -> Iterator[str]:
    source, result = _calling_test(evidence)
    if result is None:
        yield "There is too little data for a test yet."
    elif called is None:
        smallest = min(one.adjusted_p_value for one in result.comparisons)
        yield f"The {source} tells no variant apart: smallest adjusted p = {smallest:.2g}."
    elif called == evidence.control:
        yield f"The {source} says that every treatment is worse than {evidence.name(called)}."
    else:
        one = next(comparison for comparison in result.comparisons if comparison.variant == called)
        beaten = evidence.name(evidence.control)
        yield f"The {source} says that {evidence.name(called)} beats {beaten}: {_described(one)}."


def _calling_test(evidence: Evidence) -> tuple[str, FrequentistResult | SequentialResult | None]:
    """Return the test that calls a variant; where none does, the one that may be read now; None without any."""
    sequential, frequentist = evidence.sequential, evidence.frequentist
    if sequential is not None and _call(evidence, sequential) is not None:
        return "always-valid test", sequential
    if frequentist is not None and (evidence.horizon_reached or sequential is None):
        early = "" if evidence.horizon_reached else " (before its horizon, so it decides nothing)"
        return f"fixed-horizon test{early}", frequentist
    return "always-valid test", sequential


def _described(comparison: Comparison) -> str:
    difference = comparison.difference
    return (
        f"difference {difference.point:+.3g} ({difference.low:+.3g} to {difference.high:+.3g}), "
        f"adjusted p = {comparison.adjusted_p_value:.2g}"
    )


def _bayesian_reasons(evidence: Evidence, thresholds: Thresholds, called: int | None) -> Iterator[str]:
    if evidence.probability_best is None:
        yield "There is no posterior yet."
        return
    best = _likeliest(evidence.probability_best)
    loss = "" if evidence.expected_loss is None else f", expected loss {evidence.expected_loss[best]:.2g}"
    stated = f"P({evidence.name(best)} is best) = {evidence.probability_best[best]:.3f}{loss}"
    if called is not None:
        yield f"{stated}: enough to choose it."
    elif evidence.probability_best[best] < thresholds.probability_best:
        yield f"{stated}: below the {thresholds.probability_best:.3g} asked for."
    else:
        yield f"{stated}: more than the {_loss_limit(evidence, thresholds):.2g} that may be lost."


def _disagreement_reasons(evidence: Evidence, frequentist: int | None, bayesian: int | None) -> Iterator[str]:
    if frequentist is not None and bayesian is not None and frequentist != bayesian:
        yield f"The two schools disagree: {evidence.name(frequentist)} against {evidence.name(bayesian)}."


def _guardrail_reasons(evidence: Evidence) -> Iterator[str]:
    for check in evidence.guardrails:
        if check.status is not GuardrailStatus.SAFE:
            verb = "breaches" if check.status is GuardrailStatus.BREACHED else "has not been shown to keep"
            yield (
                f"{evidence.name(check.variant)} {verb} a guardrail: difference {check.difference.point:+.3g} "
                f"against a margin of {check.margin:.3g}."
            )


def _horizon_reasons(evidence: Evidence, thresholds: Thresholds, decision: Decision) -> Iterator[str]:
    limit = thresholds.effect_that_matters
    if decision is Decision.NO_DIFFERENCE:
        yield f"The planned size is reached and every interval lies within the {limit:.3g} that matters."
    elif decision is Decision.KEEP_RUNNING and evidence.progress is None:
        yield "No size is planned: plan one, by minimumDetectableEffect and baseline, to know when to stop."
    elif decision is Decision.KEEP_RUNNING and not evidence.horizon_reached:
        yield f"{evidence.progress:.0%} of the planned units are exposed."
    elif decision is Decision.KEEP_RUNNING:
        yield "The planned size is reached without a verdict: plan more units, or accept not knowing."

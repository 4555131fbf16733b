"""How many units a test needs."""

from dataclasses import dataclass

from app.abtests.drafting import TestDraft
from app.errors import DomainErrors, InvalidInput
from app.store.models.codes import MetricKind
from engine.errors import EngineError
from engine.power.baselines import Baseline, ConversionBaseline, MeanBaseline
from engine.power.sample_size import Design, SampleSize, sample_size


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeQuestion:
    """What the calculator is asked; effects are relative unless said, daily units over all variants."""

    kind: MetricKind
    baseline: float
    minimum_detectable_effect: float
    standard_deviation: float | None = None
    relative: bool = True
    power: float = 0.8
    confidence_level: float = 0.95
    variants: int = 2
    daily_units: int | None = None
    sequential: bool = False


def needed_size(question: SizeQuestion) -> SampleSize:
    """Return the units needed; what cannot be answered raises DomainErrors."""
    try:
        return sample_size(
            _baseline(question),
            question.minimum_detectable_effect,
            relative=question.relative,
            design=Design(
                power=question.power,
                level=question.confidence_level,
                variants=question.variants,
                sequential=question.sequential,
            ),
            daily_units=question.daily_units,
        )
    except EngineError as error:
        raise DomainErrors([InvalidInput(str(error), path=("input",))]) from error


def target_sample_size(draft: TestDraft) -> int | None:
    """Return the planned units per variant: as stated, or from baseline and effect where these suffice."""
    if draft.target_sample_size is not None:
        return draft.target_sample_size
    if (
        draft.baseline is None
        or draft.minimum_detectable_effect is None
        or draft.metric.kind is not MetricKind.CONVERSION
    ):
        return None
    question = SizeQuestion(
        kind=draft.metric.kind,
        baseline=draft.baseline,
        minimum_detectable_effect=draft.minimum_detectable_effect,
        power=draft.power,
        confidence_level=draft.confidence_level,
        variants=len(draft.variants),
    )
    return needed_size(question).per_variant


def _baseline(question: SizeQuestion) -> Baseline:
    if question.kind is MetricKind.CONVERSION:
        return ConversionBaseline(rate=question.baseline)
    if question.standard_deviation is None:
        message = "A mean's size depends on how much units vary: give standardDeviation, from past data."
        raise DomainErrors([InvalidInput(message, path=("input", "standardDeviation"))])
    return MeanBaseline(mean=question.baseline, standard_deviation=question.standard_deviation)

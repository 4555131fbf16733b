"""The sample size calculator against statsmodels and textbooks."""

import math

import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

from app.abtests.sizing import SizeQuestion, needed_size
from app.errors import DomainErrors, ErrorCode
from app.store.models.codes import MetricKind

CONVERSION = {"kind": MetricKind.CONVERSION, "baseline": 0.1, "minimum_detectable_effect": 0.1}


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("power", [0.8, 0.9])
def test_conversion_agrees_with_statsmodels(level: float, power: float) -> None:
    found = needed_size(SizeQuestion(**CONVERSION, confidence_level=level, power=power))
    reference = samplesize_proportions_2indep_onetail(0.01, 0.1, power, alpha=1 - level)
    assert found.per_variant == pytest.approx(reference, rel=0.002)
    assert found.total == 2 * found.per_variant
    assert found.days is None


def test_a_mean_agrees_with_statsmodels() -> None:
    question = SizeQuestion(
        kind=MetricKind.REVENUE, baseline=20.0, standard_deviation=35.0, minimum_detectable_effect=0.05, daily_units=500
    )
    found = needed_size(question)
    reference = TTestIndPower().solve_power(effect_size=1.0 / 35.0, alpha=0.05, power=0.8)
    assert found.per_variant == pytest.approx(reference, rel=0.001)
    assert found.days == pytest.approx(found.total / 500)


def test_absolute_effects_and_more_variants() -> None:
    relative = needed_size(SizeQuestion(**CONVERSION))
    absolute = needed_size(SizeQuestion(**CONVERSION | {"minimum_detectable_effect": 0.01}, relative=False))
    assert relative == absolute
    four = needed_size(SizeQuestion(**CONVERSION, variants=4))
    # Bonferroni: three comparisons share the error
    ratio = (stats.norm.isf(0.025 / 3) + stats.norm.isf(0.2)) ** 2 / (stats.norm.isf(0.025) + stats.norm.isf(0.2)) ** 2
    assert four.per_variant == pytest.approx(relative.per_variant * ratio, rel=0.01)
    assert four.total == 4 * four.per_variant


def test_looking_at_any_time_costs_units() -> None:
    fixed, sequential = (
        needed_size(SizeQuestion(**CONVERSION)),
        needed_size(SizeQuestion(**CONVERSION, sequential=True)),
    )
    assert 1.3 < sequential.per_variant / fixed.per_variant < 3


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"baseline": 0.0}, "baseline"),
        ({"baseline": 1.2}, "1"),
        ({"baseline": math.nan}, ""),
        ({"minimum_detectable_effect": 0.0}, "0"),
        ({"minimum_detectable_effect": 20.0}, ""),
        ({"power": 1.0}, ""),
        ({"confidence_level": 95.0}, ""),
        ({"variants": 1}, ""),
        ({"daily_units": 0}, "day"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_words(wrong: dict, says: str) -> None:
    with pytest.raises(DomainErrors) as refused:
        needed_size(SizeQuestion(**CONVERSION | wrong))
    (problem,) = refused.value.problems
    assert problem.code is ErrorCode.INVALID_INPUT
    assert problem.path == ("input",)
    assert says in problem.message
    assert len(problem.message) > 20


def test_a_mean_needs_its_spread() -> None:
    with pytest.raises(DomainErrors, match="give standardDeviation"):
        needed_size(SizeQuestion(kind=MetricKind.COUNT, baseline=2.0, minimum_detectable_effect=0.1))

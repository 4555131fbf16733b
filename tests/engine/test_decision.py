from dataclasses import replace

import pytest

from engine.decision import Decision, Evidence, Thresholds, decide
from engine.errors import InvalidInput
from engine.frequentist.comparing import compare_proportions
from engine.frequentist.guardrail import guardrail_check
from engine.frequentist.sample_ratio import sample_ratio_check
from engine.sequential.comparing import sequential_proportions
from engine.summaries import ProportionSummary


def evidence(*converted: int, exposed: int = 10_000, target: int = 20_000, **changes) -> Evidence:
    """Return what both tests say of these conversions, with a posterior that agrees with the larger rate."""
    summaries = [ProportionSummary(converted=count, exposed=exposed) for count in converted]
    known = Evidence(
        progress=exposed / target,
        frequentist=compare_proportions(summaries),
        sequential=sequential_proportions(summaries, target=target),
        control_value=converted[0] / exposed,
        sample_ratio=sample_ratio_check([exposed] * len(converted), [1.0] * len(converted)),
        names="ABCD"[: len(converted)],
    )
    return replace(known, **changes)


def told(verdict) -> str:
    return " ".join(verdict.reasons)


def test_a_treatment_wins_early_by_the_always_valid_test():
    verdict = decide(evidence(1000, 1200, probability_best=(0.001, 0.999), expected_loss=(0.02, 1e-6)))
    assert (verdict.decision, verdict.winner, verdict.agreed) == (Decision.WINNER, 1, True)
    assert "always-valid test says that B beats A: difference +0.02" in told(verdict)
    assert "P(B is best) = 0.999" in told(verdict)


def test_the_control_wins_where_every_treatment_is_worse():
    verdict = decide(
        evidence(1200, 1000, 990, probability_best=(0.999, 0.0005, 0.0005), expected_loss=(0.0, 0.02, 0.02))
    )
    assert (verdict.decision, verdict.winner) == (Decision.WINNER, 0)
    assert "every treatment is worse than A" in told(verdict)


def test_the_control_does_not_win_over_one_of_two_treatments():
    verdict = decide(evidence(1200, 1000, 1210, probability_best=(0.4, 0.0, 0.6), expected_loss=(0.002, 0.02, 0.001)))
    assert (verdict.decision, verdict.winner) == (Decision.KEEP_RUNNING, None)


def test_the_better_of_two_winners():
    verdict = decide(evidence(1000, 1200, 1400, probability_best=(0.0, 0.001, 0.999), expected_loss=(0.04, 0.02, 0.0)))
    assert (verdict.decision, verdict.winner) == (Decision.WINNER, 2)


def test_a_metric_that_should_be_low():
    known = evidence(1000, 1200, probability_best=(0.999, 0.001), expected_loss=(1e-6, 0.02), higher_is_better=False)
    assert (decide(known).decision, decide(known).winner) == (Decision.WINNER, 0)
    known = evidence(1200, 1000, probability_best=(0.001, 0.999), expected_loss=(0.02, 1e-6), higher_is_better=False)
    assert (decide(known).decision, decide(known).winner) == (Decision.WINNER, 1)


def test_a_fixed_horizon_decides_once_it_is_reached_and_not_before():
    # Cookie Cats: p = 0.0016 at a fixed horizon and 0.035 at every look, so that at 99 % only the former calls
    summaries = [ProportionSummary(converted=8502, exposed=44_700), ProportionSummary(converted=8279, exposed=45_489)]
    known = Evidence(
        progress=0.9,
        frequentist=compare_proportions(summaries, level=0.99),
        sequential=sequential_proportions(summaries, target=45_000, level=0.99),
        probability_best=(0.999, 0.001),
        expected_loss=(1e-6, 0.0082),
        control_value=0.19,
    )
    early, late = decide(known), decide(replace(known, progress=1.0))
    assert (early.decision, early.agreed) == (Decision.KEEP_RUNNING, False)
    assert "90% of the planned units" in told(early)
    assert (late.decision, late.winner) == (Decision.WINNER, 0)
    assert "fixed-horizon test says" in told(late)


def test_no_difference_within_what_matters():
    known = evidence(1000, 1003, target=10_000, probability_best=(0.47, 0.53), expected_loss=(0.002, 0.002))
    verdict = decide(known, thresholds=Thresholds(effect_that_matters=0.02))
    assert (verdict.decision, verdict.winner, verdict.agreed) == (Decision.NO_DIFFERENCE, None, True)
    assert "every interval lies within the 0.02 that matters" in told(verdict)
    for other in (Thresholds(effect_that_matters=0.005), Thresholds()):
        undecided = decide(known, thresholds=other)
        assert undecided.decision is Decision.KEEP_RUNNING
        assert "plan more units" in told(undecided)
    assert decide(replace(known, progress=0.99), thresholds=Thresholds(effect_that_matters=0.02)).decision is (
        Decision.KEEP_RUNNING
    )


def test_a_sample_ratio_mismatch_is_invalid_whatever_the_tests_say():
    known = evidence(1000, 1200, probability_best=(0.001, 0.999), expected_loss=(0.02, 1e-6))
    verdict = decide(replace(known, sample_ratio=sample_ratio_check([10_000, 11_000], [1, 1])))
    assert (verdict.decision, verdict.winner) == (Decision.INVALID, None)
    assert verdict.reasons[0].startswith("Sample ratio mismatch (p = ")
    assert "find the cause" in verdict.reasons[0]


def test_cookie_cats_sample_ratio_is_a_caution():
    known = evidence(1000, 1200, probability_best=(0.001, 0.999), expected_loss=(0.02, 1e-6))
    verdict = decide(replace(known, sample_ratio=sample_ratio_check([44_700, 45_489], [1, 1])))
    assert verdict.decision is Decision.WINNER
    assert verdict.reasons[0].startswith("Caution: exposures fit the weights poorly (p = 0.0086)")


def test_schools_that_disagree():
    known = evidence(1000, 1200, probability_best=(0.999, 0.001), expected_loss=(0.0, 0.02))
    verdict = decide(known)
    assert (verdict.decision, verdict.agreed) == (Decision.KEEP_RUNNING, False)
    assert "The two schools disagree: B against A." in verdict.reasons


def test_a_posterior_that_is_not_sure_enough():
    verdict = decide(evidence(1000, 1200, probability_best=(0.06, 0.94), expected_loss=(0.02, 1e-6)))
    assert (verdict.decision, verdict.agreed) == (Decision.KEEP_RUNNING, False)
    assert "below the 0.95 asked for" in told(verdict)
    bolder = Thresholds(probability_best=0.9)
    known = evidence(1000, 1200, probability_best=(0.06, 0.94), expected_loss=(0.02, 1e-6))
    assert decide(known, thresholds=bolder).decision is Decision.WINNER


@pytest.mark.parametrize(
    ("thresholds", "decision"),
    [
        (Thresholds(), Decision.KEEP_RUNNING),  # 1 % of the control's 0.1
        (Thresholds(relative_expected_loss=0.03), Decision.WINNER),
        (Thresholds(effect_that_matters=0.01), Decision.KEEP_RUNNING),  # a tenth of it
        (Thresholds(effect_that_matters=0.03), Decision.WINNER),
        (Thresholds(expected_loss=0.0019, effect_that_matters=0.03), Decision.KEEP_RUNNING),
        (Thresholds(expected_loss=0.0021), Decision.WINNER),
    ],
)
def test_what_may_be_lost(thresholds: Thresholds, decision: Decision):
    known = evidence(1000, 1200, probability_best=(0.04, 0.96), expected_loss=(0.02, 0.002))
    verdict = decide(known, thresholds=thresholds)
    assert verdict.decision is decision
    assert ("that may be lost" in told(verdict)) == (decision is Decision.KEEP_RUNNING)


def test_a_breached_guardrail_holds_a_winner_back():
    latency = compare_proportions([ProportionSummary(converted=c, exposed=10_000) for c in (500, 700)])
    harm = guardrail_check(latency.comparisons[0].difference, margin=0.005, higher_is_better=False)
    known = evidence(1000, 1200, probability_best=(0.001, 0.999), expected_loss=(0.02, 1e-6), guardrails=[harm])
    verdict = decide(known)
    assert verdict.decision is Decision.KEEP_RUNNING
    assert "B breaches a guardrail: difference +0.02 against a margin of 0.005." in verdict.reasons
    elsewhere = replace(harm, variant=2)
    assert decide(replace(known, guardrails=[elsewhere], names=None)).decision is Decision.WINNER


def test_a_guardrail_that_is_not_shown_to_be_kept_is_told():
    latency = compare_proportions([ProportionSummary(converted=c, exposed=1000) for c in (50, 52)])
    check = guardrail_check(latency.comparisons[0].difference, margin=0.005, higher_is_better=False)
    known = evidence(1000, 1200, probability_best=(0.001, 0.999), expected_loss=(0.02, 1e-6), guardrails=[check])
    assert decide(known).decision is Decision.WINNER
    assert "has not been shown to keep a guardrail" in told(decide(known))


def test_multiple_exposures_are_told():
    assert "12 units were exposed to more than one variant" in told(decide(evidence(1000, 1010, multiple_exposures=12)))


def test_nothing_known_yet():
    assert "No size is planned" in decide(Evidence(progress=None)).reasons[-1]
    verdict = decide(Evidence(progress=0.0))
    assert (verdict.decision, verdict.winner, verdict.agreed) == (Decision.KEEP_RUNNING, None, False)
    assert told(verdict) == (
        "There is too little data for a test yet. There is no posterior yet. 0% of the planned units are exposed."
    )


def test_a_fixed_test_alone_before_its_horizon_says_so():
    known = evidence(1000, 1200, sequential=None, probability_best=(0.001, 0.999), expected_loss=(0.02, 1e-6))
    verdict = decide(known)
    assert verdict.decision is Decision.KEEP_RUNNING
    assert "before its horizon, so it decides nothing" in told(verdict)


def test_variants_without_names():
    verdict = decide(evidence(1000, 1200, names=None, probability_best=(0.001, 0.999), expected_loss=(0.02, 1e-6)))
    assert "variant 1 beats variant 0" in told(verdict)


def test_thresholds_out_of_range():
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        Thresholds(probability_best=1.0)
    with pytest.raises(InvalidInput, match="pass 0 or more"):
        Thresholds(expected_loss=-0.1)
    with pytest.raises(InvalidInput, match="pass 0 or more"):
        Thresholds(relative_expected_loss=float("nan"))
    with pytest.raises(InvalidInput, match="above 0"):
        Thresholds(effect_that_matters=0.0)


def test_the_ends_of_the_ranges_of_thresholds():
    for probability in (0.0, 1.0, float("nan")):
        with pytest.raises(InvalidInput, match="between 0 and 1"):
            Thresholds(probability_best=probability)
    assert Thresholds(relative_expected_loss=0.0).relative_expected_loss == 0.0
    assert Thresholds(expected_loss=0.0).expected_loss == 0.0


def test_a_threshold_that_is_just_reached_is_enough():
    thresholds = Thresholds(probability_best=0.96, expected_loss=0.002)
    known = evidence(1000, 1200, probability_best=(0.04, 0.96), expected_loss=(0.02, 0.002))
    verdict = decide(known, thresholds=thresholds)
    assert (verdict.decision, verdict.winner) == (Decision.WINNER, 1)
    assert "enough to choose it" in told(verdict)


def test_a_tenth_of_what_matters_may_be_lost():
    known = evidence(1000, 1200, probability_best=(0.04, 0.96), expected_loss=(0.02, 0.002))
    assert decide(known, thresholds=Thresholds(effect_that_matters=0.02)).decision is Decision.WINNER
    assert decide(known, thresholds=Thresholds(effect_that_matters=0.0199)).decision is Decision.KEEP_RUNNING


def test_without_an_expected_loss_or_a_limit_probability_alone_decides():
    known = evidence(1000, 1200, probability_best=(0.001, 0.999))
    assert decide(known, thresholds=Thresholds(expected_loss=0.0)).decision is Decision.WINNER
    unlimited = replace(known, expected_loss=(0.02, 5.0), control_value=None)
    assert decide(unlimited).decision is Decision.WINNER
    assert decide(replace(unlimited, control_value=-0.1)).decision is Decision.KEEP_RUNNING  # 1 % of 0.1


def test_either_test_is_enough_to_agree():
    both = evidence(1000, 1003, probability_best=(0.47, 0.53), expected_loss=(0.002, 0.002))
    assert decide(replace(both, sequential=None)).agreed
    assert decide(replace(both, frequentist=None)).agreed
    assert not decide(replace(both, sequential=None, frequentist=None)).agreed
    assert not decide(replace(both, probability_best=None)).agreed


def p_values(known: Evidence, *values: float) -> Evidence:
    """Return the evidence with these adjusted p-values of the always-valid test."""
    changed = [replace(one, adjusted_p_value=p) for one, p in zip(known.sequential.comparisons, values, strict=True)]
    return replace(known, sequential=replace(known.sequential, comparisons=tuple(changed)))


def test_a_p_value_that_equals_the_error_rate_calls_nothing():
    known = evidence(1000, 1200, probability_best=(0.001, 0.999), expected_loss=(0.02, 1e-6))
    alpha = 1.0 - known.sequential.level
    assert decide(p_values(known, alpha)).decision is Decision.KEEP_RUNNING
    assert decide(p_values(known, alpha * 0.999)).decision is Decision.WINNER


def test_a_difference_of_nothing_is_no_better():
    known = evidence(1000, 1000, probability_best=(0.999, 0.001), expected_loss=(1e-6, 0.02))
    verdict = decide(p_values(known, 0.001))  # no real test gives this; the control is called, never the treatment
    assert (verdict.decision, verdict.winner) == (Decision.WINNER, 0)


def test_an_interval_that_just_reaches_what_matters_lies_within_it():
    known = evidence(1000, 1003, target=10_000, probability_best=(0.47, 0.53), expected_loss=(0.002, 0.002))
    difference = known.frequentist.comparisons[0].difference
    widest = max(-difference.low, difference.high)
    decisions = [
        decide(known, thresholds=Thresholds(effect_that_matters=widest * factor)).decision for factor in (1.0, 0.999)
    ]
    assert decisions == [Decision.NO_DIFFERENCE, Decision.KEEP_RUNNING]
    mirrored = evidence(1003, 1000, target=10_000, probability_best=(0.53, 0.47), expected_loss=(0.002, 0.002))
    lowest = -mirrored.frequentist.comparisons[0].difference.low
    decisions = [
        decide(mirrored, thresholds=Thresholds(effect_that_matters=lowest * factor)).decision for factor in (1.0, 0.999)
    ]
    assert decisions == [Decision.NO_DIFFERENCE, Decision.KEEP_RUNNING]


def test_which_test_is_read_where_none_calls_a_variant():
    known = evidence(1000, 1003, probability_best=(0.47, 0.53), expected_loss=(0.002, 0.002))
    assert "The always-valid test tells no variant apart" in told(decide(known))
    assert "The fixed-horizon test tells no variant apart" in told(decide(replace(known, progress=1.0)))
    assert "The always-valid test tells no" in told(decide(replace(known, progress=1.0, frequentist=None)))


def test_what_the_choice_costs_is_told_where_it_is_known():
    known = evidence(1000, 1200, probability_best=(0.05, 0.95), expected_loss=(0.02, 0.005))
    assert "P(B is best) = 0.950, expected loss 0.005: more than the 0.001 that may be lost" in told(decide(known))
    assert "P(B is best) = 0.950: enough to choose it" in told(decide(replace(known, expected_loss=None)))


def test_one_unit_exposed_twice_is_told_and_none_is_not():
    known = evidence(1000, 1010)
    assert "1 units were exposed" in told(decide(replace(known, multiple_exposures=1)))
    assert "more than one variant" not in told(decide(known))

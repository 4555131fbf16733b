"""Advice on tests to start and to end."""

import pytest

from app.optimizer.advice_on_tests import advise_ending, advise_starting
from app.optimizer.situations import TestState
from app.store.activity import Reached
from app.store.models.codes import RecommendationKind
from engine.decision import Decision
from engine.effects import IntervalEstimate
from engine.power.baselines import ConversionBaseline
from engine.power.sample_size import sample_size


def reached(users: int, converted: int) -> Reached:
    return Reached(campaign_id=1, users=users, converted=converted)


def test_a_test_is_advised_where_there_is_none_and_users_enough(situation) -> None:
    [advice] = advise_starting(situation(reached=reached(30_000, 3_000)))
    assert advice.kind is RecommendationKind.START_TEST
    assert advice.evidence["lift"] == 0.15
    assert advice.evidence["days"] <= 28 < 2 * sample_size(ConversionBaseline(rate=0.1), 0.1).per_variant / 1_000
    assert advice.gain is None
    assert "createAmountTest" in advice.rationale
    assert "10.00%" in advice.rationale


def test_more_users_show_smaller_lifts(situation) -> None:
    lifts = [
        next(advise_starting(situation(reached=reached(users, users // 10)))).evidence["lift"]
        for users in (3_000, 10_000, 100_000)
    ]
    assert lifts == [0.5, 0.2, 0.1]


@pytest.mark.parametrize(
    "given",
    [
        {"reached": reached(30_000, 3_000), "tested": True},
        {"reached": reached(300, 30)},
        {"reached": reached(30_000, 19)},
        {"reached": reached(30, 30)},
        {},
    ],
    ids=["tested", "few users", "few conversions", "all converted", "nobody"],
)
def test_no_test_is_advised_where_it_would_tell_nothing(situation, given) -> None:
    assert list(advise_starting(situation(**given))) == []


# ------------------------------------------------------------------------------------------------ ending


def state(decision: Decision, **given) -> TestState:
    defaults = {
        "test_id": 7,
        "key": "t",
        "name": "Spring",
        "campaign_id": 1,
        "decision": decision,
        "reasons": ("Both schools say so.",),
    }
    return TestState(**(defaults | given))


WINNER = {
    "winner": "Bold",
    "difference": IntervalEstimate(point=0.02, low=0.01, high=0.03),
    "winner_share": 0.5,
    "counts_conversions": True,
}


def test_a_winner_ends_its_test_with_what_the_others_units_lose(situation, situations, measures) -> None:
    campaign = situation(reached=reached(10_000, 500), channels={1: measures(10_000, 500)})
    [advice] = advise_ending(situations(campaign, tests=[state(Decision.WINNER, **WINNER)]))
    assert (advice.kind, advice.test_id, advice.campaign_id) == (RecommendationKind.END_TEST, 7, 1)
    assert advice.title == "End Spring: Bold wins"
    assert advice.gain is not None
    assert (advice.gain.point, advice.gain.low) == (pytest.approx(5_000 * 0.02 * 15), pytest.approx(5_000 * 0.01 * 15))
    assert "Both schools say so." in advice.rationale
    assert "1,500.00 USD" in advice.rationale


def test_revenue_is_money_already(situation, situations, measures) -> None:
    campaign = situation(reached=reached(10_000, 500), channels={1: measures(10_000, 500)})
    money = WINNER | {"counts_conversions": False, "is_money": True}
    [advice] = advise_ending(situations(campaign, tests=[state(Decision.WINNER, **money)]))
    assert advice.gain is not None
    assert advice.gain.point == pytest.approx(5_000 * 0.02)


@pytest.mark.parametrize(
    ("decision", "title"),
    [
        (Decision.NO_DIFFERENCE, "End Spring: no difference that matters"),
        (Decision.INVALID, "End Spring: its results cannot be trusted"),
    ],
)
def test_what_will_not_change_by_waiting_is_ended(situations, decision: Decision, title: str) -> None:
    [advice] = advise_ending(situations(tests=[state(decision)]))
    assert (advice.title, advice.gain, advice.subject) == (title, None, decision.name)


def test_what_may_change_goes_on(situations) -> None:
    assert list(advise_ending(situations(tests=[state(Decision.KEEP_RUNNING)]))) == []


def test_a_test_about_no_campaign_that_runs_has_no_gain_in_money(situations) -> None:
    found = list(
        advise_ending(
            situations(tests=[state(Decision.WINNER, **WINNER), state(Decision.WINNER, campaign_id=None, **WINNER)])
        )
    )
    assert [one.gain for one in found] == [None, None]


def test_long_names_are_cut(situations) -> None:
    [advice] = advise_ending(
        situations(tests=[state(Decision.WINNER, name="n" * 200, **(WINNER | {"winner": "w" * 200}))])
    )
    assert len(advice.title) <= 200

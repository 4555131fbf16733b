"""Advice on channels, segments and budget: given where differences are more than chance, and nowhere else."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from app.optimizer.advice_on_spending import advise_budget, advise_channel, advise_segments
from app.store.activity import Earned
from app.store.learned import SegmentRankRow
from app.store.models.codes import Channel
from engine.learning.earnings import Earnings

NOW = datetime(2026, 3, 31, tzinfo=UTC)
PUSH, EMAIL, SMS = int(Channel.PUSH), int(Channel.EMAIL), int(Channel.SMS)


def earned(
    conversions: int, *, channel: int = PUSH, campaign: int = 1, value: float = 20.0, reward: float = 5.0
) -> Earned:
    """Conversions that all earned, and paid, the same."""
    return Earned(
        campaign_id=campaign,
        channel=channel,
        sums=Earnings(
            conversions=conversions,
            value=conversions * value,
            reward=conversions * reward,
            value_squares=conversions * value**2,
            value_reward=conversions * value * reward,
            reward_squares=conversions * reward**2,
        ),
    )


# ------------------------------------------------------------------------------------------------ channel


def test_the_channel_that_earns_most_is_advised(situation, measures) -> None:
    found = situation(
        channels={PUSH: measures(10_000, 500), EMAIL: measures(10_000, 200, cost=0.01)},
        earned=[earned(500), earned(200, channel=EMAIL)],
    )
    [advice] = advise_channel(found)
    assert (advice.subject, advice.title) == ("PUSH", "Send by PUSH")
    assert advice.evidence["profit_per_send"] == pytest.approx({"PUSH": 0.75, "EMAIL": 0.29})
    assert advice.gain is not None
    assert 0 < advice.gain.low < advice.gain.point < advice.gain.high
    assert advice.gain.point == pytest.approx(10_000 * 0.46, rel=0.05)  # shrunk a little
    assert advice.gain.point < 10_000 * 0.46 + 100
    assert "nobody was given one by lot" in advice.rationale


def test_delivery_counts(situation, measures) -> None:
    found = situation(
        channels={SMS: measures(10_000, 500, cost=0.6), EMAIL: measures(10_000, 400)},
        earned=[earned(500, channel=SMS), earned(400, channel=EMAIL)],
    )
    [advice] = advise_channel(found)
    assert advice.subject == "EMAIL"


def test_a_difference_like_chance_is_no_advice(situation, measures) -> None:
    found = situation(
        channels={PUSH: measures(10_000, 205), EMAIL: measures(10_000, 195)},
        earned=[earned(205), earned(195, channel=EMAIL)],
    )
    assert list(advise_channel(found)) == []


def test_with_little_data_there_is_no_advice(situation, measures) -> None:
    few = situation(
        channels={PUSH: measures(499, 400), EMAIL: measures(10_000, 1)},
        earned=[earned(400), earned(1, channel=EMAIL)],
    )
    alone = situation(channels={PUSH: measures(10_000, 500)}, earned=[earned(500)])
    unnamed = situation(channels={0: measures(10_000, 500), PUSH: measures(10_000, 100)}, earned=[earned(100)])
    assert [list(advise_channel(one)) for one in (few, alone, unnamed, situation())] == [[], [], [], []]


def test_channels_alike_are_seldom_told_apart(situation, measures) -> None:
    """At a level of 5 % and a certainty of 95 %, alike channels are advised in no more than one world of 20."""
    rng = np.random.default_rng(6)
    called = 0
    for _ in range(300):
        counts = rng.binomial(5_000, 0.03, 3)
        found = situation(
            channels={channel: measures(5_000, int(n)) for channel, n in zip((PUSH, EMAIL, SMS), counts, strict=True)},
            earned=[earned(int(n), channel=channel) for channel, n in zip((PUSH, EMAIL, SMS), counts, strict=True)],
        )
        called += len(list(advise_channel(found)))
    assert called <= 15


# ------------------------------------------------------------------------------------------------ segments


def rank(segment: str, place: int, lift: float, spread: float = 0.005) -> SegmentRankRow:
    return SegmentRankRow(
        campaign_id=1,
        segment=segment,
        rank=place,
        expected_lift=lift,
        low=lift - spread,
        high=lift + spread,
        reasons=("A holdout of 10 %.",),
        created_at=NOW,
    )


def test_the_best_segment_is_advised_rather_than_the_worst(situation, measures) -> None:
    found = situation(
        ranks=[rank("vip", 1, 0.05), rank("new", 2, 0.03), rank("lapsed", 3, 0.01)],
        segments={name: measures(1_000, 50) for name in ("vip", "new", "lapsed")},
        channels={PUSH: measures(3_000, 150)},
    )
    [advice] = advise_segments(found)
    assert advice.title == "Put vip before lapsed: what is sent adds most there"
    assert advice.gain is not None
    assert advice.gain.point == pytest.approx(1_000 * 0.04 * 15)
    assert advice.gain.low == pytest.approx(1_000 * (0.04 - 0.005 * 2**0.5) * 15)
    for words in ("5.00%", "4.50% to 5.50%", "1,000 messages", "A holdout of 10 %."):
        assert words in advice.rationale


def test_segments_whose_intervals_meet_are_not_told_apart(situation, measures) -> None:
    segments = {name: measures(1_000, 50) for name in ("vip", "new")}
    meet = situation(ranks=[rank("vip", 1, 0.02), rank("new", 2, 0.012)], segments=segments)
    harm = situation(ranks=[rank("vip", 1, 0.004), rank("new", 2, -0.05)], segments=segments)
    one = situation(ranks=[rank("vip", 1, 0.02)], segments=segments)
    gone = situation(ranks=[rank("vip", 1, 0.05), rank("old", 2, 0.01)], segments=segments)
    assert [list(advise_segments(each)) for each in (meet, harm, one, gone)] == [[], [], [], []]


# ------------------------------------------------------------------------------------------------ budget


def spending(situation, measures, number: int, *, converted: int, value: float, **given):
    """A campaign that sent 10,000, with this many conversions of this value, of 5 paid each."""
    return situation(
        number,
        channels={PUSH: measures(10_000, converted, value=value)},
        earned=[earned(converted, campaign=number, value=value)],
        **given,
    )


def test_budget_moves_to_the_campaign_that_runs_out_and_returns_more(situation, situations, measures) -> None:
    rich = spending(situation, measures, 1, converted=400, value=30.0, of={"budget": Decimal(2500)}, spent=2_100.0)
    poor = spending(situation, measures, 2, converted=400, value=8.0)
    [advice] = advise_budget(situations(rich, poor))
    assert (advice.campaign_id, advice.subject) == (1, "from 2")
    # the budget lacks 1,600 of another month's 2,000; a fifth of what the other spends is 400
    assert advice.title == "Move 400.00 USD of budget here from Campaign 2"
    assert advice.gain is not None
    assert advice.gain.point == pytest.approx(400 * (5.0 - 0.6), rel=0.05)
    assert advice.gain.low > 0
    assert advice.evidence["giver"] == "c2"


@pytest.mark.parametrize(
    "receiver",
    [{"of": {"budget": None}}, {"of": {"budget": Decimal(99_999)}, "spent": 2_000.0}],
    ids=["unlimited", "enough left"],
)
def test_budget_stays_where_it_suffices(situation, situations, measures, receiver) -> None:
    rich = spending(situation, measures, 1, converted=400, value=30.0, **receiver)
    poor = spending(situation, measures, 2, converted=400, value=8.0)
    assert list(advise_budget(situations(rich, poor))) == []


def test_currencies_are_not_compared(situation, situations, measures) -> None:
    short = {"budget": Decimal(2000)}
    rich = spending(situation, measures, 1, converted=400, value=30.0, of=short, spent=2_000.0)
    poor = spending(situation, measures, 2, converted=400, value=8.0, of={"currency": "EUR"})
    assert list(advise_budget(situations(rich, poor))) == []


def test_returns_alike_move_nothing(situation, situations, measures) -> None:
    short = {"budget": Decimal(2000)}
    one = spending(situation, measures, 1, converted=400, value=20.0, of=short, spent=2_000.0)
    other = spending(situation, measures, 2, converted=395, value=20.0)
    few = spending(situation, measures, 3, converted=19, value=90.0, of=short, spent=2_000.0)
    assert list(advise_budget(situations(one, other, few))) == []

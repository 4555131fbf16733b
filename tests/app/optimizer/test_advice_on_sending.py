"""Advice on amounts and hours: when it is given, what it says, and when it is not."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.optimizer.advice_on_sending import advise_amount, advise_hour
from app.optimizer.situations import KnownHours
from app.store.activity import Timed
from app.store.learned import OfferCurveRow, SendTimeRow
from app.store.models.codes import Evidence, RecommendationKind
from engine.effects import IntervalEstimate

NOW = datetime(2026, 3, 31, tzinfo=UTC)


def curve(amount: str, low: str, high: str) -> OfferCurveRow:
    """A curve of profits 1, 2, 3, 2 a send at 2, 4, 8 and 10, each within 0.1."""
    points = [
        {
            "amount": at,
            "conversion_rate": [0.1, 0.05, 0.15],
            "profit_per_user": [profit, profit - 0.1, profit + 0.1],
            "gain": [3.0 - profit, 2.9 - profit, 3.2 - profit],
        }
        for at, profit in ((2.0, 1.0), (4.0, 2.0), (8.0, 3.0), (10.0, 2.0))
    ]
    return OfferCurveRow(
        id=1,
        campaign_id=1,
        model_id=1,
        amount=Decimal(amount),
        low=Decimal(low),
        high=Decimal(high),
        expected_conversion_rate=0.1,
        expected_profit_per_user=Decimal("3.00"),
        curve=points,
        evidence="1,000 sends of 4 amounts.",
        created_at=NOW,
    )


def test_an_amount_outside_the_best_ones_interval_is_advised_against(situation, measures) -> None:
    found = situation(curve=curve("8.00", "6.00", "9.00"), channels={1: measures(1_000, 100)})
    [advice] = advise_amount(found)
    assert (advice.kind, advice.campaign_id, advice.subject) == (RecommendationKind.OFFER_AMOUNT, 1, "more")
    assert advice.title == "Offer 8.00 USD instead of 5.00"
    assert advice.gain is not None
    assert advice.gain.point == pytest.approx(1_000 * (3.0 - 2.25))
    assert advice.gain.low == pytest.approx(1_000 * 0.65)
    assert advice.gain.high == pytest.approx(1_000 * 0.95)
    for words in ("between 6.00 and 9.00 USD", "10.0%", "750.00 USD (650.00 to 950.00)", "1,000 sends of 4 amounts."):
        assert words in advice.rationale


def test_raised_and_lowered_are_different_advice_another_cent_is_not(situation) -> None:
    raised = [
        next(advise_amount(situation(curve=curve(amount, "6.00", "9.00")))).identity for amount in ("8.00", "8.01")
    ]
    lowered = next(advise_amount(situation(curve=curve("3.00", "2.00", "4.00")))).identity
    assert raised[0] == raised[1] != lowered


@pytest.mark.parametrize("present", ["6.00", "7.50", "9.00"])
def test_an_amount_within_the_interval_is_left_alone(situation, measures, present: str) -> None:
    found = situation(of={"offer_amount": Decimal(present)}, curve=curve("8.00", "6.00", "9.00"))
    assert list(advise_amount(found)) == []


@pytest.mark.parametrize("present", ["1.00", "20.00"])
def test_beyond_the_amounts_tried_nothing_is_said_of_gain(situation, measures, present: str) -> None:
    found = situation(
        of={"offer_amount": Decimal(present)}, curve=curve("8.00", "6.00", "9.00"), channels={1: measures(1_000, 100)}
    )
    [advice] = advise_amount(found)
    assert advice.gain is None


def test_of_a_curve_that_an_earlier_release_stored_nothing_is_said_of_gain(situation, measures) -> None:
    known = curve("8.00", "6.00", "9.00")
    older = replace(known, curve=[{key: one[key] for key in one if key != "gain"} for one in known.curve])
    [advice] = advise_amount(situation(curve=older, channels={1: measures(1_000, 100)}))
    assert advice.gain is None


def test_without_a_curve_no_amount_is_advised(situation) -> None:
    assert list(advise_amount(situation())) == []


# ------------------------------------------------------------------------------------------------ the hour


EVERYONE = SendTimeRow(
    user_id=None,
    segment=None,
    hour=9,
    day_of_week=None,
    sends=9_000,
    open_probability=0.3,
    low=0.29,
    high=0.31,
    by_hour=[0.2] * 24,
    evidence=Evidence.GLOBAL,
    created_at=NOW,
)


KNOWN = KnownHours(everyone=EVERYONE, loss=0.59, loss_by_everyone=0.62)


def timed(**given: Any) -> Timed:
    defaults = {
        "campaign_id": 1,
        "sends": 2_000,
        "users": 1_000,
        "sent_rate": 0.20,
        "advised_rate": 0.30,
        "advised_variance": 0.05**2,
    }
    return Timed(**(defaults | given))


def test_the_hour_is_advised_where_it_opens_more(situation, measures) -> None:
    found = situation(timed=timed(), channels={1: measures(4_000, 400)})
    [advice] = advise_hour(found, KNOWN)
    assert advice.title == "Send at each user's own hour: 50% more opens"
    more = advice.evidence["more_opens"]
    common, own = (0.3 * 0.7 / (9_000 / 24)) ** 0.5, 0.05 / 1_000**0.5
    # half of the 4,000 were opened, where a fifth was expected: so many times more
    assert more["point"] == pytest.approx(0.1 * 0.5 / 0.2)
    assert (more["high"] - more["low"]) / 2 == pytest.approx(2.5 * 1.96 * (common**2 + own**2) ** 0.5, rel=1e-3)
    assert advice.gain is not None
    # 4,000 sends, a quarter more opens, each worth 15 for every fifth that converts
    assert advice.gain.point == pytest.approx(4_000 * 0.25 * 15 * 400 / 2_000)
    assert 0 < advice.gain.low < advice.gain.point < advice.gain.high
    assert "20.0%" in advice.rationale
    assert "30.0%" in advice.rationale


def borne_out(point: float, low: float, high: float) -> KnownHours:
    return replace(KNOWN, borne_out=IntervalEstimate(point=point, low=low, high=high))


def test_so_much_is_expected_as_sends_at_the_hours_advised_bore_out(situation, measures) -> None:
    found = situation(timed=timed(), channels={1: measures(4_000, 400)})
    [alone], [judged] = (list(advise_hour(found, hours)) for hours in (KNOWN, borne_out(0.6, 0.4, 0.8)))
    assert judged.evidence["more_opens"]["point"] == pytest.approx(0.6 * alone.evidence["more_opens"]["point"])
    assert judged.title == "Send at each user's own hour: 30% more opens"
    assert "bore out 60% (95 % 40% to 80%)" in judged.rationale
    assert "own account" in alone.rationale


def test_the_hour_is_not_advised_where_they_did_not_bear_it_out(situation, measures) -> None:
    found = situation(timed=timed(), channels={1: measures(4_000, 400)})
    assert list(advise_hour(found, borne_out(0.3, -0.1, 0.7))) == []


@pytest.mark.parametrize(
    "given",
    [
        {"sends": 499},
        {"advised_rate": 0.205},
        {"advised_rate": 0.15},
        {"users": 4, "advised_variance": 0.2**2},
        {"sent_rate": 0.0},
    ],
    ids=["few sends", "hardly more", "less", "not sure", "nothing opened"],
)
def test_the_hour_is_not_advised_where_it_cannot_be_told(situation, measures, given: dict[str, Any]) -> None:
    found = situation(timed=timed(**given), channels={1: measures(4_000, 400)})
    assert list(advise_hour(found, KNOWN)) == []


@pytest.mark.parametrize(("loss", "everyones"), [(0.62, 0.62), (0.63, 0.62), (None, None)])
def test_a_model_that_foretells_no_better_than_one_hour_for_everyone_is_not_believed(
    situation, measures, loss: float | None, everyones: float | None
) -> None:
    found = situation(timed=timed(), channels={1: measures(4_000, 400)})
    assert list(advise_hour(found, KnownHours(everyone=EVERYONE, loss=loss, loss_by_everyone=everyones))) == []


def test_nor_where_opens_are_not_told(situation, measures) -> None:
    found = situation(timed=timed(), channels={1: measures(38, 10)})
    assert list(advise_hour(found, KNOWN)) == []


def test_nor_before_anything_is_known(situation) -> None:
    assert list(advise_hour(situation(timed=timed()), None)) == []
    assert list(advise_hour(situation(), KNOWN)) == []


@pytest.mark.parametrize("converted", [0, 19])
def test_with_few_conversions_the_gain_is_opens_alone(situation, measures, converted: int) -> None:
    [advice] = advise_hour(situation(timed=timed(), channels={1: measures(4_000, converted)}), KNOWN)
    assert advice.gain is None


def test_a_title_fits_its_column(situation) -> None:
    long = replace(curve("8.00", "6.00", "9.00"), amount=Decimal("999999999999.99"))
    assert len(next(advise_amount(situation(curve=long))).title) <= 200

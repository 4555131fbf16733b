"""What campaigns change in users: learned where chance left some out, told with an interval, and refused in words."""

import numpy as np
import pytest

from app.optimizer.effects import EffectInputs, EffectTrial, learn_effects, rows_of
from app.optimizer.response import Candidates
from engine.learning.features import Offers, Purchases, Sends

UNITS = 5_000
EMPTY = np.empty(0, dtype=np.int64)


def offers(users: np.ndarray, days: np.ndarray) -> Offers:
    nothing = np.zeros(users.size, dtype=np.int64)
    amounts = np.full(users.size, 5.0)
    return Offers(users=users, merchants=nothing + 1, segments=nothing, amounts=amounts, days=days, hours=nothing + 9)


def inputs(
    units: int = UNITS, *, differ: float = 0.3, by_day: bool = False, propensity: float = 0.8, campaign: int = 7
) -> EffectInputs:
    """Users bought 0 to 9 times before; the more, the more sending adds: from 0 to `differ`, less 5 points at all."""
    rng = np.random.default_rng(1)
    users = np.arange(units)
    bought = users % 10
    buyers = np.repeat(users, bought)
    treated = (rng.random(units) < propensity).astype(float)
    converted = (rng.random(units) < 0.1 + treated * (differ * bought / 9 + 0.05)).astype(float)
    trial = EffectTrial(
        campaign_id=campaign,
        treatment="users of a test with those it held out",
        offers=offers(users, rng.uniform(30.0, 60.0, units) if by_day else np.full(units, 30.0)),
        treated=treated,
        converted=converted,
        propensity=np.full(units, propensity),
        by_day=by_day,
    )
    nobody = offers(EMPTY, np.empty(0))
    return EffectInputs(
        trials=(trial,),
        sends=Sends(offers=nobody, opened=np.empty(0), responded=np.empty(0)),
        purchases=Purchases(
            users=buyers, merchants=buyers * 0 + 1, days=rng.uniform(0.0, 29.0, buyers.size), values=buyers * 0 + 9.0
        ),
        outcome_days=7.0,
        candidates=Candidates(
            user_ids=users + 100,
            segments=users * 0,
            hours=users % 24,
            campaign_ids=np.array([3, 7]),
            merchants=np.array([2, 1]),
            amounts=np.array([5.0, 5.0]),
            day=30.0,
        ),
    )


@pytest.mark.parametrize("by_day", [False, True], ids=["held out on one day", "exposed day by day"])
def test_users_in_whom_sending_changes_more_are_told_apart(by_day: bool) -> None:
    [found] = learn_effects(inputs(by_day=by_day), seed=1, threads=1).effects
    assert found.average.low < 0.2 < found.average.high
    assert found.evidence["told_apart"]
    assert found.evidence["treated"] + found.evidence["control"] == UNITS
    assert found.users.tolist() == list(range(100, UNITS + 100))
    assert (found.lows < found.effects).all()
    assert (found.effects < found.highs).all()
    average, first, *_ = rows_of([found])
    assert average[:2] == (None, 7)
    assert first == (100, 7, found.effects[0], found.lows[0], found.highs[0], None)
    bought = np.arange(UNITS) % 10
    assert np.corrcoef(found.effects, bought)[0, 1] > 0.6
    assert found.effects[bought == 9].mean() > found.effects[bought == 0].mean() + 0.1


def test_where_they_are_not_told_apart_all_get_the_average() -> None:
    [found] = learn_effects(inputs(differ=0.0), seed=1, threads=1).effects
    assert not found.evidence["told_apart"]
    assert len(found.users) == 0
    assert found.average.low < 0.05 < found.average.high
    [row] = rows_of([found])
    assert row[:2] == (None, 7)
    assert row[5] == found.evidence


def test_of_few_units_the_plain_difference_is_told() -> None:
    [found] = learn_effects(inputs(700), seed=1, threads=1).effects
    assert found.average.low < 0.2 < found.average.high
    assert not found.evidence["told_apart"]
    assert "wait until" in found.evidence["reasons"][0]


def test_fewer_are_refused_and_it_is_said() -> None:
    learned = learn_effects(inputs(200), seed=1, threads=1)
    assert learned.effects == ()
    ((campaign, reason),) = learned.refusals
    assert campaign == 7
    assert "is not told" in reason


def test_of_a_campaign_that_is_not_live_the_average_is_told() -> None:
    [found] = learn_effects(inputs(campaign=9), seed=1, threads=1).effects
    assert found.evidence["told_apart"]
    assert len(found.users) == 0

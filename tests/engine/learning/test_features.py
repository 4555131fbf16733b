from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from engine.errors import InvalidInput, NotEnoughData
from engine.learning.features import FEATURES, Offers, Purchases, Sends, response_features, training_rows

USERS, MERCHANTS, SEGMENTS = 12, 5, 3


def offers(rng: np.random.Generator, count: int, *, first: float = 0.0) -> Offers:
    return Offers(
        users=rng.integers(0, USERS, count),
        merchants=rng.integers(0, MERCHANTS, count),
        segments=rng.integers(0, SEGMENTS, count),
        amounts=rng.choice([2.0, 5.0, 10.0], count),
        days=np.round(rng.uniform(first, 120.0, count)),  # whole days, so that moments coincide
        hours=rng.integers(0, 24, count),
    )


def log(seed: int, count: int = 150) -> tuple[Sends, Purchases]:
    rng = np.random.default_rng(seed)
    sent = offers(rng, count)
    opened = np.where(rng.random(count) < 0.4, sent.days + rng.integers(0, 3, count), np.nan)
    responded = np.where(rng.random(count) < 0.4, sent.days + rng.integers(0, 6, count), np.nan)
    bought = Purchases(
        users=rng.integers(0, USERS, 200),
        merchants=rng.integers(0, MERCHANTS, 200),
        days=np.round(rng.uniform(-30.0, 120.0, 200)),
        values=rng.exponential(20.0, 200),
    )
    return Sends(offers=sent, opened=opened, responded=responded), bought


def by_hand(asked: Offers, row: int, sends: Sends, bought: Purchases) -> list[float]:
    """Return the seven features of one offer from their definitions, event by event."""
    day, user, merchant, hour = (getattr(asked, n)[row] for n in ("days", "users", "merchants", "hours"))
    own = (bought.users == user) & (bought.days < day) & (bought.days >= day - 90.0)
    recency = day - bought.days[own].max() if own.any() else 90.0
    worth = np.where(bought.days < day, 0.5 ** ((day - bought.days) / 60.0), 0.0)
    here = bought.merchants == merchant
    share = worth[here].sum() / (worth.sum() + 1.0)
    mine = bought.users == user
    affinity = (worth[mine & here].sum() + share) / (worth[mine].sum() + 1.0)
    sent = sends.offers
    near = np.isin(sent.hours, [(hour - 1) % 24, hour, (hour + 1) % 24])
    before, opened = sent.days < day, sends.opened < day
    whole = (opened.sum() + 20 * 0.05) / (before.sum() + 20)
    common = ((near & opened).sum() + 50 * whole) / ((near & before).sum() + 50)
    users = sent.users == user
    fit = ((users & near & opened).sum() + 5 * common) / ((users & near & before).sum() + 5)
    over = sent.days + 3.0 < day
    hit = over & (sends.responded - sent.days <= 3.0)
    everyone = (hit.sum() + 20 * 0.05) / (over.sum() + 20)
    same = sent.segments == asked.segments[row]
    segment = ((same & hit).sum() + 50 * everyone) / ((same & over).sum() + 50)
    response = ((users & hit).sum() + 5 * segment) / ((users & over).sum() + 5)
    return [asked.amounts[row], recency, own.sum(), bought.values[own].sum(), affinity, fit, response]


@pytest.mark.parametrize("seed", [1, 2])
def test_features_by_hand(seed: int) -> None:
    sends, bought = log(seed)
    asked = offers(np.random.default_rng(seed + 10), 40, first=-5.0)
    for these in (asked, sends.offers):
        found = response_features(these, sends, purchases=bought)
        assert found.shape == (len(these), len(FEATURES))
        assert_allclose(found, [by_hand(these, row, sends, bought) for row in range(len(these))], rtol=1e-9)


def test_nothing_from_the_sends_own_moment_or_later_is_in_a_feature() -> None:
    sends, bought = log(3)
    days = sends.offers.days
    early = sends.offers.take(days <= 60.0)
    whole = response_features(early, sends, purchases=bought)
    assert len(early) > 30
    known = Sends(
        offers=sends.offers.take(days < 60.0),
        opened=np.where(sends.opened < 60.0, sends.opened, np.nan)[days < 60.0],
        responded=np.where(sends.responded < 60.0, sends.responded, np.nan)[days < 60.0],
    )
    kept = bought.days < 60.0
    past = Purchases(
        users=bought.users[kept], merchants=bought.merchants[kept], days=bought.days[kept], values=bought.values[kept]
    )
    assert_allclose(response_features(early, known, purchases=past), whole, rtol=1e-9)


def test_the_order_of_events_does_not_matter() -> None:
    sends, bought = log(4)
    shuffle = np.random.default_rng(1).permutation(len(sends.offers))
    turned = Sends(offers=sends.offers.take(shuffle), opened=sends.opened[shuffle], responded=sends.responded[shuffle])
    found = response_features(sends.offers, turned, purchases=bought)
    assert_allclose(found, response_features(sends.offers, sends, purchases=bought), rtol=1e-9)


def test_without_any_history_features_are_the_first_rates() -> None:
    empty = np.zeros(0, dtype=np.int64)
    none = np.zeros(0)
    asked = offers(np.random.default_rng(1), 3)
    nothing = Sends(offers=asked.take(empty), opened=none, responded=none)
    found = response_features(asked, nothing, purchases=Purchases(users=empty, merchants=empty, days=none, values=none))
    assert_allclose(found[:, 1:4], [[90.0, 0.0, 0.0]] * 3)
    assert_allclose(found[:, 5:], 0.05)


def test_training_rows_are_of_the_window_and_their_outcome_is_known() -> None:
    days = np.array([9.9, 10.0, 50.0, 97.0, 97.1, 101.0])
    assert training_rows(days, now=100.0).tolist() == [1, 2, 3]
    with pytest.raises(NotEnoughData, match="train later"):
        training_rows(days, now=0.0)


def test_what_is_out_of_range_is_refused() -> None:
    sends, bought = log(5)
    asked = sends.offers
    with pytest.raises(InvalidInput, match="one length"):
        replace(asked, users=asked.users[:-1])
    with pytest.raises(InvalidInput, match="number them"):
        replace(asked, users=asked.users - 1)
    with pytest.raises(InvalidInput, match="0 to 23"):
        replace(asked, hours=asked.hours + 24)
    with pytest.raises(InvalidInput, match="amounts"):
        replace(asked, amounts=-asked.amounts)
    with pytest.raises(InvalidInput, match="never before it"):
        replace(sends, opened=asked.days - 1.0)
    with pytest.raises(InvalidInput, match="values"):
        replace(bought, values=np.full_like(bought.values, np.nan))
    with pytest.raises(InvalidInput, match="positive"):
        response_features(asked, sends, purchases=bought, look_back=0.0)

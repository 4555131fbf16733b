import numpy as np
import pytest

from engine.errors import InvalidInput, NotEnoughData
from engine.learning.affinity import AffinityModel, fit_affinity, recall

SHAPE = (61, 24)


def visits(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return visits of 60 users, whose merchants are those of their kind: the first, second or third eight."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(60), 40)
    favourite = (users * 7) % 8
    liked = np.where(rng.random(users.size) < 0.5, favourite, rng.integers(0, 8, users.size))
    return users, liked + 8 * (users % 3), rng.uniform(0.0, 120.0, users.size)


def fitted() -> AffinityModel:
    users, items, days = visits()
    return fit_affinity(users, items, days=days, now=120.0, shape=SHAPE)


def test_own_merchants_come_first_with_a_reason() -> None:
    model = fitted()
    for user in range(60):
        best = model.rank(user)
        assert best[0].item == (user * 7) % 8 + 8 * (user % 3)
        assert "visited before, and lately" in best[0].reasons
        assert [each.score for each in best] == sorted((each.score for each in best), reverse=True)


def test_new_merchants_are_of_the_users_kind() -> None:
    users, items, days = visits()
    kept = ~((users < 3) & (items % 8 == 5))
    model = fit_affinity(users[kept], items[kept], days=days[kept], now=120.0, shape=SHAPE)
    for user in range(3):
        (best,) = model.rank(user, first=1, new=True)
        assert best.item == 5 + 8 * user
        assert model.blended(new=True)[user, (user * 7) % 8 + 8 * user] == -np.inf


def test_a_user_without_visits_gets_what_is_popular() -> None:
    model = fitted()
    (best,) = model.rank(60, first=1)
    assert best.item == int(np.argmax(model.scores[4, 60]))
    assert best.reasons == ("popular with everyone",)


def test_live_offers_only() -> None:
    assert {each.item for each in fitted().rank(0, among=[9, 17])} == {9, 17}


def test_never_below_personal_frequency_on_the_days_held_out() -> None:
    users, items, days = visits(4)
    model = fit_affinity(users, items, days=days, now=120.0, shape=SHAPE)
    early = days < 90.0
    before = fit_affinity(users[early], items[early], days=days[early], now=90.0, shape=SHAPE)
    came = np.zeros(SHAPE, dtype=bool)
    came[users[~early], items[~early]] = True
    blended = np.tensordot(model.weights, before.scores, axes=1)
    assert recall(blended, came) >= recall(before.scores[0] + 1e-6 * before.scores[4], came)


def test_recall_by_hand() -> None:
    blended = np.array([[3.0, 2.0, 1.0, 0.0], [0.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0]])
    came = np.array([[True, False, False, True], [False, True, False, False], [False] * 4])
    assert recall(blended, came, first=2) == 0.25
    assert recall(blended, came) == 0.75
    with pytest.raises(NotEnoughData):
        recall(blended, np.zeros_like(came))


def test_too_few_visits_are_refused() -> None:
    users, items, days = visits()
    with pytest.raises(NotEnoughData, match="train again"):
        fit_affinity(users[:60], items[:60], days=days[:60], now=120.0, shape=SHAPE)


def test_arguments_out_of_range_are_refused() -> None:
    users, items, days = visits()
    with pytest.raises(InvalidInput, match="before"):
        fit_affinity(users, items, days=days, now=100.0, shape=SHAPE)
    with pytest.raises(InvalidInput, match="indices"):
        fit_affinity(users, items, days=days, now=120.0, shape=(10, 24))
    with pytest.raises(InvalidInput, match="Positions"):
        fit_affinity(users, items, days=days, now=120.0, shape=SHAPE, positions=np.zeros((3, 2)))
    with pytest.raises(InvalidInput, match="days"):
        fit_affinity(users, items, days=days, now=120.0, shape=SHAPE, half_life=0.0)
    with pytest.raises(InvalidInput, match="first"):
        fitted().rank(0, first=0)

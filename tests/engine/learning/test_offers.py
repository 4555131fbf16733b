from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from engine.errors import InvalidInput, NotEnoughData
from engine.learning.offers import check_amounts, fit_offers

AMOUNTS = np.array([1.0, 2.0, 4.0, 6.0, 9.0, 12.0, 16.0, 20.0])
THORNTON = Path(__file__).parents[4] / "shared" / "data" / "thornton_incentive" / "thornton_hiv.dta"
GRID = np.linspace(1.0, 20.0, 381)


def sends(seed: int, *, campaigns: int = 6, each: int = 2_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(campaigns), each)
    amounts = rng.choice(AMOUNTS, ids.size)
    return ids, amounts, (rng.random(ids.size) < truth(amounts)).astype(float)


def truth(amounts: np.ndarray) -> np.ndarray:
    return 0.03 + 0.3 * expit((amounts - 7.0) / 1.5)


def test_the_amount_costs_little_profit_where_amounts_are_random() -> None:
    ids, amounts, converted = sends(1)
    model = fit_offers(ids, amounts, converted=converted)
    profits = truth(GRID) * (30.0 - GRID)
    for campaign in range(6):
        advice = model.advise(campaign, value=30.0, rng=np.random.default_rng(2))
        assert np.interp(advice.amount.point, GRID, profits) >= 0.97 * profits.max()
        assert advice.amount.low <= advice.amount.point <= advice.amount.high
        rates = [point.conversion_rate.point for point in advice.curve]
        assert np.all(np.diff(rates) >= -1e-12)
        assert all(p.profit_per_user.low <= p.profit_per_user.point <= p.profit_per_user.high for p in advice.curve)


def test_confounded_amounts_are_adjusted_for_and_warned_of() -> None:
    rng = np.random.default_rng(4)
    quality = rng.normal(size=20_000)
    place = np.clip(np.round(quality * 1.5 + 3.5 + rng.normal(size=20_000)), 0, 7).astype(int)
    converted = (rng.random(20_000) < expit(-2.0 + 1.5 * quality)).astype(float)
    ids = np.zeros(20_000, dtype=int)
    model = fit_offers(ids, AMOUNTS[place], converted=converted, features=quality[:, None])
    advice = model.advise(0, value=30.0, rng=rng)
    assert advice.amount.point < 3.0
    assert any("predict" in warning for warning in advice.warnings)
    blind = fit_offers(ids, AMOUNTS[place], converted=converted).advise(0, value=30.0, rng=rng)
    assert blind.amount.point > 6.0
    assert any("No features" in warning for warning in blind.warnings)


def test_random_amounts_are_not_called_predictable() -> None:
    rng = np.random.default_rng(5)
    ids, amounts, _ = sends(5)
    check = check_amounts(ids, amounts, features=rng.normal(size=(ids.size, 3)))
    assert not check.predictable
    assert check.explained < 0.01


def test_amounts_of_one_campaign_each_predict_nothing_within_it() -> None:
    ids = np.repeat([0, 1], 50)
    check = check_amounts(ids, ids + 1.0, features=np.random.default_rng(1).normal(size=(100, 1)))
    assert (check.explained, check.p_value) == (0.0, 1.0)


@pytest.mark.parametrize("amounts", [[5.0], [5.0, 6.0]])
def test_too_few_amounts_are_refused(amounts: list[float]) -> None:
    doses = np.resize(amounts, 100)
    with pytest.raises(NotEnoughData, match="Insufficient variation"):
        fit_offers(np.zeros(100, dtype=int), doses, converted=np.zeros(100))


def test_a_campaign_of_one_amount_is_refused_beside_others() -> None:
    ids, amounts, converted = sends(6, campaigns=3)
    amounts = np.where(ids == 2, 4.0, amounts)
    model = fit_offers(ids, amounts, converted=converted)
    assert model.campaigns.tolist() == [0, 1]
    with pytest.raises(NotEnoughData, match="campaign 2"):
        model.advise(2, value=30.0, rng=np.random.default_rng(1))


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_nobody_or_everybody_converting_is_refused(outcome: float) -> None:
    ids, amounts, converted = sends(7, campaigns=2, each=80)
    with pytest.raises(NotEnoughData, match="train again"):
        fit_offers(ids, amounts, converted=np.full(converted.size, outcome))


def test_a_campaign_nobody_answered_leans_on_the_others() -> None:
    ids, amounts, converted = sends(7, campaigns=4, each=500)
    model = fit_offers(ids, amounts, converted=np.where(ids == 3, 0.0, converted))
    advice = [model.advise(campaign, value=30.0, rng=np.random.default_rng(1)) for campaign in (0, 3)]
    assert advice[1].conversion_rate.point < 0.5 * advice[0].conversion_rate.point
    assert advice[1].profit_per_user.low > 0.0


def test_the_best_amount_beyond_those_sent_is_said() -> None:
    ids, amounts, converted = sends(8, campaigns=1)
    advice = fit_offers(ids, amounts, converted=converted).advise(0, value=500.0, rng=np.random.default_rng(1))
    assert advice.amount.point == 20.0
    assert any("edge" in warning for warning in advice.warnings)


def test_the_same_seed_gives_the_same_advice() -> None:
    ids, amounts, converted = sends(8, campaigns=2)
    model = fit_offers(ids, amounts, converted=converted)
    first, second = (model.advise(1, value=25.0, rng=np.random.default_rng(9)) for _ in range(2))
    assert first == second


def test_arguments_out_of_range_are_refused() -> None:
    ids, amounts, converted = sends(9, campaigns=1, each=100)
    with pytest.raises(InvalidInput):
        fit_offers(ids, -amounts, converted=converted)
    with pytest.raises(InvalidInput):
        fit_offers(ids, amounts, converted=converted + 1.0)
    with pytest.raises(InvalidInput):
        fit_offers(ids, amounts, converted=converted, features=np.zeros((3, 1)))
    model = fit_offers(ids, amounts, converted=converted)
    for value, level in ((0.0, 0.95), (np.nan, 0.95), (10.0, 95.0)):
        with pytest.raises(InvalidInput):
            model.advise(0, value=value, rng=np.random.default_rng(1), level=level)


@pytest.mark.skipif(not THORNTON.exists(), reason="the thornton_incentive data is absent")
def test_the_real_experiment_with_random_amounts() -> None:
    import pandas as pd

    people = pd.read_stata(THORNTON, convert_categoricals=False).dropna(subset=["got", "tinc"])
    model = fit_offers(np.zeros(len(people), dtype=int), people["tinc"], converted=people["got"])
    amount = model.advise(0, value=10.0, rng=np.random.default_rng(1)).amount
    assert 0.95 <= amount.point <= 1.25

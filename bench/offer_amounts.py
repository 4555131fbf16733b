"""Offer amounts in worlds of known truth, and in a real experiment with random amounts: the optimizer's first table.

60 campaigns of 2,000 sends each, eight amounts from $1 to $20. What a conversion earns differs. In the
logarithmic world the logit rises with the logarithm of the amount, in the S-shaped one the rate rises from a floor to a
ceiling around an amount, each campaign with numbers of its own. Users have three logged features; their effects are
linear, bent and stepped. Confounded: the better user gets the higher amount. The profit lost is a share of the best
amount's profit; the best amount is found from the truth, on a fine grid of the amounts sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from bench.optimizer_data import Row
from engine.arrays import FloatArray, IntArray
from engine.errors import NotEnoughData
from engine.learning.offers import fit_offers

BOUND_DRAWS, BOUND_STEP = 10_000, 4
CAMPAIGNS, SENDS = 60, 2_000
AMOUNTS = np.array([1.0, 2.0, 4.0, 6.0, 9.0, 12.0, 16.0, 20.0])
GRID = np.linspace(1.0, 20.0, 381)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A dose-response of each campaign: `position` gives logits for (campaigns, amounts); values: of a conversion."""

    position: Callable[[IntArray, FloatArray], FloatArray]
    values: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    campaigns: IntArray
    amounts: FloatArray
    converted: FloatArray
    features: FloatArray
    effects: FloatArray


def logarithmic(rng: np.random.Generator) -> World:
    """Return logit p = a + b log(amount), with a about logit 4 % and b about 0.8."""
    a, b = rng.normal(-3.2, 0.3, CAMPAIGNS), np.maximum(rng.normal(0.8, 0.15, CAMPAIGNS), 0.3)
    return World(position=lambda c, x: a[c] + b[c] * np.log(x), values=rng.uniform(18.0, 36.0, CAMPAIGNS))


def s_shaped(rng: np.random.Generator) -> World:
    """Return p = floor + (ceiling - floor) / (1 + exp(-(amount - middle) / width)), the middle from $4 to $11."""
    floor, ceiling = rng.uniform(0.02, 0.05, CAMPAIGNS), rng.uniform(0.2, 0.4, CAMPAIGNS)
    middle, width = rng.uniform(4.0, 11.0, CAMPAIGNS), rng.uniform(1.0, 2.0, CAMPAIGNS)

    def position(c: IntArray, x: FloatArray) -> FloatArray:
        return logit(floor[c] + (ceiling[c] - floor[c]) * expit((x - middle[c]) / width[c]))

    return World(position=position, values=rng.uniform(24.0, 40.0, CAMPAIGNS))


def send(world: World, rng: np.random.Generator, *, confounded: bool) -> Log:
    """Return the log of every campaign."""
    campaigns = np.repeat(np.arange(CAMPAIGNS), SENDS)
    recency, frequency = rng.exponential(30.0, campaigns.size), rng.poisson(3.0, campaigns.size).astype(float)
    member = (rng.random(campaigns.size) < 0.4).astype(float)
    bent, linear = -0.35 * (np.log1p(recency) - 3.0), 0.12 * (frequency - 3.0)
    effects = bent + linear + 0.4 * (member - 0.4)
    place = rng.integers(0, AMOUNTS.size, campaigns.size)
    if confounded:
        rank = np.argsort(np.argsort(effects + rng.normal(0.0, 0.5, campaigns.size))) / campaigns.size
        chosen = (rank * AMOUNTS.size).astype(int)
        place = np.where(rng.random(campaigns.size) < 0.15, place, chosen)
    amounts = AMOUNTS[place]
    rates = expit(world.position(campaigns, amounts) + effects)
    converted = (rng.random(campaigns.size) < rates).astype(float)
    features = np.column_stack([recency, frequency, member])
    return Log(campaigns=campaigns, amounts=amounts, converted=converted, features=features, effects=effects)


def judge(world: World, log: Log, rng: np.random.Generator) -> tuple[float, float, bool]:
    """Return the share of campaigns within $2, the share of profit lost, and whether the advice warned."""
    model = fit_offers(log.campaigns, log.amounts, converted=log.converted, features=log.features)
    near, lost, warned = [], [], False
    for campaign in range(CAMPAIGNS):
        offsets = np.quantile(log.effects[log.campaigns == campaign], (np.arange(200) + 0.5) / 200)
        index = np.full(GRID.size, campaign)
        rates = expit(world.position(index, GRID) + offsets[:, None]).mean(axis=0)
        profits = rates * (world.values[campaign] - GRID)
        advice = model.advise(campaign, value=float(world.values[campaign]), rng=rng, draws=400)
        warned = warned or any("predict" in warning for warning in advice.warnings)
        near.append(abs(advice.amount.point - GRID[np.argmax(profits)]) <= 2.0)
        lost.append(1.0 - np.interp(advice.amount.point, GRID, profits) / profits.max())
    return float(np.mean(near)), float(np.mean(lost)), warned


def bound(kind: Callable[[np.random.Generator], World], world: World, log: Log, rng: np.random.Generator) -> float:
    """Return the share of profit lost by who knows from what family, and with what odds, the curves were drawn."""
    drawn = [kind(rng) for _ in range(BOUND_DRAWS // CAMPAIGNS)]
    places, grid = np.arange(CAMPAIGNS)[:, None], GRID[::BOUND_STEP]
    at_amounts = np.vstack([each.position(places, AMOUNTS[None]) for each in drawn])
    at_grid = np.vstack([each.position(places, grid[None]) for each in drawn])
    lost = []
    for campaign in range(CAMPAIGNS):
        own = log.campaigns == campaign
        offsets = np.quantile(log.effects[own], (np.arange(10) + 0.5) / 10)
        place = np.searchsorted(AMOUNTS, log.amounts[own])
        sent, hits = np.bincount(place, minlength=8), np.bincount(place, weights=log.converted[own], minlength=8)
        known = np.mean([expit(at_amounts + offset) for offset in offsets], axis=0)
        likelihood = np.log(known) @ hits + np.log1p(-known) @ (sent - hits)
        weights = np.exp(likelihood - likelihood.max())
        rates = np.mean([weights @ expit(at_grid + offset) for offset in offsets], axis=0)
        index = np.full(GRID.size, campaign)
        truth = np.mean([expit(world.position(index, GRID) + offset) for offset in offsets], axis=0)
        profits, value = truth * (world.values[campaign] - GRID), world.values[campaign]
        chosen = grid[np.argmax(rates * (value - grid))]
        lost.append(1.0 - np.interp(chosen, GRID, profits) / profits.max())
    return float(np.mean(lost))


def refused(world: World, rng: np.random.Generator) -> bool:
    """Say whether one amount a campaign is refused."""
    log = send(world, rng, confounded=False)
    try:
        fit_offers(log.campaigns, AMOUNTS[log.campaigns % AMOUNTS.size], converted=log.converted)
    except NotEnoughData as error:
        return "nsufficient variation" in str(error)
    return False


def rows(data: Path, worlds: int) -> list[Row]:
    """Return the table's rows, means over so many worlds of each kind."""
    result = []
    targets = {False: ((0.85, 0.95), 0.006), True: ((0.80, 0.95), 0.009)}
    for confounded, (near, lost) in targets.items():
        for kind, least in zip((logarithmic, s_shaped), near, strict=True):
            seen, bounds = [], []
            for seed in range(worlds):
                rng = np.random.default_rng([seed, confounded])
                world = kind(rng)
                log = send(world, rng, confounded=confounded)
                seen.append(judge(world, log, rng))
                if not confounded:
                    bounds.append(bound(kind, world, log, rng))
            name = f"amount: {kind.__name__}, {'confounded' if confounded else 'randomised'}"
            shares, losses, warnings = (float(np.mean(part)) for part in zip(*seen, strict=True))
            result.append(Row(f"{name}: within $2", f"at least {least:.2f}", f"{shares:.3f}", shares >= least))
            beside = f"Bayes bound, knowing the family, {np.mean(bounds):.2%}" if bounds else ""
            result.append(Row(f"{name}: profit lost", f"at most {lost:.1%}", f"{losses:.2%}", losses <= lost, beside))
            result.append(
                Row(
                    f"{name}: warned",
                    "yes" if confounded else "no",
                    f"{warnings:.0%} of worlds",
                    warnings == float(confounded),
                )
            )
    rng = np.random.default_rng(99)
    said = refused(logarithmic(rng), rng)
    result.append(Row("amount: one a campaign", "refused", "refused" if said else "answered", said))
    return [*result, *thornton(data)]


def thornton(data: Path) -> list[Row]:
    """Return the row of the real experiment, at $10 a response."""
    path = data / "thornton_incentive" / "thornton_hiv.dta"
    if not path.exists():
        return [Row("amount: thornton_incentive", "", "skipped: no data", None)]
    people = pd.read_stata(path, convert_categoricals=False).dropna(subset=["got", "tinc"])
    ids = np.zeros(len(people), dtype=int)
    model = fit_offers(ids, people["tinc"].to_numpy(float), converted=people["got"].to_numpy(float))
    amount = model.advise(0, value=10.0, rng=np.random.default_rng(1), draws=4_000).amount
    shown = f"${amount.point:.2f} ({amount.low:.2f} to {amount.high:.2f})"
    return [
        Row(
            "amount: thornton_incentive, $10 a response",
            "near $1.10 (0.95 to 1.25)",
            shown,
            abs(amount.point - 1.1) <= 0.15,
        )
    ]

from dataclasses import replace

import numpy as np

from engine.bandits.epsilon_greedy import EpsilonGreedy
from engine.simulation.bandit_coverage import bandit_rows, shop_rows
from engine.simulation.bandit_worlds import SHOP
from engine.simulation.promises import Promise

SMALL = replace(SHOP, batches=12, batch_units=60)


def test_only_the_one_to_be_read_is_promised() -> None:
    rows = shop_rows(np.random.default_rng(1), runs=50, world=SMALL)
    promised = {row.name for row in rows if row.promise is not Promise.NOTHING}
    assert promised == {"AW-AIPW: intervals of rates", "AW-AIPW: intervals of differences"}
    assert {row.trials for row in rows} == {200, 150}
    assert len(rows) == 8


def test_what_is_covered_is_what_is_asked_for() -> None:
    """At 50 % half of the intervals miss, of every estimator: none holds the truth by being wide."""
    for row in shop_rows(np.random.default_rng(2), runs=400, level=0.5):
        assert 0.4 < row.share < 0.6, row


def test_any_policy_can_run_the_shop() -> None:
    thompson, greedy = (
        shop_rows(np.random.default_rng(3), runs=60, world=SMALL, policy=policy) for policy in (None, EpsilonGreedy())
    )
    assert [row.count for row in thompson] != [row.count for row in greedy]


def test_a_low_floor_promises_nothing_and_shows_why() -> None:
    low = bandit_rows(np.random.default_rng(4), runs=1_000, floor=0.01)
    assert {row.promise for row in low} == {Promise.NOTHING}
    rejected = {row.name: row.share for row in low if "rejected" in row.name}
    assert rejected["naive mean: equal arms rejected"] > 0.075
    assert rejected["AW-AIPW: equal arms rejected"] < 0.06

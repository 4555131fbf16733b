"""A small shop through the real server: twelve days, all four policies, conversions that come late and out of order.

The whole of it, with 60 days and more tests, is `scripts/bench shop`.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.simulation.bandit_worlds import SHOP

ROOT = Path(__file__).parents[3]
TESTS, DAYS, USERS = 8, 12, 30
POLICIES = ["THOMPSON", "TOP_TWO_THOMPSON", "UCB", "EPSILON_GREEDY"]


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
async def figures(new_database: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    found = tmp_path_factory.mktemp("shop") / "figures.json"
    options = {"tests": TESTS, "days": DAYS, "users": USERS, "simulated": 2_000, "json": found}
    command = [sys.executable, "-m", "bench.shop", *(f"--{name}={value}" for name, value in options.items())]
    environment = os.environ | {"BENCH_DATABASE_URL": await new_database()}
    shop = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    printed, _ = await shop.communicate()
    assert shop.returncode == 0, printed.decode()
    return json.loads(found.read_text())


@pytest.mark.parametrize("policy", POLICIES)
def test_each_step_is_what_the_policy_makes_of_what_is_known(figures: dict[str, Any], policy: str) -> None:
    tests = figures[policy]["tests"]
    assert len(tests) == TESTS
    for one in tests:
        assert one["versions"] == DAYS + 1
        assert one["distance"] <= 1e-9
    assert min(one["careless"] for one in tests) > 0.01  # from a policy that takes open windows for failures


@pytest.mark.parametrize("policy", POLICIES)
def test_regret_is_that_of_the_engines_own_simulation(figures: dict[str, Any], policy: str) -> None:
    """Two-sided: a regret that is too low would say as much of a mistake. Seeds are fixed, and so is this."""
    low, ratio, high = figures[policy]["ratio"]
    assert high <= 1.5, (low, ratio, high)
    assert low <= 1.0 <= high or abs(ratio - 1.0) < 0.1, (low, ratio, high)


def test_a_bandit_earns_more_than_an_even_split(figures: dict[str, Any]) -> None:
    even = USERS * DAYS * float((SHOP.rates.max() - SHOP.rates).mean())
    assert figures["THOMPSON"]["even"] == pytest.approx(even)
    regret = np.array([one["regret"] for one in figures["THOMPSON"]["tests"]])
    assert regret.mean() + 2.6 * regret.std(ddof=1) / np.sqrt(TESTS) < even

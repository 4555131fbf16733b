"""Off-policy estimates against numpy on the units, and against what the truth is known to be."""

from datetime import timedelta

import numpy as np
import pytest

from app.errors import InvalidInput


@pytest.fixture
def credited(process, by, metrics, expose):
    async def credited(units, policy, metric: str = "spent", **given):
        definition = await process.create(metric=metrics[metric], **given)
        at = process.clock.now() - timedelta(days=10)
        definition = await process.lifecycle.start(definition.test.id, at=at, principal=by)
        await expose(definition, units)
        found = await process.services.crediting.credits({definition.test.id: definition}, policy)
        return found[definition.test.id]

    return credited


@pytest.mark.parametrize("metric", ["spent", "bought"])
async def test_the_estimates_are_those_of_the_definitions(credited, population, metric: str) -> None:
    units = population(600, rates=(0.3, 0.9))
    policy = np.array([0.2, 0.8])
    found = await credited(units, policy.tolist(), metric)
    values, weights = units.values(metric), policy[units.variant] / 0.5
    ips = (weights * values).mean()
    assert found.refused is None
    assert found.ips.point == pytest.approx(ips)
    assert found.self_normalised.point == pytest.approx((weights * values).sum() / weights.sum())
    assert found.effective_sample_size == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    reach = 1.959964 * (weights * values).std(ddof=1) / np.sqrt(600)
    assert found.ips.high - found.ips.point == pytest.approx(reach, rel=1e-5)
    robust = 0.0
    for unit, variant in enumerate(units.variant):  # held-out means, unit by unit
        others = np.arange(600) != unit
        means = [values[others & (units.variant == arm)].mean() for arm in (0, 1)]
        robust += policy @ means + weights[unit] * (values[unit] - means[variant])
    assert found.doubly_robust.point == pytest.approx(robust / 600)
    whole = policy @ [units.of(arm, metric).mean() for arm in (0, 1)]
    assert found.doubly_robust.low < whole < found.doubly_robust.high


async def test_a_policy_that_the_log_never_followed_is_refused_in_words(credited, population) -> None:
    units = population(400)
    units.variant[:] = 0
    found = await credited(units, [0.0, 1.0])
    assert (found.ips, found.self_normalised, found.doubly_robust) == (None, None, None)
    assert "effective units" in found.refused
    assert found.effective_sample_size == 0


async def test_nobody_exposed_and_ratios_are_refused_in_words(credited, population) -> None:
    nobody = await credited(population(0), [0.5, 0.5], key="nobody")
    assert "wait" in nobody.refused
    ratio = await credited(population(100), [0.5, 0.5], "per_click", key="ratio")
    assert "RATIO" in ratio.refused


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ([1.0], "one share for each of control, treatment"),
        ([0.5, 0.6], "sum to 1"),
        ([-0.5, 1.5], "0 to 1"),
        ([float("nan"), 1.0], "0 to 1"),
        ([1e308, 1e308], "0 to 1"),
        ([], "one share"),
    ],
)
async def test_what_is_no_policy_is_refused(credited, population, policy: list[float], says: str) -> None:
    found = await credited(population(10), policy)
    assert isinstance(found, InvalidInput)
    assert says in found.message
    assert found.path == ("policy",)

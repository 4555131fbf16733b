"""Totals by themselves: against numpy on the units' raw values, and the very figures that whole results have."""

from datetime import UTC, datetime, timedelta

import pytest

from app.abtests.drafting import VariantDraft
from app.abtests.results import VariantTotals
from app.abtests.totalling import TotalsAlone, totals_alone
from app.store.abtest_rows import OwnTotals, TestDefinition
from app.store.models.codes import MetricKind

THREE = (
    VariantDraft(key="control", weight=0.4, is_control=True),
    VariantDraft(key="treatment", weight=0.4),
    VariantDraft(key="nobody", weight=0.2),
)
AS_OF = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def alone(process, by, metrics, expose):
    """Start a test, record what a population did, and return the test's totals, read as they are served."""

    async def alone(metric: str, units) -> tuple[TestDefinition, TotalsAlone]:
        definition = await process.create(metric=metrics[metric], variants=THREE)
        test_id = definition.test.id
        at = process.clock.now() - timedelta(days=10)
        definition = await process.lifecycle.start(test_id, at=at, principal=by)
        await expose(definition, units)
        return definition, (await process.services.analyzing.totals_alone({test_id: definition}))[test_id]

    return alone


@pytest.mark.parametrize("metric", ["bought", "opens", "spent", "per_click"])
async def test_totals_are_those_of_the_units(process, alone, population, metric: str) -> None:
    units = population(300, rates=(0.3, 0.6))
    units.also = {0: 1, 2: 1}
    definition, found = await alone(metric, units)
    assert found.as_of == process.clock.now()
    assert [one.variant.key for one in found.totals] == ["control", "treatment", "nobody"]
    for number, one in enumerate(found.totals[:2]):
        values, clicks = units.of(number, metric), units.clicks[units.variant == number]
        assert one.exposed == values.size
        assert one.multiple_exposed == (2 if number == 0 else 0)
        assert one.mean == pytest.approx(values.sum() / clicks.sum() if metric == "per_click" else values.mean())
        assert one.standard_deviation == pytest.approx(values.std(ddof=1))
    assert found.totals[2] == VariantTotals(definition.variants[2], 0, 0, 0, None, None)


async def test_totals_are_the_figures_of_whole_results(process, alone, population) -> None:
    definition, found = await alone("spent", population(200))
    test_id = definition.test.id
    whole = (await process.services.analyzing.results({test_id: definition}))[test_id]
    assert found.totals[:2] == whole.totals[:2]
    assert found.totals[0].converted == sum(len(one) > 0 for one in population(200).purchases[::2])


@pytest.mark.parametrize(
    ("kind", "exposed", "denominator", "mean", "deviation"),
    [
        (MetricKind.RATIO, 2, 4, 1.5, 1.4142135623730951),  # $6 of 2 units over 4 orders
        (MetricKind.RATIO, 2, 0, None, 1.4142135623730951),  # a ratio to nothing is not known
        (MetricKind.RATIO, 0, 4, None, None),
        (MetricKind.REVENUE, 2, 4, 3.0, 1.4142135623730951),
        (MetricKind.REVENUE, 1, 0, 6.0, None),  # one unit does not vary
        (MetricKind.COUNT, 2, 0, 3e6, 1.4142135623730951e6),  # not money
    ],
)
async def test_sums_become_means(process, kind, exposed, denominator, mean, deviation) -> None:
    definition = await process.create()
    control = definition.variants[0]
    squares = 20 * 10**12 if exposed == 2 else 36 * 10**12
    own = OwnTotals(control.id, kind, exposed, 1, 2, 6_000_000, squares, denominator)
    parts = definition.test, definition.variants, definition.metrics, definition.allocation
    found = totals_alone(TestDefinition(*parts, (own,)), as_of=AS_OF)
    assert found.as_of == AS_OF
    assert found.totals[0].mean == (None if mean is None else pytest.approx(mean))
    assert found.totals[0].standard_deviation == (None if deviation is None else pytest.approx(deviation))
    assert (found.totals[0].exposed, found.totals[0].converted, found.totals[0].multiple_exposed) == (exposed, 2, 1)
    assert found.totals[1].mean is None

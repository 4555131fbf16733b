"""Totals become summaries whose moments are those of the raw values."""

from datetime import timedelta

import numpy as np
import pytest

from app.abtests.summarising import metric_of, metric_totals
from app.errors import NotFound


@pytest.fixture
async def counted(process, by, metrics, expose, population):
    """A test of all kinds of metrics, its units, and its totals by segment."""
    given = {"metric": metrics["bought"], "guardrails": tuple(metrics[key] for key in ("opens", "spent", "per_click"))}
    definition = await process.create(**given)
    at = process.clock.now() - timedelta(days=10)
    definition = await process.lifecycle.start(definition.test.id, at=at, principal=by)
    units = population(300, rates=(0.6, 0.9))
    await expose(definition, units)
    rows = (await process.services.tests.totals([definition.test.id], by_segment=True))[definition.test.id]
    return definition, units, rows


@pytest.mark.parametrize("segment", [None, "new", "old"])
async def test_summaries_have_the_moments_of_the_values(counted, segment) -> None:
    definition, units, rows = counted
    totals = {m.key: metric_totals(definition, m, rows, segment=segment) for m in definition.metrics}
    for variant in (0, 1):
        chosen = (units.variant == variant) & ((units.segment == segment) if segment else True)
        bought, opens, spent = (units.of(variant, key, segment) for key in ("bought", "opens", "spent"))
        proportion = totals["bought"].proportions()[variant]
        assert (proportion.converted, proportion.exposed) == (bought.sum(), bought.size)
        for key, values in (("opens", opens), ("spent", spent)):
            mean = totals[key].means()[variant]
            assert mean.mean == pytest.approx(values.mean(), rel=1e-12)
            assert mean.variance == pytest.approx(values.var(ddof=1), rel=1e-12)
        clicks = units.clicks[chosen]
        ratio = totals["per_click"].ratios()[variant]
        assert ratio.ratio == pytest.approx(spent.sum() / clicks.sum(), rel=1e-12)
        assert ratio.covariance == pytest.approx(np.cov(spent, clicks)[0, 1], rel=1e-9)
        logs = np.log(spent[spent > 0])
        hurdle = totals["spent"].hurdles()[variant]
        assert (hurdle.exposed, hurdle.log_amounts.count) == (spent.size, logs.size)
        assert hurdle.log_amounts.mean == pytest.approx(logs.mean(), abs=1e-6)  # logarithms are kept to a millionth
        assert hurdle.log_amounts.variance == pytest.approx(logs.var(ddof=1), abs=1e-5)
        for key in ("bought", "opens", "spent"):
            before = units.of(variant, key, segment, before=True)
            pair = totals[key].covariates()[variant]
            assert pair.covariate.mean == pytest.approx(before.mean(), rel=1e-12)
            assert pair.covariance == pytest.approx(np.cov(units.of(variant, key, segment), before)[0, 1], rel=1e-9)


async def test_a_variant_without_units_has_zeros(counted, process) -> None:
    definition, _, rows = counted
    totals = metric_totals(definition, definition.metrics[0], rows, segment="nobody's")
    assert totals.exposed == (0, 0)
    assert totals.control == 0
    del process


async def test_an_unknown_metric_is_told_the_known_ones(counted) -> None:
    definition, _, _ = counted
    assert metric_of(definition, None).key == "bought"
    assert metric_of(definition, "spent").key == "spent"
    with pytest.raises(NotFound, match="choose one of bought, opens, spent, per_click") as refused:
        metric_of(definition, "nonsense")
    assert refused.value.path == ("metricKey",)

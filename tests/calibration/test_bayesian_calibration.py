"""What the Bayesian half promises, against simulation; seeds are fixed and SciPy's binomtest is the judge."""

from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import binomtest

from engine.simulation.bandit_coverage import bandit_rows
from engine.simulation.calibration import calibrate
from engine.simulation.coverage import best_curve, interval_rows
from engine.simulation.false_calls import false_call_rows
from engine.simulation.promises import CalibrationRow, Promise

TESTS = 2000


@lru_cache(maxsize=1)
def false_calls() -> dict[str, CalibrationRow]:
    return {row.name: row for row in false_call_rows(np.random.default_rng(2026), tests=TESTS, looks=28)}


@lru_cache(maxsize=1)
def coverage() -> dict[str, CalibrationRow]:
    return {row.name: row for row in interval_rows(np.random.default_rng(2027), tests=TESTS)}


def test_always_valid_calls_falsely_at_most_as_promised() -> None:
    row = false_calls()["always-valid test, at any look"]
    assert binomtest(row.count, row.trials, 0.05, alternative="greater").pvalue > 0.001


def test_the_harness_sees_what_peeking_does() -> None:
    """Both peeking procedures call far too often: were they not seen to, the row above would mean nothing."""
    for name in ("chi-squared test, at any look (peeking)", "P(best) > 0.95, at any look (peeking)"):
        row = false_calls()[name]
        assert binomtest(row.count, row.trials, 0.15, alternative="greater").pvalue < 1e-6


def test_one_look_at_the_end_keeps_its_size() -> None:
    row = false_calls()["chi-squared test, at the last look alone"]
    assert binomtest(row.count, row.trials, 0.05).pvalue > 0.001


@pytest.mark.parametrize(
    "name",
    [
        "beta-binomial: interval of a rate",
        "beta-binomial: interval of the lift",
        "Newcombe: difference of equal rates",
        "normal, flat prior: a mean",
    ],
)
def test_intervals_cover_as_promised(name: str) -> None:
    row = coverage()[name]
    assert row.promise is Promise.ABOUT
    assert binomtest(row.count, row.trials, 0.95).pvalue > 0.001


def test_intervals_that_promise_no_frequency_come_near_it() -> None:
    for name in ("beta-binomial, flat prior: a rate of 0.1", "hurdle: revenue a unit, one in ten buys"):
        assert 0.93 <= coverage()[name].share <= 0.97


def test_probability_best_is_what_it_says() -> None:
    """In every bin the share realised lies where chance puts it; ten bins share one in a thousand."""
    curve = best_curve(np.random.default_rng(2028), tests=20_000)
    for predicted, realised, count in zip(curve.predicted, curve.realised, curve.predictions, strict=True):
        hits = round(realised * count)
        assert binomtest(hits, int(count), float(predicted)).pvalue > 1e-4
    assert curve.expected_error < 0.01


def test_after_thompson_with_a_floor_the_shown_intervals_cover() -> None:
    rows = {row.name: row for row in bandit_rows(np.random.default_rng(2029), runs=TESTS, floor=0.1)}
    covered, rejected = rows["AW-AIPW: interval of an arm's rate"], rows["AW-AIPW: equal arms rejected"]
    assert binomtest(covered.count, covered.trials, 0.95).pvalue > 0.001
    assert binomtest(rejected.count, rejected.trials, 0.07, alternative="greater").pvalue > 0.001


def test_after_thompson_with_hardly_a_floor_the_naive_test_is_seen_to_fail() -> None:
    rows = {row.name: row for row in bandit_rows(np.random.default_rng(2030), runs=TESTS, floor=0.01)}
    naive = rows["naive mean: equal arms rejected"]
    assert binomtest(naive.count, naive.trials, 0.05, alternative="greater").pvalue < 1e-6


def test_the_whole_report_holds() -> None:
    assert calibrate(np.random.default_rng(7), tests=500).holds

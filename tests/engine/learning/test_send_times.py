import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

from engine.errors import InvalidInput, NotEnoughData
from engine.learning.send_times import Evidence, best_hours, expected_rates, fit_send_times

HOURS = np.arange(24)


def rates(peak: int) -> np.ndarray:
    apart = np.minimum(np.abs(HOURS - peak), 24 - np.abs(HOURS - peak))
    return 0.05 + 0.5 * np.exp(-0.5 * (apart / 1.5) ** 2)


def log(sends: int, *, odds: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return opened, sent and segment of 60 users of each of two segments, who open at 8 and at 20."""
    rng = np.random.default_rng(sends)
    segments = np.repeat([0, 1], 60)
    truth = np.stack([rates(8), rates(20)])[segments]
    sent = rng.multinomial(sends, np.full(24, 1 / 24) if odds is None else odds, size=120)
    return rng.binomial(sent, truth).astype(float), sent.astype(float), segments


def near(hour: int, peak: int) -> bool:
    return min(abs(hour - peak), 24 - abs(hour - peak)) <= 1


def test_unseen_users_get_their_segment() -> None:
    opened, sent, segments = log(60)
    model = fit_send_times(opened, sent, segments=segments)
    none = np.zeros((3, 24))
    first, second, unknown = model.advise(none, none, segments=[0, 1, -1])
    assert near(first.hour, 8)
    assert near(second.hour, 20)
    assert [each.evidence for each in (first, second, unknown)] == [Evidence.SEGMENT, Evidence.SEGMENT, Evidence.GLOBAL]
    assert "segment" in first.reason


def test_a_user_of_much_evidence_overrules_the_segment() -> None:
    opened, sent, segments = log(60)
    model = fit_send_times(opened, sent, segments=segments)
    often = np.full((1, 24), 50.0)
    (advice,) = model.advise(np.round(often * rates(14)), often, segments=[0])
    assert near(advice.hour, 14)
    assert advice.evidence is Evidence.USER
    assert advice.open_probability.low < advice.open_probability.point < advice.open_probability.high
    assert advice.by_hour[advice.hour] == advice.open_probability.point
    assert_allclose(advice.by_hour, rates(14), atol=0.12)


def test_the_schedule_of_the_sender_is_not_learnt() -> None:
    odds = np.full(24, 0.3 / 21)
    odds[12:15] = 0.7 / 3
    opened, sent, segments = log(90, odds=odds)
    advice = fit_send_times(opened, sent, segments=segments).advise(opened, sent, segments=segments)
    ours = np.mean([near(each.hour, peak) for each, peak in zip(advice, np.array([8, 20])[segments], strict=True)])
    counted = np.mean(
        [near(hour, peak) for hour, peak in zip(opened.argmax(1), np.array([8, 20])[segments], strict=True)]
    )
    assert ours > 0.9
    assert counted < ours - 0.3


def test_quiet_hours_are_never_advised() -> None:
    opened, sent, segments = log(60)
    model = fit_send_times(opened, sent, segments=segments)
    quiet = [19, 20, 21, 22]
    assert all(each.hour not in quiet for each in model.advise(opened, sent, segments=segments, quiet=quiet))


def test_turning_the_clock_turns_the_advice() -> None:
    opened, sent, _ = log(60)
    first = fit_send_times(opened, sent).advise(opened, sent, segments=np.zeros(120, dtype=int))
    turned = [np.roll(counts, 5, axis=1) for counts in (opened, sent)]
    second = fit_send_times(*turned).advise(*turned, segments=np.zeros(120, dtype=int))
    assert [(each.hour + 5) % 24 for each in first] == [each.hour for each in second]


def test_best_hours_around_midnight() -> None:
    row = np.zeros((1, 24))
    row[0, [22, 23, 0, 11]] = [0.2, 0.2, 0.2, 0.3]
    assert best_hours(row, allowed=np.ones(24)).tolist() == [11]
    assert best_hours(row, allowed=np.ones(24), within=1).tolist() == [23]


@pytest.mark.parametrize("mean", [-3.0, 0.0, 1.5])
def test_expected_rates_against_quadrature(mean: float) -> None:
    points, weights = np.polynomial.hermite_e.hermegauss(80)
    expected = (weights * expit(mean + 0.8 * points)).sum() / weights.sum()
    assert_allclose(expected_rates(np.array([mean]), np.array([0.64]))[0], expected, atol=0.006)


def test_too_little_is_refused() -> None:
    sent = np.zeros((5, 24))
    sent[:, 9] = 100.0
    with pytest.raises(NotEnoughData, match="random hours"):
        fit_send_times(sent / 2.0, sent)
    with pytest.raises(NotEnoughData, match="0 opens"):
        fit_send_times(np.zeros((5, 24)), np.ones((5, 24)))


def test_arguments_out_of_range_are_refused() -> None:
    opened, sent, segments = log(60)
    model = fit_send_times(opened, sent, segments=segments)
    with pytest.raises(InvalidInput):
        fit_send_times(sent + 1.0, sent)
    with pytest.raises(InvalidInput):
        fit_send_times(opened[:, :23], sent[:, :23])
    with pytest.raises(InvalidInput):
        model.advise(opened, sent, segments=segments + 1)
    for options in ({"quiet": [24]}, {"quiet": list(range(24))}, {"within": 12}, {"level": 95.0}):
        with pytest.raises(InvalidInput):
            model.advise(opened, sent, segments=segments, **options)


def test_hours_at_which_nothing_was_ever_sent_are_not_advised() -> None:
    odds = np.where(np.isin(HOURS, [1, 2, 3, 4]), 0.0, 1.0) / 20
    opened, sent, segments = log(20, odds=odds)
    model = fit_send_times(opened, sent, segments=segments)
    assert_allclose(model.tried, odds > 0)
    nobody = np.zeros((3, 24))
    advised = [*model.advise(opened, sent, segments=segments), *model.advise(nobody, nobody, segments=[0, 1, -1])]
    assert not any(one.hour in (1, 2, 3, 4) for one in advised)
    assert all(max(one.by_hour[1:5]) <= np.mean(np.array(one.by_hour)[model.tried]) + 1e-9 for one in advised)


def test_how_users_differ_stays_as_believed_where_nothing_was_sent() -> None:
    odds = np.where(np.isin(HOURS, [1, 2, 3, 4]), 0.0, 1.0) / 20
    opened, sent, segments = log(20, odds=odds)
    spread = np.diag(fit_send_times(opened, sent, segments=segments).shapes.spread)
    assert spread[3] < 2 * spread[[8, 14, 20]].max()

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit
from scipy.stats import binomtest

from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NotEnoughData
from engine.estimates import difference_of
from engine.learning.advice import HourGain, amount_gain, channel_gain, compare_returns, hour_gain
from engine.learning.earnings import Return
from engine.learning.offers import OfferAdvice, OfferModel, fit_offers
from engine.learning.segments import rank_segments
from engine.learning.send_times import fit_send_times
from engine.summaries import MeanSummary, ProportionSummary

SCHEDULE = np.where((np.arange(24) >= 10) & (np.arange(24) <= 12), 0.5 / 3, 0.5 / 21)
AMOUNTS = np.array([1.0, 2.0, 4.0, 6.0, 9.0, 12.0])


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def rates(converted: list[int], sends: int = 10_000) -> list[ProportionSummary]:
    return [ProportionSummary(converted=count, exposed=sends) for count in converted]


def test_a_better_channel_gains_about_its_lead_and_less() -> None:
    found = channel_gain(rates([900, 500, 480]), rng=rng())
    assert found.choice == 0
    lead = 0.09 - np.mean([0.09, 0.05, 0.048])
    assert 0.9 * lead < found.gain.point < lead
    assert found.gain.low < lead < found.gain.high
    assert found.probability > 0.999
    # beside draws of three beta posteriors that lean on nothing
    draws = rng(2).beta(np.array([901, 501, 481]), 10_001 - np.array([900, 500, 480]), size=(20_000, 3))
    alone = draws[:, 0] - draws.mean(axis=1)
    assert_allclose([found.gain.low, found.gain.high], np.quantile(alone, [0.025, 0.975]), atol=1.5e-3)


def test_channels_by_profit() -> None:
    means = [MeanSummary.from_moments(count=2_000, mean=mean, variance=9.0) for mean in (0.2, 0.9)]
    found = channel_gain(means, rng=rng())
    assert found.choice == 1
    assert_allclose(found.gain.point, 0.35, atol=0.06)


def test_channels_that_do_not_differ_are_refused() -> None:
    with pytest.raises(NotEnoughData, match="by more than chance"):
        channel_gain(rates([500, 505, 498]), rng=rng())
    with pytest.raises(NotEnoughData, match="1 channels"):
        channel_gain([*rates([500]), ProportionSummary(converted=3, exposed=10)], rng=rng())
    with pytest.raises(NotEnoughData, match="converted"):
        channel_gain(rates([10, 2]), rng=rng())


def test_channels_alike_are_told_apart_no_more_often_than_is_said() -> None:
    source, told = rng(3), 0
    for _ in range(400):
        counts = source.binomial(2_000, 0.06, size=3).tolist()
        try:
            channel_gain(rates(counts, 2_000), rng=source)
            told += 1
        except NotEnoughData:
            pass
    assert binomtest(told, 400, 0.05).pvalue > 1e-3


def returns(*pairs: tuple[float, float]) -> list[Return]:
    return [Return(ratio=ratio, variance=variance) for ratio, variance in pairs]


def test_returns_are_compared_pair_by_pair() -> None:
    found = compare_returns(returns((0.3, 0.01), (1.3, 0.01), (0.8, 0.01)), rng=rng())
    gain = found.gain(1, 0)
    assert gain.gain.low < 1.0 < gain.gain.high
    assert gain.probability > 0.999
    assert found.gain(0, 1).gain.point == -gain.gain.point
    assert_allclose(found.means, [0.3, 1.3, 0.8], atol=0.05)


def test_returns_that_do_not_differ_are_refused() -> None:
    with pytest.raises(NotEnoughData, match="by more than chance"):
        compare_returns(returns((0.5, 0.01), (0.55, 0.01)), rng=rng())
    with pytest.raises(NotEnoughData, match="1 campaigns"):
        compare_returns(returns((0.5, 0.01)), rng=rng())


def test_the_gain_of_a_move_holds_the_truth_as_often_as_it_says() -> None:
    source, held, told = rng(4), 0, 0
    for _ in range(400):
        true = source.normal(0.5, 0.4, 4)
        seen = source.normal(true, 0.1)
        try:
            found = compare_returns(returns(*((value, 0.01) for value in seen.tolist())), rng=source)
        except NotEnoughData:
            continue
        best, worst = int(np.argmax(found.means)), int(np.argmin(found.means))
        gain = found.gain(best, worst).gain
        held += gain.low <= true[best] - true[worst] <= gain.high
        told += 1
    assert told > 350
    assert binomtest(held, told, 0.95).pvalue > 1e-3


def test_lifts_of_the_best_and_worst_segment_differ_as_said() -> None:
    """Lifts lean on each other; chosen as best and worst, their difference holds the truth as often as it says."""
    source, held = rng(5), 0
    for _ in range(300):
        lifts = source.normal(0.03, 0.02, 5)
        treated = [ProportionSummary(converted=int(n), exposed=4_000) for n in source.binomial(4_000, 0.10 + lifts)]
        ranking = rank_segments(treated, rates(source.binomial(4_000, 0.10, 5).tolist(), 4_000), significant=0.999)
        first, last = ranking.segments[0], ranking.segments[-1]
        found = difference_of(first.effect, last.effect)
        held += found.low <= lifts[first.segment] - lifts[last.segment] <= found.high
    assert binomtest(held, 300, 0.95).pvalue > 1e-3


def truth(amounts: np.ndarray) -> np.ndarray:
    return 0.03 + 0.3 * expit((amounts - 6.0) / 1.5)


def curves(seed: int) -> OfferModel:
    source = rng(seed)
    ids = np.repeat(np.arange(4), 3_000)
    amounts = source.choice(AMOUNTS, ids.size)
    return fit_offers(ids, amounts, converted=(source.random(ids.size) < truth(amounts)).astype(float))


def gain_of_advised(advice: OfferAdvice, present: float) -> IntervalEstimate:
    kept = advice.curve[::5]
    return amount_gain([each.amount for each in kept], [each.gain for each in kept], present=present)


def test_the_gain_of_an_amount_holds_the_truth() -> None:
    held = 0
    for seed in range(30):
        advice = curves(seed).advise(0, value=30.0, rng=rng(seed))
        now, best = 2.0, advice.amount.point
        found = gain_of_advised(advice, now)
        profits = truth(np.array([now, best])) * (30.0 - np.array([now, best]))
        held += found.low <= profits[1] - profits[0] <= found.high
    assert binomtest(held, 30, 0.95).pvalue > 1e-3


def test_both_amounts_lie_on_the_same_drawn_curves() -> None:
    """So the interval is narrower than that of two amounts which err independently."""
    advice = curves(1).advise(0, value=30.0, rng=rng())
    near = min(advice.curve, key=lambda each: abs(each.amount - 7.0))
    apart = difference_of(advice.profit_per_user, near.profit_per_user)
    assert near.gain.point == pytest.approx(apart.point)
    assert near.gain.high - near.gain.low < 0.9 * (apart.high - apart.low)


def test_the_gain_of_no_change_is_nothing() -> None:
    advice = curves(1).advise(0, value=30.0, rng=rng())
    found = [each.gain for each in advice.curve if each.amount == advice.amount.point]
    assert found == [IntervalEstimate(point=0.0, low=0.0, high=0.0)]


def test_amounts_never_sent_are_refused() -> None:
    nothing = IntervalEstimate(point=0.0, low=0.0, high=0.0)
    with pytest.raises(NotEnoughData, match="from 1 to 12"):
        amount_gain([1.0, 12.0], [nothing, nothing], present=25.0)
    with pytest.raises(InvalidInput, match="points of a curve"):
        amount_gain([1.0, 1.0], [nothing, nothing], present=1.0)


def hour_counts(seed: int, users: int = 60, sends: int = 480) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return open rates, opens and sends by hour: half of the users open from 7 to 9, the others from 19 to 21."""
    source, hours = rng(seed), np.arange(24)
    peaks = np.where(np.arange(users) % 2 == 0, 8, 20)
    true = np.where(np.abs(hours - peaks[:, None]) <= 1, 0.4, 0.05)
    sent = source.multinomial(sends, SCHEDULE, size=users)
    return true, source.binomial(sent, true).astype(float), sent.astype(float)


def judged(seed: int, opened: np.ndarray, sent: np.ndarray) -> HourGain:
    """Let a random half of the sends advise, and the other half judge."""
    source = rng(seed)
    opens = source.binomial(opened.astype(int), 0.5).astype(float)
    sends = opens + source.binomial((sent - opened).astype(int), 0.5)
    nobody = np.zeros(len(sent), dtype=int)
    advised = fit_send_times(opens, sends).advise(opens, sends, segments=nobody)
    return hour_gain(
        opened - opens,
        sent - sends,
        hours=[each.hour for each in advised],
        rates=[each.by_hour for each in advised],
    )


def test_the_gain_of_own_hours_holds_the_truth() -> None:
    held = 0
    for seed in range(20):
        true, opened, sent = hour_counts(seed)
        found = judged(seed, opened, sent)
        held += found.gain.low <= 0.4 - (true @ SCHEDULE).mean() <= found.gain.high
        assert found.gain.high - found.gain.low < 0.2
        assert found.borne_out is not None
        assert 0.5 < found.borne_out.point < 1.5
    assert binomtest(held, 20, 0.95).pvalue > 1e-3


def test_where_hours_do_not_matter_nothing_is_gained() -> None:
    _, _, sent = hour_counts(1)
    held = 0
    for seed in range(20):
        opened = rng(seed).binomial(sent.astype(int), 0.2).astype(float)
        found = judged(seed, opened, sent).gain
        held += found.low <= 0.0 <= found.high
    assert binomtest(held, 20, 0.95).pvalue > 1e-3


def test_where_nothing_was_foretold_no_share_of_it_came_true() -> None:
    _, opened, sent = hour_counts(1)
    flat = np.full(sent.shape, 0.2)
    found = hour_gain(opened, sent, hours=np.full(len(sent), 11), rates=flat)
    assert found.foretold == pytest.approx(0.0)
    assert HourGain(gain=found.gain, foretold=0.0, sends=1, opened=1).borne_out is None


def test_too_few_sends_at_advised_hours_are_refused() -> None:
    _, opened, sent = hour_counts(1, users=10, sends=60)
    with pytest.raises(NotEnoughData, match="at random hours"):
        hour_gain(opened, sent, hours=np.full(10, 3), rates=np.zeros((10, 24)))
    with pytest.raises(InvalidInput, match="one shape"):
        hour_gain(opened, sent, hours=[3], rates=np.zeros((10, 24)))

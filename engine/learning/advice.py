"""What following an advice is expected to gain, with an interval; refused where the data cannot bear it.

Channels, campaigns and segments lean on each other as far as they are alike (pooled_effects), so that the one that
looks best is not taken for as good as it looks; amounts are compared on the same drawn curves, hours on sends that did
not decide the advice. None of it knows what was not logged: channels and budgets that nobody drew by lot may differ in
whom they reached.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.arrays import FloatArray, IntArray
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NotEnoughData
from engine.learning.offers import OfferModel
from engine.learning.pooled_effects import heterogeneity, pool_effects
from engine.learning.segments import SegmentRanking
from engine.learning.send_times import fit_send_times
from engine.levels import error_rate, normal_cdf, two_sided_quantile
from engine.moments import ratio_moments
from engine.summaries import MeanSummary, ProportionSummary, RatioSummary

LEAST_UNITS = 200
LEAST_CONVERTED = 20
LEAST_DAYS = 14
SIGNIFICANT = 0.05
DRAWS = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What a change is expected to gain.

    Attributes
    ----------
    gain : in the unit of what was compared, for each unit of what is changed: a send, a unit of cost, an open
    probability : that it is above 0, in [0, 1]
    choice : index of what to change to: a channel, a campaign, a segment; None for amounts and hours
    instead_of : index of what to change from, where it is one
    reason : in words
    """

    gain: IntervalEstimate
    probability: float
    choice: int | None
    instead_of: int | None
    reason: str


def channel_gain(
    channels: Sequence[ProportionSummary | MeanSummary], *, rng: np.random.Generator, level: float = 0.95
) -> Gain:
    """Return what sending everything by the best channel gains a send, over the present shares.

    Parameters
    ----------
    channels : conversions, or profit, of each channel's sends
    rng : of the joint draws behind the interval
    level : of the interval, in (0, 1)

    Raises
    ------
    NotEnoughData
        fewer than two channels with 200 sends, fewer than 20 conversions, or no more difference than chance makes
    """
    sends = np.array([each.count for each in channels], dtype=np.float64)
    kept = [place for place, count in enumerate(sends.tolist()) if count >= LEAST_UNITS]
    _check_channels([channels[place] for place in kept])
    values, variances = zip(*(_mean_and_variance(channels[place]) for place in kept), strict=True)
    drawn = _told_apart(values, variances, what="Channels", rng=rng)
    shares = sends[kept] / sends[kept].sum()
    best = int(np.argmax(drawn.mean(axis=0)))
    return _gained(
        drawn[:, best] - drawn @ shares,
        level,
        choice=kept[best],
        reason="Channels differ by more than chance; nobody was given one by lot, so test before moving everything.",
    )


def budget_gain(campaigns: Sequence[RatioSummary], *, rng: np.random.Generator, level: float = 0.95) -> Gain:
    """Return what a unit of cost earns more in the campaign of most profit for its cost than in that of least.

    Parameters
    ----------
    campaigns : each one's profit (numerator) over its cost (denominator), a day a unit
    rng : of the joint draws behind the interval
    level : of the interval, in (0, 1)

    Raises
    ------
    NotEnoughData
        fewer than two campaigns with 14 days and a positive cost, or no more difference than chance makes

    Notes
    -----
    Profit for cost is taken to stay as it was: right for a shift small beside what either spends.
    """
    kept = [place for place, each in enumerate(campaigns) if each.count >= LEAST_DAYS and each.denominator.total > 0]
    if len(kept) < 2:
        raise NotEnoughData(f"{len(kept)} campaigns have {LEAST_DAYS} days with costs: compare two or more.")
    moments = [ratio_moments(campaigns[place]) for place in kept]
    drawn = _told_apart(
        [each.mean for each in moments], [each.variance / each.count for each in moments], what="Campaigns", rng=rng
    )
    means = drawn.mean(axis=0)
    best, worst = int(np.argmax(means)), int(np.argmin(means))
    return _gained(
        drawn[:, best] - drawn[:, worst],
        level,
        choice=kept[best],
        instead_of=kept[worst],
        reason=f"A unit of cost earned {means[best]:.2f} there and {means[worst]:.2f} here, if more of it earns alike.",
    )


def segment_gain(
    ranking: SegmentRanking, sizes: Sequence[float], *, rng: np.random.Generator, level: float = 0.95
) -> Gain:
    """Return what treating the best segment gains a unit, over treating all segments by their sizes.

    Parameters
    ----------
    ranking : of the segments
    sizes : units of each segment, as given to the ranking; those left out do not count
    rng : of the joint draws behind the interval
    level : of the interval, in (0, 1)

    Raises
    ------
    NotEnoughData
        segments do not differ by more than chance
    """
    if not ranking.ranked:
        raise NotEnoughData(f"{ranking.reason} Treat all alike.")
    kept = sorted(each.segment for each in ranking.segments)
    units = np.array([sizes[place] for place in kept], dtype=np.float64)
    if not ((units >= 0.0).all() and units.sum() > 0.0):
        raise InvalidInput("Sizes are at least 0, and not all 0: pass the units of each segment.")
    drawn = ranking.pooled.draws(DRAWS, rng=rng)
    best = kept.index(ranking.segments[0].segment)
    return _gained(
        drawn[:, best] - drawn @ (units / units.sum()), level, choice=kept[best], reason=ranking.segments[0].reason
    )


def amount_gain(
    model: OfferModel,
    campaign: int,
    *,
    present: float,
    advised: float,
    value: float,
    rng: np.random.Generator,
    level: float = 0.95,
) -> Gain:
    """Return what the advised amount earns more than the present one, a send, in the amounts' currency.

    Parameters
    ----------
    model, campaign : the curves, and the campaign's id
    present, advised : amounts, within those the campaign has sent
    value : what a conversion earns before the offer is paid, positive
    rng : of the draws; both amounts are compared on the same curves
    level : of the interval, in (0, 1)

    Raises
    ------
    NotEnoughData
        the campaign has sent fewer than three amounts, or none as low or high as the present one
    """
    if not value > 0.0:
        raise InvalidInput(f"The value is {value}: pass what a conversion earns, above 0.")
    amounts = np.array([present, advised])
    profits = model.drawn_rates(campaign, amounts, rng=rng, draws=DRAWS) * (value - amounts)
    return _gained(
        profits[:, 1] - profits[:, 0], level, choice=None, reason="Both amounts are compared on the same drawn curves."
    )


def hour_gain(
    opened: ArrayLike,
    sent: ArrayLike,
    *,
    rng: np.random.Generator,
    segments: ArrayLike | None = None,
    quiet: Sequence[int] = (),
    level: float = 0.95,
) -> Gain:
    """Return how many more opens a send has at each user's advised hour than at the hours of sending so far.

    No model is trusted to judge itself: each half of the counts, drawn by lot, advises, and the other half's sends that
    happened to go out at the advised hours are compared with all its sends (self-normalised inverse propensity;
    Swaminathan and Joachims, 2015, "The self-normalized estimator for counterfactual learning", equation 9). Advice by
    all counts gains a little more than this.

    Parameters
    ----------
    opened, sent : counts of users by local hour, shape (n, 24); hours were chosen without regard to the user
    rng : of the halves
    segments : each user's, shape (n,), from 0; all one where not given
    quiet : local hours at which nothing is sent
    level : of the interval, in (0, 1)

    Raises
    ------
    NotEnoughData
        fewer than 200 sends, or 20 opens, at advised hours; or what `fit_send_times` refuses
    """
    opens, sends = np.asarray(opened, dtype=np.float64), np.asarray(sent, dtype=np.float64)
    places = np.zeros(len(sends), dtype=np.int64) if segments is None else np.asarray(segments)
    half_opens = rng.binomial(opens.astype(np.int64), 0.5).astype(np.float64)
    half = half_opens + rng.binomial((sends - opens).astype(np.int64), 0.5)
    halves = ((half_opens, half), (opens - half_opens, sends - half))
    odds = np.maximum(sends.sum(axis=0), 1.0) / max(float(sends.sum()), 1.0)
    judged = [
        _at_advised(learnt, other, segments=places, quiet=quiet, odds=odds) for learnt, other in (halves, halves[::-1])
    ]
    tried, hits = sum(each.sends for each in judged), sum(each.opens for each in judged)
    if tried < LEAST_UNITS or hits < LEAST_CONVERTED:
        raise NotEnoughData(
            f"{tried:.0f} sends went out at advised hours, {hits:.0f} were opened: send a share at random hours until"
            f" there are {LEAST_UNITS} and {LEAST_CONVERTED}."
        )
    point = 0.5 * (judged[0].gain + judged[1].gain)
    error = float(np.sqrt(np.sum((0.5 * (judged[0].errors + judged[1].errors)) ** 2)))
    margin = two_sided_quantile(error_rate(level)) * error
    return Gain(
        gain=IntervalEstimate(point=point, low=point - margin, high=point + margin),
        probability=normal_cdf(point / error) if error > 0.0 else 0.5,
        choice=None,
        instead_of=None,
        reason=f"{tried:.0f} sends happened to go out at hours advised by other sends, beside all sends.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Judged:
    """What one half's advice was worth to the other: its sends and opens at advised hours, and each user's error."""

    sends: float
    opens: float
    gain: float
    errors: FloatArray


def _at_advised(
    learnt: tuple[FloatArray, FloatArray],
    other: tuple[FloatArray, FloatArray],
    *,
    segments: IntArray,
    quiet: Sequence[int],
    odds: FloatArray,
) -> _Judged:
    model = fit_send_times(*learnt, segments=segments)
    hours = [each.hour for each in model.advise(*learnt, segments=segments, quiet=quiet)]
    users, (opens, sends) = np.arange(len(hours)), other
    tried, hits = sends[users, hours], opens[users, hours]
    weights = 1.0 / odds[hours]
    scale, total = max(float(weights @ tried), 1e-12), max(float(sends.sum()), 1.0)
    advised, present = float(weights @ hits) / scale, float(opens.sum()) / total
    errors = weights * (hits - advised * tried) / scale
    errors = errors - (opens.sum(axis=1) - present * sends.sum(axis=1)) / total
    return _Judged(sends=float(tried.sum()), opens=float(hits.sum()), gain=advised - present, errors=errors)


def _told_apart(
    values: Sequence[float], variances: Sequence[float], *, what: str, rng: np.random.Generator
) -> FloatArray:
    """Return joint draws of the true values; refuse where they do not differ by more than chance."""
    found = heterogeneity(values, variances)
    if found.p_value >= SIGNIFICANT:
        raise NotEnoughData(
            f"{what} do not differ by more than chance (p {found.p_value:.2g}): keep the present shares, or test."
        )
    return pool_effects(values, variances).draws(DRAWS, rng=rng)


def _gained(drawn: FloatArray, level: float, *, choice: int | None, reason: str, instead_of: int | None = None) -> Gain:
    alpha = error_rate(level)
    low, high = np.quantile(drawn, [alpha / 2.0, 1.0 - alpha / 2.0]).tolist()
    return Gain(
        gain=IntervalEstimate(point=float(drawn.mean()), low=low, high=high),
        probability=float((drawn > 0.0).mean()),
        choice=choice,
        instead_of=instead_of,
        reason=reason,
    )


def _check_channels(channels: Sequence[ProportionSummary | MeanSummary]) -> None:
    if len(channels) < 2:
        raise NotEnoughData(f"{len(channels)} channels have {LEAST_UNITS} sends: compare two or more.")
    counts = [each for each in channels if isinstance(each, ProportionSummary)]
    if counts and sum(each.converted for each in counts) < LEAST_CONVERTED:
        raise NotEnoughData(f"Fewer than {LEAST_CONVERTED} sends converted: wait for more.")


def _mean_and_variance(summary: ProportionSummary | MeanSummary) -> tuple[float, float]:
    """Return a rate or mean and its variance; of a rate with one hit and one miss added, so that it is never 0."""
    if isinstance(summary, MeanSummary):
        return summary.mean, summary.variance / summary.count
    rate = (summary.converted + 1.0) / (summary.exposed + 2.0)
    return summary.rate, rate * (1.0 - rate) / summary.exposed

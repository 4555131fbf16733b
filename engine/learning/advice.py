"""What following an advice is expected to gain, with an interval; refused where the data cannot bear it.

Channels and campaigns lean on each other as far as they are alike (pooled_effects), so that the one that looks best is
not taken for as good as it looks; amounts are compared on the same drawn curves, hours on sends that did not decide the
advice. None of it knows what was not logged: channels and budgets that nobody drew by lot may differ in whom they
reached.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.arrays import FloatArray
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NotEnoughData
from engine.estimates import about, scaled
from engine.learning.earnings import Return
from engine.learning.pooled_effects import heterogeneity, pool_effects
from engine.levels import error_rate
from engine.summaries import MeanSummary, ProportionSummary

LEAST_UNITS = 200
LEAST_CONVERTED = 20
SIGNIFICANT = 0.05
DRAWS = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What a change is expected to gain.

    Attributes
    ----------
    gain : in the unit of what was compared, for each unit of what is changed: a send, a unit of cost
    probability : that it is above 0, in [0, 1]
    """

    gain: IntervalEstimate
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelGain(Gain):
    """What sending everything by one channel is expected to gain, a send.

    Attributes
    ----------
    choice : index of the channel
    reason : in words
    """

    choice: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReturnComparison:
    """Several campaigns' returns, which lean on each other.

    Attributes
    ----------
    means : expected profit for a unit of cost, shape (k,)
    drawn : joint draws of them, shape (n, k)
    """

    means: FloatArray
    drawn: FloatArray

    def gain(self, receiver: int, giver: int, *, level: float = 0.95) -> Gain:
        """Return what a unit of cost earns more in the receiving campaign than in the giving one.

        Profit for cost is taken to stay as it was: right for a shift small beside what either spends.
        """
        return _gained(self.drawn[:, receiver] - self.drawn[:, giver], level)


@dataclass(frozen=True, slots=True, kw_only=True)
class HourGain:
    """How many more opens a send has at users' advised hours, on sends that did not decide the advice.

    Attributes
    ----------
    gain : opens a send
    foretold : what the model itself expected of the same users
    sends, opened : made at the advised hours by chance, and opened
    """

    gain: IntervalEstimate
    foretold: float
    sends: int
    opened: int

    @property
    def borne_out(self) -> IntervalEstimate | None:
        """What share of the gain foretold came true; None where none was foretold."""
        return scaled(self.gain, 1.0 / self.foretold) if self.foretold > 0.0 else None


def channel_gain(
    channels: Sequence[ProportionSummary | MeanSummary], *, rng: np.random.Generator, level: float = 0.95
) -> ChannelGain:
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
    found = _gained(drawn[:, best] - drawn @ shares, level)
    return ChannelGain(
        gain=found.gain,
        probability=found.probability,
        choice=kept[best],
        reason="Channels differ by more than chance; nobody was given one by lot, so test before moving everything.",
    )


def compare_returns(returns: Sequence[Return], *, rng: np.random.Generator) -> ReturnComparison:
    """Return what campaigns earn for a unit of cost, beside each other.

    Parameters
    ----------
    returns : each campaign's
    rng : of the joint draws

    Raises
    ------
    NotEnoughData
        fewer than two campaigns, or no more difference than chance makes
    """
    if len(returns) < 2:
        raise NotEnoughData(f"{len(returns)} campaigns have a return: compare two or more.")
    drawn = _told_apart(
        [each.ratio for each in returns], [each.variance for each in returns], what="Campaigns", rng=rng
    )
    return ReturnComparison(means=drawn.mean(axis=0), drawn=drawn)


def amount_gain(amounts: ArrayLike, gains: Sequence[IntervalEstimate], *, present: float) -> IntervalEstimate:
    """Return what the advised amount earns more than the present one, a send.

    Parameters
    ----------
    amounts : along a campaign's curve, rising, shape (k,)
    gains : what the advised amount earns more than each, on the same drawn curves (OfferPoint.gain); linear between
    present : amount

    Raises
    ------
    NotEnoughData
        the present amount lies beyond those on the curve
    """
    known = np.asarray(amounts, dtype=np.float64)
    if known.ndim != 1 or not known.size or known.size != len(gains) or (np.diff(known) <= 0.0).any():
        raise InvalidInput("Amounts rise, and each has its gain: pass the points of a curve.")
    if not known[0] <= present <= known[-1]:
        raise NotEnoughData(f"Amounts from {known[0]:g} to {known[-1]:g} were sent: nothing is known of {present:g}.")
    points, lows, highs = zip(*((each.point, each.low, each.high) for each in gains), strict=True)
    point, low, high = (float(np.interp(present, known, ends)) for ends in (points, lows, highs))
    return IntervalEstimate(point=point, low=low, high=high)


def hour_gain(
    opened: ArrayLike, sent: ArrayLike, *, hours: ArrayLike, rates: ArrayLike, level: float = 0.95
) -> HourGain:
    """Return how many more opens a send has at each user's advised hour than at the hours of sending so far.

    No model is trusted to judge itself: sends that it has not seen, and that happened to go out at the hours it
    advises, are compared with all of them (self-normalised inverse propensity; Swaminathan and Joachims, 2015, "The
    self-normalized estimator for counterfactual learning", equation 9). Users are the units of the error.

    Parameters
    ----------
    opened, sent : counts of users by local hour, shape (n, 24), of sends that did not decide the advice; their hours
        were chosen without regard to the user
    hours : advised to each user, 0 to 23, shape (n,)
    rates : open rates foretold, shape (n, 24)
    level : of the interval, in (0, 1)

    Raises
    ------
    NotEnoughData
        fewer than 200 sends, or 20 opens, at advised hours
    """
    opens, sends = np.asarray(opened, dtype=np.float64), np.asarray(sent, dtype=np.float64)
    advised, foretold = np.asarray(hours), np.asarray(rates, dtype=np.float64)
    if not opens.shape == sends.shape == foretold.shape or advised.shape != opens.shape[:1]:
        raise InvalidInput("Opened, sent and rates need one shape (n, 24), and hours one entry a user.")
    users = np.arange(len(advised))
    tried, hits, total = sends[users, advised], opens[users, advised], max(float(sends.sum()), 1.0)
    if tried.sum() < LEAST_UNITS or hits.sum() < LEAST_CONVERTED:
        raise NotEnoughData(
            f"{tried.sum():.0f} sends went out at advised hours, {hits.sum():.0f} were opened: send a share at random"
            f" hours until there are {LEAST_UNITS} and {LEAST_CONVERTED}."
        )
    weights = total / np.maximum(sends.sum(axis=0), 1.0)[advised]
    scale = float(weights @ tried)
    then, present = float(weights @ hits) / scale, float(opens.sum()) / total
    errors = weights * (hits - then * tried) / scale - (opens.sum(axis=1) - present * sends.sum(axis=1)) / total
    expected = float(sends.sum(axis=1) @ foretold[users, advised] - np.vdot(sends, foretold)) / total
    return HourGain(
        gain=about(then - present, float(np.sqrt(errors @ errors)), level=level),
        foretold=expected,
        sends=int(tried.sum()),
        opened=int(hits.sum()),
    )


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


def _gained(drawn: FloatArray, level: float) -> Gain:
    alpha = error_rate(level)
    low, high = np.quantile(drawn, [alpha / 2.0, 1.0 - alpha / 2.0]).tolist()
    return Gain(
        gain=IntervalEstimate(point=float(drawn.mean()), low=low, high=high),
        probability=float((drawn > 0.0).mean()),
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

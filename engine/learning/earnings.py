"""What conversions earned and paid, from sums over them: profit a message, and profit for its cost.

How many convert is chance as well, so that the variance of a sum over conversions is the sum of squares, as of a
compound Poisson sum: Ross (2014), "Introduction to probability models", section 5.4.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import InvalidInput, NotEnoughData
from engine.summaries import MeanSummary

EXACT = 1e-3
"""Least relative error of a return: where all conversions earn and cost the same, it is known to rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earnings:
    """Sums over conversions, money and its products; each earned a value and paid a reward.

    Attributes
    ----------
    conversions : how many, at least 0
    value, reward : sums
    value_squares, value_reward, reward_squares : sums of each one's products
    """

    conversions: int = 0
    value: float = 0.0
    reward: float = 0.0
    value_squares: float = 0.0
    value_reward: float = 0.0
    reward_squares: float = 0.0

    def __add__(self, other: "Earnings") -> "Earnings":
        """Return the sums over both."""
        return Earnings(
            conversions=self.conversions + other.conversions,
            value=self.value + other.value,
            reward=self.reward + other.reward,
            value_squares=self.value_squares + other.value_squares,
            value_reward=self.value_reward + other.value_reward,
            reward_squares=self.reward_squares + other.reward_squares,
        )

    @property
    def profit(self) -> float:
        """What is left after rewards."""
        return self.value - self.reward

    def squares(self, weight: float = 1.0) -> float:
        """Return the sum of (value - weight * reward)**2."""
        return self.value_squares - 2.0 * weight * self.value_reward + weight**2 * self.reward_squares


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Profit for a unit of cost, and the variance of that estimate."""

    ratio: float
    variance: float


def profits_a_message(
    messages: Sequence[int], earnings: Sequence[Earnings], *, deliveries: Sequence[float]
) -> list[MeanSummary]:
    """Return what a message earned over each of several channels, after reward and delivery.

    The variance is that of one conversion more, like the others: a channel without any is not known to have none.

    Parameters
    ----------
    messages : sent over each channel, positive
    earnings : of each
    deliveries : what each's messages cost to deliver, which is known and does not vary

    Raises
    ------
    NotEnoughData
        nothing converted over any of them
    """
    if not len(messages) == len(earnings) == len(deliveries) or min(messages, default=1) < 1:
        raise InvalidInput("Messages, earnings and deliveries go together, messages at least 1: pass one a channel.")
    total = sum(earnings, Earnings())
    if not total.conversions:
        raise NotEnoughData("Nothing converted over any channel: wait for conversions.")
    one_more = total.squares() / total.conversions
    return [
        MeanSummary.from_moments(
            count=count,
            mean=(each.profit - delivery) / count,
            variance=max((each.squares() + one_more) / count - (each.profit / count) ** 2, 0.0),
        )
        for count, each, delivery in zip(messages, earnings, deliveries, strict=True)
    ]


def return_on_cost(earnings: Earnings, *, delivery: float) -> Return:
    """Return profit over cost, cost being rewards and delivery.

    The variance is that of a ratio of sums over conversions, by the delta method (Deng, Knoblich and Lu, 2018,
    "Applying the delta method in metric analytics", equation 5) with the variances of compound Poisson sums. It is
    never below (0.001 * value / cost)**2.

    Parameters
    ----------
    earnings : sums over the conversions
    delivery : what delivering cost, at least 0, which does not vary

    Raises
    ------
    NotEnoughData
        nothing was spent
    """
    cost = earnings.reward + delivery
    if not cost > 0.0:
        raise NotEnoughData("Nothing was spent: a return on cost needs a cost.")
    weight = earnings.value / cost
    variance = max(earnings.squares(weight) / cost**2, (EXACT * weight) ** 2)
    return Return(ratio=weight - 1.0, variance=variance)

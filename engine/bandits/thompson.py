"""Thompson sampling: each arm's share is the probability that it is the best one; and its top-two form.

Probabilities come by quadrature, so that the same totals always give the same allocation. Where one unit at a time is
served, draw_best makes the classic draw instead.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.arrays import FloatArray
from engine.bandits.best_arm import best_arm_probabilities
from engine.bandits.policy import ArmTotals, Policy
from engine.bayesian.marginals import BetaMarginals, StudentMarginals
from engine.errors import InvalidInput, NotEnoughData

_DOUBT = 1e-9  # left to every arm, so that a leader beyond doubt still has challengers


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaThompson:
    """Thompson sampling for conversions, each arm's rate having a beta prior.

    Attributes
    ----------
    alpha, beta : of the prior, positive; flat where not given
    """

    alpha: float = 1.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        """Refuse priors that are no distribution."""
        if not (0.0 < self.alpha < np.inf and 0.0 < self.beta < np.inf):
            raise InvalidInput(f"The prior is beta({self.alpha}, {self.beta}): pass two positive numbers.")

    def posteriors(self, totals: ArmTotals) -> BetaMarginals:
        """Return the arms' posteriors: beta(alpha + converted, beta + not converted)."""
        if not ((totals.rewards >= 0.0) & (totals.rewards <= totals.pulls)).all():
            raise InvalidInput("Conversions lie between 0 and the pulls: use NormalThompson for other rewards.")
        return BetaMarginals(alpha=self.alpha + totals.rewards, beta=self.beta + totals.pulls - totals.rewards)

    def weights(self, totals: ArmTotals) -> FloatArray:
        """Return P(best) of each arm: Thompson (1933); shape (..., k)."""
        return best_arm_probabilities(self.posteriors(totals))

    def draw_best(self, totals: ArmTotals, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return the arm for the next unit of each bandit: the highest of one draw from each posterior."""
        alpha = self.alpha + totals.rewards
        return rng.beta(alpha, self.beta + totals.pulls - totals.rewards).argmax(axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalThompson:
    """Thompson sampling for numbers such as revenue, each arm's mean having a normal posterior.

    The prior is worth one unit at the mean and variance of all arms together, so that an arm without rewards is open
    and an arm with few does not claim to be certain.
    """

    def posteriors(self, totals: ArmTotals) -> StudentMarginals:
        """Return the arms' posteriors, normal by the central limit theorem.

        With n pulls, mean m, sum of squared deviations S; pooled mean M and variance V: location (n m + M) / (n + 1),
        scale**2 = (S + V) / max(n, 1) / (n + 1). As the normal-inverse-gamma of Murphy (2007), "Conjugate Bayesian
        analysis of the Gaussian distribution", eqs 86 and 87, with one prior unit.

        Raises
        ------
        NotEnoughData
            no bandit can be told from its rewards yet: fewer than 2 pulls, or all rewards equal
        """
        pulls = totals.pulls
        everyone = pulls.sum(axis=-1, keepdims=True)
        if (everyone < 2.0).any():
            raise NotEnoughData("A bandit has fewer than 2 rewards: allocate evenly until it has some.")
        mean = totals.rewards.sum(axis=-1, keepdims=True) / everyone
        variance = totals.squared_rewards.sum(axis=-1, keepdims=True) / everyone - mean**2
        if (variance <= 0.0).any():
            raise NotEnoughData("All rewards of a bandit are equal: allocate evenly until they vary.")
        some = np.maximum(pulls, 1.0)
        scatter = np.maximum(totals.squared_rewards - totals.rewards**2 / some, 0.0)
        return StudentMarginals(
            location=(totals.rewards + mean) / (pulls + 1.0),
            scale=np.sqrt((scatter + variance) / (some * (pulls + 1.0))),
            freedom=np.full(pulls.shape, np.inf),
        )

    def weights(self, totals: ArmTotals) -> FloatArray:
        """Return P(best) of each arm; shape (..., k)."""
        return best_arm_probabilities(self.posteriors(totals))

    def draw_best(self, totals: ArmTotals, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return the arm for the next unit of each bandit: the highest of one draw from each posterior."""
        posteriors = self.posteriors(totals)
        return rng.normal(posteriors.location, posteriors.scale).argmax(axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopTwo:
    """Top-two Thompson sampling, for finding the winner rather than earning while testing.

    Attributes
    ----------
    thompson : whose weights are P(best)
    leader_share : how often the arm that looks best is played rather than its challenger, in (0, 1)
    """

    thompson: Policy
    leader_share: float = 0.5

    def __post_init__(self) -> None:
        """Refuse shares that leave out the leader or the challenger."""
        if not 0.0 < self.leader_share < 1.0:
            raise InvalidInput(f"The leader's share is {self.leader_share}: pass a fraction in (0, 1), such as 0.5.")

    def weights(self, totals: ArmTotals) -> FloatArray:
        """Return the top-two weights of each arm; shape (..., k)."""
        return top_two(self.thompson.weights(totals), leader_share=self.leader_share)


def top_two(probability_best: FloatArray, *, leader_share: float = 0.5) -> FloatArray:
    """Return how often each arm is leader or challenger.

    Parameters
    ----------
    probability_best : a, shape (..., k), sums to 1
    leader_share : b, in (0, 1)

    Returns
    -------
    a_i (b + (1 - b) sum_{j != i} a_j / (1 - a_j)): Russo (2020), "Simple Bayesian algorithms for best-arm
    identification", sec. 4. shape (..., k), sums to 1
    """
    best = probability_best + _DOUBT
    best = best / best.sum(axis=-1, keepdims=True)
    odds = best / (1.0 - best)
    challenged = odds.sum(axis=-1, keepdims=True) - odds
    weights = best * (leader_share + (1.0 - leader_share) * challenged)
    return weights / weights.sum(axis=-1, keepdims=True)

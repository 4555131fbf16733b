"""The simulated world's A/B tests: who is exposed to which variant when, and what that does to what follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from app.abtests.drafting import MetricDraft, TestDraft, VariantDraft
from app.abtests.targeting import compile_targeting
from app.demo.population import SEGMENTS, Population
from app.demo.sending import DAY, Sends
from app.demo.truth import TEST_EFFECTS
from app.store.models.codes import EventType, MetricKind
from engine.arrays import BoolArray, FloatArray, IntArray
from engine.assignment.allocation import variant_probabilities, variant_table, variants_of_units

NEVER = np.iinfo(np.int64).max
WEEK_HOURS = 7 * 24


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPlan:
    """A test of the world; days count back from its anchor. One with a campaign concerns only offers of that one.

    A user is exposed by the first offer after the start, whether or not it arrives, so that who is exposed does not
    depend on the variant. `winner` is declared at the end.
    """

    __test__ = False

    draft: TestDraft
    began: float
    ended: float | None = None
    winner: str | None = None

    @property
    def key(self) -> str:
        """Return the test's key."""
        return self.draft.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposures:
    """Who saw which variant of one test, as columns of shape (n_exposures,), in order of the sends."""

    test: int
    sends: IntArray
    variants: IntArray
    probabilities: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifts:
    """What variants add, relatively, to the probabilities of clicking and converting, each of shape (n_sends,)."""

    clicking: FloatArray
    converting: FloatArray


class Experiments:
    """The world's tests on one population; `anchor` in microseconds since 1970 (UTC)."""

    def __init__(self, population: Population, *, anchor: int) -> None:
        self._population = population
        self._anchor = anchor

    @cached_property
    def variants(self) -> tuple[IntArray, ...]:
        """Each test's variant of every user, by the hash by which the server decides; -1 for those not in it."""
        return tuple(self._variants(plan.draft) for plan in PLANS)

    def began(self, plan: TestPlan) -> int:
        """Return when a test started, in microseconds since 1970."""
        return self._anchor - round(plan.began * DAY)

    def ended(self, plan: TestPlan) -> int | None:
        """Return when a test ended, in microseconds since 1970; None while it runs."""
        return None if plan.ended is None else self._anchor - round(plan.ended * DAY)

    def exposures(self, sends: Sends) -> list[Exposures]:
        """Return the first exposures of every test that sends of the whole history bring about."""
        return [self._first(number, sends) for number in range(len(PLANS))]

    def lifts(self, sends: Sends) -> Lifts:
        """Return what the tests do to sends of the whole history: from a user's exposure to the end of the test."""
        return self._lifts(sends, [self._treated(exposures, sends) for exposures in self.exposures(sends)])

    def repeated(self, sends: Sends) -> list[Exposures]:
        """Return the exposures that sends bring about now, also of users who were exposed before."""
        return [self._of(number, np.flatnonzero(self._concerned(number, sends)), sends) for number in range(len(PLANS))]

    def lifts_now(self, sends: Sends) -> Lifts:
        """Return what the tests that run do to sends of now."""
        return self._lifts(sends, [self._concerned(number, sends) for number in range(len(PLANS))])

    def _variants(self, draft: TestDraft) -> IntArray:
        units = self._population.users.external_id
        seed, weights = draft.seed or draft.key, _weights(draft)
        variants = variants_of_units(units, weights, seed=seed, coverage=draft.coverage).astype(np.int64)
        matches = compile_targeting(draft.targeting).matches
        targeted = np.array([matches({"segment": segment.name}) for segment in SEGMENTS])
        return np.where(targeted[self._population.users.segment], variants, -1)

    def _concerned(self, number: int, sends: Sends) -> BoolArray:
        """Return which sends fall under a test: of its campaign, in its time, to a user it has a variant for."""
        plan = PLANS[number]
        inside = (self.variants[number][sends.users] >= 0) & (sends.at >= self.began(plan))
        if (ended := self.ended(plan)) is not None:
            inside &= sends.at < ended
        if plan.draft.campaign is not None:
            keys = [campaign.key for campaign in self._population.campaigns]
            inside &= sends.campaigns == keys.index(str(plan.draft.campaign))
        return inside

    def _first(self, number: int, sends: Sends) -> Exposures:
        concerned = np.flatnonzero(self._concerned(number, sends))
        ordered = concerned[np.argsort(sends.at[concerned], kind="stable")]
        _, first = np.unique(sends.users[ordered], return_index=True)
        return self._of(number, np.sort(ordered[first]), sends)

    def _of(self, number: int, which: IntArray, sends: Sends) -> Exposures:
        draft, variants = PLANS[number].draft, self.variants[number][sends.users[which]]
        return Exposures(test=number, sends=which, variants=variants, probabilities=_shares(draft)[variants])

    def _treated(self, exposures: Exposures, sends: Sends) -> BoolArray:
        since = np.full(len(self._population.users), NEVER)
        since[sends.users[exposures.sends]] = sends.at[exposures.sends]
        return self._concerned(exposures.test, sends) & (sends.at >= since[sends.users])

    def _lifts(self, sends: Sends, treated: Sequence[BoolArray]) -> Lifts:
        clicking, converting = np.ones(len(sends)), np.ones(len(sends))
        for number, inside in enumerate(treated):
            variants = self.variants[number][sends.users]
            for effect in TEST_EFFECTS:
                if effect.test == PLANS[number].key:
                    whom = inside & (variants == _place(PLANS[number].draft, effect.variant))
                    clicking[whom] *= 1.0 + effect.clicking
                    converting[whom] *= 1.0 + effect.converting
        return Lifts(clicking=clicking - 1.0, converting=converting - 1.0)


def _weights(draft: TestDraft) -> list[float]:
    return [variant.weight for variant in draft.variants]


def _shares(draft: TestDraft) -> FloatArray:
    table = variant_table(_weights(draft), coverage=draft.coverage)
    shares = variant_probabilities(table, variants=len(draft.variants))
    return shares / shares.sum()


def _place(draft: TestDraft, key: str) -> int:
    return [variant.key for variant in draft.variants].index(key)


def _arms(*treatments: tuple[str, object], control: object) -> tuple[VariantDraft, ...]:
    weight = 1.0 / (len(treatments) + 1)
    return (
        VariantDraft(key="control", weight=weight, is_control=True, payload=control),
        *(VariantDraft(key=key, weight=weight, payload=payload) for key, payload in treatments),
    )


def _conversion(key: str, event: EventType, *, hours: int = WEEK_HOURS, margin: float | None = None) -> MetricDraft:
    return MetricDraft(key=key, kind=MetricKind.CONVERSION, event=event, window_hours=hours, margin=margin)


PLANS = (
    TestPlan(
        draft=TestDraft(
            key="instant-cash-back",
            name="Cash back at once, or next month",
            hypothesis="Offers that say that cash back is paid at once are taken up more often.",
            variants=_arms(("instant", {"paid": "at once"}), control={"paid": "next month"}),
            metric=_conversion("converted", EventType.CONVERTED, hours=2 * WEEK_HOURS),
            baseline=0.2,
            minimum_detectable_effect=0.2,
        ),
        began=63.0,
        ended=28.0,
        winner="instant",
    ),
    TestPlan(
        draft=TestDraft(
            key="payday-same-again",
            name="Payday: the same offer twice (A/A)",
            hypothesis="Both variants are the same: whatever differs is chance.",
            variants=_arms(("same", {"text": "It is payday"}), control={"text": "It is payday"}),
            metric=_conversion("converted", EventType.CONVERTED),
            campaign="harbour-books-payday",
            baseline=0.09,
            minimum_detectable_effect=0.2,
        ),
        began=30.0,
    ),
    TestPlan(
        draft=TestDraft(
            key="weekend-wording",
            name="Weekend: a warmer text",
            hypothesis="A warmer text persuades a few more.",
            variants=_arms(("warm", {"text": "Your weekend is on us"}), control={"text": "Weekend offer"}),
            metric=_conversion("converted", EventType.CONVERTED, hours=72),
            campaign="corner-grocer-weekend",
            baseline=0.05,
            minimum_detectable_effect=0.15,
        ),
        began=21.0,
    ),
    TestPlan(
        draft=TestDraft(
            key="saved-so-far",
            name="Show what was saved so far",
            hypothesis="Offers that show what cash back came to so far bring more revenue.",
            variants=_arms(("shown", {"savedSoFar": True}), control={"savedSoFar": False}),
            metric=MetricDraft(
                key="revenue", kind=MetricKind.REVENUE, event=EventType.CONVERTED, window_hours=WEEK_HOURS
            ),
            target_sample_size=2_500,
        ),
        began=10.0,
    ),
    TestPlan(
        draft=TestDraft(
            key="win-back-tone",
            name="Win back: friendly, urgent or plain",
            hypothesis="New and lapsed users answer to a tone; a friendly one works best.",
            variants=_arms(
                ("friendly", {"tone": "friendly"}), ("urgent", {"tone": "urgent"}), control={"tone": "plain"}
            ),
            metric=_conversion("converted", EventType.CONVERTED, hours=2 * WEEK_HOURS),
            targeting={"segment": {"$in": ["new", "lapsed"]}},
            baseline=0.1,
            minimum_detectable_effect=0.4,
        ),
        began=12.0,
    ),
    TestPlan(
        draft=TestDraft(
            key="bold-headline",
            name="A headline that promises more",
            hypothesis="A bold headline is clicked more often, and must not cost conversions.",
            variants=_arms(("bold", {"headline": "bold"}), control={"headline": "plain"}),
            metric=_conversion("clicked", EventType.CLICKED),
            guardrails=(_conversion("converted", EventType.CONVERTED, margin=0.05),),
            baseline=0.27,
            minimum_detectable_effect=0.1,
        ),
        began=14.0,
    ),
)
"""Tests of the demo; their effects are `truth.TEST_EFFECTS`."""

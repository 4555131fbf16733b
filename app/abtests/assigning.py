"""Which variant a unit gets: decided by hash, kept once exposed."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import cast

from app.abtests.contextual import ContextualModel, context_of
from app.abtests.definitions import AssigningTest, Definitions
from app.abtests.targeting import Attributes
from app.errors import DomainErrors, NotFound
from app.runtime.clock import Clock
from app.store.abtest_rows import AssignmentRow, VariantRow
from app.store.abtests import TestStore
from app.store.campaigns import CampaignStore, UserRow
from engine.assignment.allocation import Assignment, Parts, Reason, assign


class NoVariant(StrEnum):
    """Why a unit has no variant."""

    NOT_RUNNING = "not running"
    NOT_TARGETED = "not targeted"
    HELD_OUT = "held out"
    EXCLUDED = "in another test of its exclusion group"
    NOT_COVERED = "not covered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A unit's variant, or why it has none.

    `known`, what its context is made of, and the whole vector of `probabilities` are a contextual test's, where every
    unit has its own.
    """

    test: AssigningTest
    user_id: str
    variant: VariantRow | None = None
    reason: NoVariant | None = None
    probability: float = 0.0
    policy_version: int = 0
    decided_at: datetime
    exposed_before: bool = False
    known: Attributes | None = None
    probabilities: tuple[float, ...] | None = None

    @property
    def context(self) -> dict[str, str | float | bool | None] | None:
        """Return what is to be logged of a contextual test's unit, and no more."""
        return None if self.known is None else context_of(self.test.context_attributes, self.known)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A unit that is to be decided for by a contextual model; one for each time it is asked for."""

    test: AssigningTest
    user_id: str
    known: Attributes


_OPAQUE_USER = re.compile(r"usr_([1-9][0-9]{0,17})")
NO_VARIANT = {
    Reason.HELD_OUT: NoVariant.HELD_OUT,
    Reason.EXCLUDED: NoVariant.EXCLUDED,
    Reason.NOT_COVERED: NoVariant.NOT_COVERED,
}


class Assigning:
    """Decides for units. Only what the hash cannot know is read: earlier exposures, and attributes not given."""

    def __init__(self, definitions: Definitions, *, tests: TestStore, users: CampaignStore, clock: Clock) -> None:
        self._definitions = definitions
        self._exposures_of = tests.exposures_of
        self._exposures = _Gathered(tests.exposures_of)
        self._asked = _Gathered(self._found)
        self._users = _Gathered[int | str, UserRow](users.users)
        self._clock = clock

    async def test(self, reference: int | str) -> AssigningTest | None:
        """Return a test that runs or is paused."""
        return await self._definitions.find(reference)

    def live(self) -> Sequence[AssigningTest]:
        """Return the tests that run or are paused, by key."""
        return self._definitions.live()

    async def reread(self, test_ids: Iterable[int]) -> None:
        """Decide by the present definitions of these tests from now on."""
        await self._definitions.refresh(test_ids)

    async def unit(self, user_id: str) -> str:
        """Return the caller's own id of a user, by which units are hashed, also where Winnow's own `usr_N` is given."""
        number = _OPAQUE_USER.fullmatch(user_id)
        if number is None:
            return user_id
        named, numbered = await asyncio.gather(self._users.get(user_id), self._users.get(int(number[1])))
        user = named or numbered
        return user_id if user is None else user.external_id

    async def decide(self, reference: int | str, user_id: str, *, attributes: Attributes | None = None) -> Decision:
        """Decide for one unit; raises DomainErrors where no such test runs or is paused."""
        test = await self._definitions.find(reference)
        if test is None:
            raise DomainErrors([NotFound("No running test has this id or key: start it first.", path=("testId",))])
        return await self.decide_for(test, await self.unit(user_id), attributes=attributes)

    async def decide_for(self, test: AssigningTest, user_id: str, *, attributes: Attributes | None = None) -> Decision:
        """Decide for one unit, by the caller's own id, of a known test."""
        given = attributes or {}
        if at_once := self.at_once(test, user_id, given):
            return self._hashed(test, user_id, at_once)
        if test.model is not None and test.is_running:
            return await self._by_model(test, user_id, await self.known(test, user_id, given))
        if (test.may_differ or not test.is_running) and (exposed := await self._exposed(test, user_id)):
            return exposed
        if not test.is_running:
            return self._none(test, user_id, NoVariant.NOT_RUNNING)
        known = await self.known(test, user_id, given)
        if not test.targeting.matches(known):
            exposed = None if test.may_differ else await self._exposed(test, user_id)
            return exposed or self._none(test, user_id, NoVariant.NOT_TARGETED)
        return self.in_context(test, user_id, known)

    def in_context(self, test: AssigningTest, user_id: str, known: Attributes) -> Decision:
        """Return what the hash decides for a unit of which this is known."""
        if not test.is_contextual:
            return self._hashed(test, user_id, _by_hash(test, user_id))
        if test.model is not None:
            return self._in_parts(test, user_id, known, test.model.parts(known))
        decision = _by_hash(test, user_id)
        return self._hashed(test, user_id, decision, known=known, probabilities=test.probabilities)

    async def _by_model(self, test: AssigningTest, user_id: str, known: Attributes) -> Decision:
        """Decide by a contextual model, together with all units that wait to be looked up."""
        if not test.targeting.matches(known):
            return await self._exposed(test, user_id) or self._none(test, user_id, NoVariant.NOT_TARGETED)
        asked = _Asked(test, user_id, known)
        found = await self._asked.get(asked)
        if isinstance(found, Parts):
            return self._in_parts(test, user_id, known, found)
        return self._as_exposed(test, user_id, cast("AssignmentRow", found))

    async def _found(self, asked: list["_Asked"]) -> dict["_Asked", AssignmentRow | Parts]:
        """Return what exposed units were given, and the parts of all others."""
        exposed = await self._exposures_of([(one.test.id, one.user_id) for one in asked])
        found: dict[_Asked, AssignmentRow | Parts] = {}
        of_model: defaultdict[int, list[_Asked]] = defaultdict(list)
        for one in asked:
            if (row := exposed.get((one.test.id, one.user_id))) is not None:
                found[one] = row
            else:
                of_model[id(one.test.model)].append(one)
        for units in of_model.values():
            model = cast("ContextualModel", units[0].test.model)
            found.update(zip(units, model.parts_of_all([one.known for one in units]), strict=True))
        return found

    def _in_parts(self, test: AssigningTest, user_id: str, known: Attributes, own: Parts) -> Decision:
        decision = _by_parts(test, user_id, own)
        return self._hashed(test, user_id, decision, known=known, probabilities=own.probabilities)

    def at_once(self, test: AssigningTest, user_id: str, attributes: Attributes) -> Assignment | None:
        """Return what the hash decides, where nothing else has to be looked up; None where something has."""
        if test.may_differ or not test.is_running or test.is_contextual:
            return None
        targeting = test.targeting
        if targeting.attributes and not (targeting.attributes <= attributes.keys() and targeting.matches(attributes)):
            return None
        return _by_hash(test, user_id)

    def _hashed(
        self,
        test: AssigningTest,
        user_id: str,
        decision: Assignment,
        *,
        known: Attributes | None = None,
        probabilities: tuple[float, ...] | None = None,
    ) -> Decision:
        if decision.variant is None:
            return self._none(test, user_id, NO_VARIANT[decision.reason])
        return Decision(
            test=test,
            user_id=user_id,
            variant=test.definition.variants[decision.variant],
            probability=(probabilities or test.probabilities)[decision.variant],
            policy_version=test.policy_version,
            decided_at=self._clock.now(),
            known=known,
            probabilities=probabilities,
        )

    def _none(self, test: AssigningTest, user_id: str, reason: NoVariant) -> Decision:
        return Decision(test=test, user_id=user_id, reason=reason, decided_at=self._clock.now())

    async def _exposed(self, test: AssigningTest, user_id: str) -> Decision | None:
        row: AssignmentRow | None = await self._exposures.get((test.id, user_id))
        return None if row is None else self._as_exposed(test, user_id, row)

    def _as_exposed(self, test: AssigningTest, user_id: str, row: AssignmentRow) -> Decision:
        variant = next(variant for variant in test.definition.variants if variant.id == row.variant_id)
        return Decision(
            test=test,
            user_id=user_id,
            variant=variant,
            probability=row.probability,
            policy_version=row.policy_version,
            decided_at=row.assigned_at,
            exposed_before=True,
        )

    async def known(self, test: AssigningTest, user_id: str, given: Attributes) -> Attributes:
        """Return what is known of a unit, as far as a test asks: what is given, before what is stored of the user."""
        if test.asked_attributes <= given.keys():
            return given
        return {**attributes_of(await self._users.get(user_id)), **given}


def _by_hash(test: AssigningTest, user_id: str) -> Assignment:
    return assign(user_id, test.variant_of, namespace=test.namespace, holdout=test.holdout)


def _by_parts(test: AssigningTest, user_id: str, own: Parts) -> Assignment:
    return assign(
        user_id,
        lambda unit: own.variant_at(test.position_of(unit)),
        namespace=test.namespace,
        holdout=test.holdout,
    )


def attributes_of(user: UserRow | None) -> dict[str, object]:
    """Return what is known of a user, as targeting asks for it."""
    if user is None:
        return {}
    own = cast("dict[str, object]", user.attributes or {})
    return {**own, "segment": user.segment, "timezone": user.timezone}


type _Fetch[Key, Row] = Callable[[list[Key]], Awaitable[Mapping[Key, Row]]]


class _Gathered[Key, Row]:
    """Looks up together what is asked for at the same time: one statement for all that wait."""

    def __init__(self, fetch: _Fetch[Key, Row]) -> None:
        self._fetch = fetch
        self._waiting: dict[Key, asyncio.Future[Row | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: Key) -> Row | None:
        """Return the row of a key, None where there is none."""
        if key not in self._waiting:
            if not self._waiting:
                self._schedule()
            self._waiting[key] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._waiting[key])

    def _schedule(self) -> None:
        task = asyncio.create_task(self._run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        await asyncio.sleep(0)
        waiting, self._waiting = self._waiting, {}
        try:
            found = await self._fetch(list(waiting))
        except BaseException as error:  # noqa: BLE001  # every waiter is told, and none waits for ever
            for future in waiting.values():
                future.set_exception(error)
            return
        for key, future in waiting.items():
            future.set_result(found.get(key))

"""Pauses tests whose guardrails are breached, by confidence sequences that are valid at every look."""

import asyncio
from collections.abc import Iterator, Sequence

import structlog

from app.abtests.lifecycle import GuardrailStop, TestLifecycle
from app.abtests.results import UNPLANNED_TARGET, Guarded, Question, guardrail_checks
from app.abtests.summarising import metric_totals
from app.auth.principals import Principal
from app.errors import DomainErrors
from app.runtime.broadcast import Broadcast
from app.runtime.clock import Clock
from app.store.abtest_rows import TestDefinition, TotalsRow
from app.store.abtests import TestStore
from app.store.database import Connection, Database
from app.store.guardrails import GuardrailStore
from app.store.models.codes import Role
from app.store.notifications import TEST_TOTALS
from engine.frequentist.guardrail import GuardrailStatus

PAUSE_SECONDS = 3.0
"""Between two looks, whatever arrives meanwhile."""

log = structlog.get_logger(__name__)


class Guarding:
    """Looks at guardrails that may stop a test whenever its totals change.

    Of several processes only one looks at a time. A breach stops a test once: who starts it again has seen it.
    """

    def __init__(
        self,
        database: Database,
        *,
        tests: TestStore,
        lifecycle: TestLifecycle,
        broadcast: Broadcast,
        clock: Clock,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._database = database
        self._tests = tests
        self._guardrails = GuardrailStore()
        self._lifecycle = lifecycle
        self._broadcast = broadcast
        self._clock = clock
        self._pause_seconds = pause_seconds

    async def run(self) -> None:
        """Look for ever: at everything first, then at what changes."""
        with self._broadcast.subscribe(TEST_TOTALS) as changes:
            seen = False  # what changed before it was listened to, or while a look failed, is not known
            while True:
                try:
                    seen = await self.look()
                except Exception as error:  # noqa: BLE001  # whatever it is: a guard that gives up protects nobody
                    log.warning("guardrails_not_looked_at", error=str(error))
                    seen = False
                await asyncio.sleep(self._pause_seconds)
                if seen:
                    await anext(changes)

    async def look(self) -> bool:
        """Look at all running tests that a guardrail may stop; False where another process is looking just now."""
        async with self._database.transaction() as connection:
            if not await self._guardrails.hold(connection):
                return False
            await self._look(connection)
        return True

    async def _look(self, connection: Connection) -> None:
        guarded = await self._guardrails.guarded_ids(connection)
        if not guarded:
            return
        definitions = await self._tests.definitions(guarded, connection)
        totals = await self._tests.totals(guarded, connection)
        for test_id, definition in definitions.items():
            found = self._stops(definition, totals.get(test_id, ()))
            if found:
                await self._stop(definition, found)

    def _stops(self, definition: TestDefinition, rows: Sequence[TotalsRow]) -> list[GuardrailStop]:
        at, known = self._clock.now().isoformat(), {(one.metric, one.variant) for one in stops_of(definition)}
        return [
            GuardrailStop(metric=breach.metric.key, variant=_variant(definition, breach), reason=reason, at=at)
            for breach, reason in breaches(definition, rows)
            if (breach.metric.key, _variant(definition, breach)) not in known
        ]

    async def _stop(self, definition: TestDefinition, stops: Sequence[GuardrailStop]) -> None:
        by = Principal(0, f"guardrail {stops[0].metric}", Role.ADMIN)
        try:
            await self._lifecycle.pause(definition.test.id, stops=[*stops_of(definition), *stops], principal=by)
        except DomainErrors as refused:  # somebody else paused or ended it meanwhile
            log.info("guardrail_too_late", test=definition.test.key, reason=str(refused))
        else:
            log.warning("guardrail_stopped_test", test=definition.test.key, reasons=[stop.reason for stop in stops])


def stops_of(definition: TestDefinition) -> list[GuardrailStop]:
    """Return the pauses that guardrails caused so far."""
    return [GuardrailStop(**stop) for stop in definition.test.guardrail_stops or ()]


def breaches(definition: TestDefinition, rows: Sequence[TotalsRow]) -> Iterator[tuple[Guarded, str]]:
    """Yield the breaches of guardrails that may stop the test, each with its reason in words."""
    target = definition.test.target_sample_size or UNPLANNED_TARGET
    for metric in definition.metrics[1:]:
        if not metric.stops:
            continue
        question = Question(metric=metric, level=definition.test.confidence_level)
        for guarded in guardrail_checks(metric_totals(definition, metric, rows), question, target):
            if guarded.check.status is GuardrailStatus.BREACHED:
                yield guarded, _reason(definition, guarded)


def _variant(definition: TestDefinition, guarded: Guarded) -> str:
    return definition.variants[guarded.check.variant].key


def _reason(definition: TestDefinition, guarded: Guarded) -> str:
    check, level = guarded.check, definition.test.confidence_level
    difference = check.difference
    return (
        f"{_variant(definition, guarded)} harms {guarded.metric.key}: {difference.point:+.4g} against the control, "
        f"between {difference.low:+.4g} and {difference.high:+.4g} at {level:g} whenever looked at, and "
        f"{check.margin:.4g} would have been tolerated."
    )

"""Results of tests as they stand, and analyses saved as their history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.abtests.definitions import is_contextual
from app.abtests.lifecycle import TestLifecycle
from app.abtests.pooling import pooled_posterior
from app.abtests.results import Question, TestResults, Totals, compute_results
from app.abtests.saving import restored_results, saved_results
from app.abtests.summarising import metric_of, metric_totals
from app.abtests.totalling import TotalsAlone, totals_alone
from app.auth.auditing import Audit, actor
from app.auth.principals import Principal
from app.errors import DomainError, DomainErrors, InvalidInput, InvalidTransition, NotFound
from app.runtime.clock import Clock
from app.runtime.compute import Compute
from app.store.abtest_parts import TOTALLED
from app.store.abtest_rows import AnalysisRow, TestDefinition, TotalsRow
from app.store.abtests import TestStore
from app.store.contexts import context_counts
from app.store.database import Connection, Database
from app.store.models.codes import MetricKind, TestStatus
from engine.bayesian.results import BayesianResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a client asks of a test's results: absent, the test's own metric and level, and all segments."""

    metric_key: str | None = None
    confidence_level: float | None = None
    segment: str | None = None
    adjusted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedAnalysis:
    """One entry of a test's history."""

    id: int
    created_at: datetime
    requested_by: str | None
    hierarchical: bool
    results: TestResults


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of tests: totals, and the share that each variant should have had."""

    rows: Mapping[int, list[TotalsRow]]
    weights: Mapping[int, tuple[float, ...]]


WHOLE = Asked()


class Analyzing:
    """Computes results from totals, saves them, and ends tests with a last analysis."""

    def __init__(
        self,
        database: Database,
        *,
        tests: TestStore,
        lifecycle: TestLifecycle,
        audit: Audit,
        clock: Clock,
        compute: Compute,
    ) -> None:
        self._database = database
        self._tests = tests
        self._lifecycle = lifecycle
        self._audit = audit
        self._clock = clock
        self._compute = compute

    async def results(self, definitions: Mapping[int, TestDefinition], asked: Asked = WHOLE) -> dict[int, TestResults]:
        """Return the results of tests; where one cannot answer, raise why."""
        return {test_id: _or_raise(one) for test_id, one in (await self.attempts(definitions, asked)).items()}

    async def attempts(
        self, definitions: Mapping[int, TestDefinition], asked: Asked = WHOLE
    ) -> dict[int, TestResults | DomainError]:
        """Return the results of many tests, or why one has none, in two statements whatever their number."""
        read = await self._read(definitions, asked)
        return {test_id: self._attempt(definition, asked, read) for test_id, definition in definitions.items()}

    async def totals_alone(self, definitions: Mapping[int, TestDefinition]) -> dict[int, TotalsAlone]:
        """Return what results say of totals by tests' own metrics; what was read of the tests is enough, or is read."""
        if any(definition.own_totals is None for definition in definitions.values()):
            definitions = await self._tests.definitions(definitions, parts=TOTALLED)
        as_of = self._clock.now()
        return {test_id: totals_alone(definition, as_of=as_of) for test_id, definition in definitions.items()}

    async def segments(self, test_ids: Sequence[int]) -> dict[int, list[str]]:
        """Return the segments in which units were exposed."""
        rows = await self._tests.totals(test_ids, by_segment=True)
        return {test_id: sorted({row.segment or "" for row in rows.get(test_id, ())}) for test_id in test_ids}

    async def analyze(
        self, test_id: int, *, hierarchical: bool = False, principal: Principal, asked: Asked = WHOLE
    ) -> SavedAnalysis:
        """Compute, save and return an analysis of a test that has started.

        A hierarchical one pools the segments, which takes a worker some seconds.
        """
        definition = await self._lifecycle.definition(test_id)
        if definition.test.status is TestStatus.DRAFT:
            raise DomainErrors(
                [InvalidTransition("A draft has nothing to analyze: start the test first.", path=("id",))]
            )
        read = await self._read({test_id: definition}, asked, by_segment=hierarchical)
        posterior = await self._pooled(definition, asked, read) if hierarchical else None
        results, totals = self._computed(definition, asked, read, posterior)
        async with self._database.transaction() as connection:
            row = await self._save(connection, results, totals, hierarchical=hierarchical, principal=principal)
        return saved_analysis(definition, row)

    async def end(self, test_id: int, *, winner_id: int | None = None, principal: Principal) -> TestDefinition:
        """End a test and save its last analysis, of what counts until then; both or neither."""

        async def save(connection: Connection) -> None:
            definition = (await self._tests.definitions([test_id], connection))[test_id]
            read = await self._read({test_id: definition}, WHOLE, connection)
            results, totals = self._computed(definition, WHOLE, read)
            await self._save(connection, results, totals, hierarchical=False, principal=principal)

        return await self._lifecycle.end(test_id, within=save, winner_id=winner_id, principal=principal)

    async def _read(
        self,
        definitions: Mapping[int, TestDefinition],
        asked: Asked,
        connection: Connection | None = None,
        *,
        by_segment: bool = False,
    ) -> Read:
        _check(asked)
        divided = by_segment or asked.segment is not None
        rows = await self._tests.totals(list(definitions), connection, by_segment=divided)
        return Read(rows, await self._expected_weights(definitions, connection))

    def _attempt(self, definition: TestDefinition, asked: Asked, read: Read) -> TestResults | DomainError:
        try:
            return self._computed(definition, asked, read)[0]
        except DomainError as refused:
            return refused

    def _computed(
        self, definition: TestDefinition, asked: Asked, read: Read, posterior: BayesianResult | None = None
    ) -> tuple[TestResults, Totals]:
        question, test_id = _question(definition, asked), definition.test.id
        totals = _totals(definition, question, read.rows.get(test_id, []), read.weights[test_id])
        as_of = self._clock.now()
        return compute_results(definition, question, totals, as_of=as_of, posterior=posterior), totals

    async def _pooled(self, definition: TestDefinition, asked: Asked, read: Read) -> BayesianResult:
        level = _question(definition, asked).level
        rows = read.rows.get(definition.test.id, [])
        return await pooled_posterior(self._compute, definition, rows, level=level)

    async def _expected_weights(
        self, definitions: Mapping[int, TestDefinition], connection: Connection | None
    ) -> dict[int, tuple[float, ...]]:
        """Return what each variant should have had: the sum over units of the probability it had."""
        moved = [
            test_id for test_id, one in definitions.items() if one.allocation and one.allocation.policy_version > 1
        ]
        contextual = [test_id for test_id in moved if is_contextual(definitions[test_id])]
        counts = await self._tests.policy_counts(moved, connection) if moved else {}
        counts |= await context_counts(connection or self._database, contextual) if contextual else {}
        return {
            test_id: _expected(counts[test_id]) if test_id in counts else definition.probabilities
            for test_id, definition in definitions.items()
        }

    async def _save(
        self,
        connection: Connection,
        results: TestResults,
        totals: Totals,
        *,
        hierarchical: bool,
        principal: Principal,
    ) -> AnalysisRow:
        test_id = results.definition.test.id
        row = await self._tests.insert_analysis(
            connection,
            test_id,
            results=saved_results(results, totals, pooled=hierarchical),
            requested_by=actor(principal),
            hierarchical=hierarchical,
        )
        after = {"analysis": row.id, "decision": results.verdict.decision}
        await self._audit.record(connection, principal, action="test.analyze", subject=("test", test_id), after=after)
        return row


def _or_raise(result: TestResults | DomainError) -> TestResults:
    if isinstance(result, DomainError):
        raise result
    return result


def _check(asked: Asked) -> None:
    if asked.confidence_level is not None and not 0 < asked.confidence_level < 1:
        message = "A confidence level is a fraction between 0 and 1: 0.95 for 95 percent."
        raise InvalidInput(message, path=("confidenceLevel",))


def _question(definition: TestDefinition, asked: Asked) -> Question:
    metric = metric_of(definition, asked.metric_key)
    if asked.adjusted and metric.kind is MetricKind.RATIO:
        raise InvalidInput("A RATIO cannot be adjusted: leave `adjusted` out for it.", path=("adjusted",))
    return Question(
        metric=metric,
        level=asked.confidence_level or definition.test.confidence_level,
        segment=asked.segment,
        adjusted=asked.adjusted,
    )


def _totals(
    definition: TestDefinition, question: Question, rows: Sequence[TotalsRow], weights: tuple[float, ...]
) -> Totals:
    if question.segment is not None and rows and question.segment not in {row.segment for row in rows}:
        raise NotFound(f"No exposed unit is of segment {question.segment!r}: ask for one that is.", path=("segment",))
    guardrails = [metric for metric in definition.metrics[1:] if metric.id != question.metric.id]
    return Totals(
        asked=metric_totals(definition, question.metric, rows, segment=question.segment),
        guardrails=tuple(metric_totals(definition, metric, rows, segment=question.segment) for metric in guardrails),
        expected_weights=weights,
    )


def _expected(counts: Sequence[tuple[list[float], int]]) -> tuple[float, ...]:
    return tuple(
        sum(share * units for share, units in zip(column, (units for _, units in counts), strict=True))
        for column in zip(*(probabilities for probabilities, _ in counts), strict=True)
    )


def saved_analysis(definition: TestDefinition, row: AnalysisRow) -> SavedAnalysis:
    """Return a saved analysis with its results restored."""
    return SavedAnalysis(
        id=row.id,
        created_at=row.created_at,
        requested_by=row.requested_by,
        hierarchical=row.hierarchical,
        results=restored_results(definition, row.results),
    )

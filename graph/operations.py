"""From an operation's text to its answer: parsed and validated once, checked against the limits, executed."""

from collections.abc import Mapping, Sequence
from inspect import isawaitable
from typing import Any, cast

import orjson
from graphql import ExecutionResult, GraphQLError, OperationType
from graphql.execution import Executor

from app.errors import DomainError, DomainErrors
from app.runtime.settings import Settings
from app.runtime.tracing import is_tracing, span
from graph.answers import WRITING, Answer, Request
from graph.completion.plans import Plan
from graph.context import Context
from graph.documents import Documents, Prepared
from graph.errors import format_error, problems_of, refusal
from graph.freshness import may_be_stale
from graph.limits import check_cost, cost_of
from graph.live.sources import Source, find_source
from graph.schema import GraphSchema
from graph.selection import Asked
from graph.trees import Grown, grow_roots

__all__ = ["Answer", "NotByGet", "Operations", "Request"]


class Operations:
    """Executes operations on the schema, within the limits."""

    def __init__(self, schema: GraphSchema, settings: Settings) -> None:
        self._schema = schema.core
        self._max_cost = settings.max_query_complexity
        self._documents = Documents(schema.core, settings)

    async def execute(self, request: Request, context: Context, *, only_queries: bool = False) -> Answer:
        """Return the answer to an operation; what is wrong with it is in the answer."""
        prepared = self._admit(request)
        if isinstance(prepared, Answer):
            return prepared
        if only_queries and prepared.operation.operation is not OperationType.QUERY:
            raise NotByGet
        if context.reading is None or not may_be_stale(self._schema, prepared):
            return await self._run(prepared, request, context)
        with context.reading:
            return await self._run(prepared, request, context)

    def is_subscription(self, request: Request) -> bool:
        """Tell whether a request that can be executed subscribes."""
        try:
            prepared = self._documents.read(request).operation(request.operation_name)
        except DomainError:
            return False
        return prepared.operation.operation is OperationType.SUBSCRIPTION

    async def source(self, request: Request, context: Context) -> "Source | Answer":
        """Return what a subscription follows; the refusal where it may not, or cannot, be followed."""
        prepared = self._admit(request)
        if isinstance(prepared, Answer):
            return prepared
        try:
            executor = self._build(prepared, request, context)
            return executor if isinstance(executor, Answer) else await find_source(executor, context)
        except (DomainError, DomainErrors) as error:
            return _refused([refusal(problem) for problem in problems_of(error)])

    async def execute_event(self, request: Request, context: Context) -> Answer:
        """Return a subscription's answer as things stand."""
        prepared = self._documents.read(request).operation(request.operation_name)
        return await self._run(prepared, request, context)

    def _admit(self, request: Request) -> "Prepared | Answer":
        """Return the operation that a request asks for, within the limits; the refusal where there is none."""
        try:
            document = self._documents.read(request)
            if document.errors:
                return _refused([format_error(error) for error in document.errors])
            prepared = document.operation(request.operation_name)
            self._check(prepared, request.variables)
        except DomainError as error:
            return _refused([refusal(error)])
        return prepared

    async def _run(self, prepared: Prepared, request: Request, context: Context) -> Answer:
        if not is_tracing():
            return await self._answer(prepared, request, context)
        kind, name = prepared.operation.operation.value, request.operation_name or _name(prepared)
        with span(
            f"graphql {kind} {name}".strip(), graphql__operation__type=kind, graphql__operation__name=name
        ) as told:
            answer = await self._answer(prepared, request, context)
            told.set_attribute("winnow.errors", len(answer.errors))
            return answer

    async def _answer(self, prepared: Prepared, request: Request, context: Context) -> Answer:
        planned = _planned(prepared, request)
        if planned is None:
            return await self._execute(prepared, request, context)
        plan, asked = planned
        values = await grow_roots(context, asked)
        return _completed(plan, values) or await self._execute(prepared, request, context, Grown(values))

    async def _execute(
        self, prepared: Prepared, request: Request, context: Context, root: Grown | None = None
    ) -> Answer:
        """Execute by graphql-core; with a root that is grown, nothing is loaded again."""
        executor = self._build(prepared, request, context, root)
        if isinstance(executor, Answer):
            return executor
        result = executor.execute_operation()
        return _executed(await result if isawaitable(result) else result)

    def _build(
        self, prepared: Prepared, request: Request, context: Context, root: Grown | None = None
    ) -> "Executor[None] | Answer":
        executor: list[GraphQLError] | Executor[None] = _BUILD(
            self._schema,
            prepared.document,
            root_value=root,
            context_value=context,
            raw_variable_values=dict(request.variables),
            operation_name=request.operation_name,
        )
        return _refused([format_error(error) for error in executor]) if isinstance(executor, list) else executor

    def _check(self, prepared: Prepared, variables: Mapping[str, Any]) -> None:
        if prepared.cost > self._max_cost:
            cost = cost_of(self._schema, prepared.document, prepared.operation, variables=variables)
            check_cost(cost, self._max_cost)


_BUILD = cast("Any", Executor).build  # its own type is partly unknown


class NotByGet(Exception):
    """A mutation was sent by GET."""


def _name(prepared: Prepared) -> str:
    name = prepared.operation.name
    return "" if name is None else name.value


def _planned(prepared: Prepared, request: Request) -> tuple[Plan, Sequence[Asked]] | None:
    """Return the plan of an operation and what is asked by it; None where graphql-core is to execute it."""
    if prepared.plans is None:
        return None
    try:
        return prepared.plans.ask(request.variables)
    except Exception:  # noqa: BLE001  # nothing was done yet: graphql-core comes upon the same, and says where
        return None


def _completed(plan: Plan, values: Mapping[str, Any]) -> Answer | None:
    """Return the answer of a plan; None where something is unusual about its values, for graphql-core to judge."""
    try:
        data = plan.complete(values)
        return Answer(executed=True, data=data, text=orjson.dumps({"data": data}, option=WRITING))
    except Exception:  # noqa: BLE001  # the same values are completed again, with every error in its place
        return None


def _refused(errors: Sequence[Mapping[str, Any]]) -> Answer:
    return Answer(executed=False, data=None, errors=errors)


def _executed(result: Any) -> Answer:
    if not isinstance(result, ExecutionResult):
        raise TypeError(f"An operation was answered by {type(result).__name__}: incremental delivery is not offered.")
    return Answer(executed=True, data=result.data, errors=[format_error(error) for error in result.errors or ()])

"""From an operation's text to its answer: parsed and validated once, checked against the limits, executed."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, cast

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
    validate,
)
from graphql.execution import Executor

from app.errors import DomainError, DomainErrors, InvalidInput
from app.runtime.settings import Settings
from graph.context import Context
from graph.errors import format_error, problems_of, refusal
from graph.limits import check_cost, cost_of, limit_rules, too_large
from graph.live.sources import Source, find_source
from graph.schema import GraphSchema

REMEMBERED_DOCUMENTS = 500
REMEMBERED_CHARACTERS = 20_000
"""Longer documents are parsed anew each time, so that what is remembered stays small."""

TOKENS_COUNTED = "tokens. Parsing aborted"
"""What graphql-core says of a document with too many tokens, as a syntax error like any other."""

NESTED_TOO_DEEPLY = "The document's fragments are nested too deeply: ask for less at once."


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends, by whatever way."""

    query: str
    variables: Mapping[str, Any]
    operation_name: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets: `data` where it was executed, and errors as clients may see them."""

    executed: bool
    data: Mapping[str, Any] | None
    errors: Sequence[Mapping[str, Any]]

    def body(self) -> dict[str, Any]:
        """Return the response of the specification."""
        body: dict[str, Any] = {"data": self.data} if self.executed else {}
        if self.errors:
            body["errors"] = self.errors
        return body


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that can be executed, or why it cannot. `costs` bounds the cost of each operation, by name."""

    document: DocumentNode | None
    errors: Sequence[GraphQLError]
    operations: Mapping[str | None, OperationDefinitionNode]
    costs: Mapping[str | None, int]


@dataclass(frozen=True, slots=True)
class Admitted:
    """A document that may be executed, and the operation of it that was asked for."""

    document: DocumentNode
    operation: OperationDefinitionNode


class Operations:
    """Executes operations on the schema, within the limits."""

    def __init__(self, schema: GraphSchema, settings: Settings) -> None:
        self._schema = schema.core
        self._max_tokens = settings.max_query_tokens
        self._max_cost = settings.max_query_complexity
        limits = limit_rules(max_depth=settings.max_query_depth, max_aliases=settings.max_query_aliases)
        self._rules = (*specified_rules, *limits)
        self._prepared: OrderedDict[str, Prepared] = OrderedDict()

    async def execute(self, request: Request, context: Context, *, only_queries: bool = False) -> Answer:
        """Return the answer to an operation; what is wrong with it is in the answer."""
        admitted = self._admit(request)
        if isinstance(admitted, Answer):
            return admitted
        if only_queries and admitted.operation.operation is not OperationType.QUERY:
            raise NotByGet
        return await self._run(admitted.document, request, context)

    def is_subscription(self, request: Request) -> bool:
        """Tell whether a request that can be executed subscribes."""
        prepared = self._recall(request.query)
        try:
            return _chosen(prepared, request.operation_name).operation is OperationType.SUBSCRIPTION
        except DomainError:
            return False

    async def source(self, request: Request, context: Context) -> "Source | Answer":
        """Return what a subscription follows; the refusal where it may not, or cannot, be followed."""
        admitted = self._admit(request)
        if isinstance(admitted, Answer):
            return admitted
        try:
            executor = self._build(admitted.document, request, context)
            return executor if isinstance(executor, Answer) else await find_source(executor, context)
        except (DomainError, DomainErrors) as error:
            return _refused([refusal(problem) for problem in problems_of(error)])

    async def execute_event(self, request: Request, context: Context) -> Answer:
        """Return a subscription's answer as things stand."""
        prepared = self._recall(request.query)
        return await self._run(cast("DocumentNode", prepared.document), request, context)

    def _admit(self, request: Request) -> "Admitted | Answer":
        """Return the operation that a request asks for, within the limits; the refusal where there is none."""
        prepared = self._recall(request.query)
        if prepared.document is None or prepared.errors:
            return _refused([format_error(error) for error in prepared.errors])
        try:
            operation = _chosen(prepared, request.operation_name)
            self._check(prepared, operation, request.variables)
        except DomainError as error:
            return _refused([refusal(error)])
        return Admitted(prepared.document, operation)

    def _build(self, document: DocumentNode, request: Request, context: Context) -> "Executor[None] | Answer":
        executor: list[GraphQLError] | Executor[None] = _BUILD(
            self._schema,
            document,
            context_value=context,
            raw_variable_values=dict(request.variables),
            operation_name=request.operation_name,
        )
        return _refused([format_error(error) for error in executor]) if isinstance(executor, list) else executor

    async def _run(self, document: DocumentNode, request: Request, context: Context) -> Answer:
        executor = self._build(document, request, context)
        if isinstance(executor, Answer):
            return executor
        result = executor.execute_operation()
        return _executed(await result if isawaitable(result) else result)

    def _check(self, prepared: Prepared, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> None:
        bound = prepared.costs[_name(operation)]
        if bound > self._max_cost and prepared.document is not None:
            check_cost(cost_of(self._schema, prepared.document, operation, variables=variables), self._max_cost)

    def _recall(self, query: str) -> Prepared:
        prepared = self._prepared.get(query)
        if prepared is not None:
            self._prepared.move_to_end(query)
            return prepared
        prepared = self._prepare(query)
        if len(query) <= REMEMBERED_CHARACTERS:
            self._remember(query, prepared)
        return prepared

    def _remember(self, query: str, prepared: Prepared) -> None:
        self._prepared[query] = prepared
        if len(self._prepared) > REMEMBERED_DOCUMENTS:
            self._prepared.popitem(last=False)

    def _prepare(self, query: str) -> Prepared:
        try:
            document = parse(query, max_tokens=self._max_tokens)
            errors = validate(self._schema, document, self._rules)
            return self._measured(document) if not errors else Prepared(document, errors, {}, {})
        except GraphQLError as error:
            past_limit = TOKENS_COUNTED in error.message
            return Prepared(None, [too_large(error.message) if past_limit else error], {}, {})
        except RecursionError:
            return Prepared(None, [too_large(NESTED_TOO_DEEPLY)], {}, {})

    def _measured(self, document: DocumentNode) -> Prepared:
        found = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
        costs = {_name(one): cost_of(self._schema, document, one) for one in found}
        return Prepared(document, (), {_name(one): one for one in found}, costs)


_BUILD = cast("Any", Executor).build  # its own type is partly unknown


class NotByGet(Exception):
    """A mutation was sent by GET."""


def _name(operation: OperationDefinitionNode) -> str | None:
    return operation.name.value if operation.name else None


def _chosen(prepared: Prepared, name: str | None) -> OperationDefinitionNode:
    if name is None and len(prepared.operations) == 1:
        return next(iter(prepared.operations.values()))
    operation = prepared.operations.get(name)
    if operation is None:
        names = ", ".join(str(one) for one in prepared.operations)
        raise InvalidInput(
            f"Name one of the document's operations ({names}) in `operationName`.", path=("operationName",)
        )
    return operation


def _refused(errors: Sequence[Mapping[str, Any]]) -> Answer:
    return Answer(executed=False, data=None, errors=errors)


def _executed(result: Any) -> Answer:
    if not isinstance(result, ExecutionResult):
        raise TypeError(f"An operation was answered by {type(result).__name__}: incremental delivery is not offered.")
    return Answer(executed=True, data=result.data, errors=[format_error(error) for error in result.errors or ()])

"""How fresh an answer is, and which operations may be answered by a read replica."""

from collections.abc import Iterator
from datetime import datetime

import strawberry
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationType,
    SelectionSetNode,
)

from app.auth.principals import Permission
from app.operations.staleness import Freshness as Row
from app.store.reading import Source
from graph.context import Context
from graph.documents import Prepared
from graph.fields import answers, reading, related
from graph.selection import LOADED, Loaded

strawberry.enum(Source, name="ReadSource", description="Which database answers.")


@strawberry.type(
    description="How fresh an operation's answer is. Without a read replica it is always the primary's, of now."
)
class Freshness:
    """The row is an `app.operations.staleness.Freshness`."""

    source: Source = reading("Who answers the operation. Mutations and subscriptions are always the primary's.")
    as_of: datetime = reading("Everything stored until then is in the answer, UTC; some of what came later may be.")
    lag_seconds: float = reading("How old the answer is at most, in seconds: the time since `asOf`. 0 of the primary.")


@strawberry.type
class Query:
    """What can be asked about the answer itself."""

    freshness: Freshness = related("How fresh this answer is.", permission=Permission.READ_CATALOGUE)


@answers(Query, "freshness")
async def freshness(context: Context) -> Row:
    """Tell how fresh the operation's answer is."""
    return context.services.staleness.freshness(context.reading)


def may_be_stale(schema: GraphQLSchema, prepared: Prepared) -> bool:
    """Tell whether an operation's answer may be a little old: a query of which no field has to be current."""
    query = schema.query_type
    if query is None or prepared.operation.operation is not OperationType.QUERY:
        return False
    names = _root_fields(prepared, prepared.operation.selection_set)
    known = (query.fields[name] for name in names if name in query.fields)
    loaded = (field.extensions.get(LOADED) for field in known)
    return not any(isinstance(one, Loaded) and one.relation.current for one in loaded)


def _root_fields(prepared: Prepared, selected: SelectionSetNode) -> Iterator[str]:
    for node in selected.selections:
        if isinstance(node, FieldNode):
            yield node.name.value
        elif isinstance(node, InlineFragmentNode):
            yield from _root_fields(prepared, node.selection_set)
        elif isinstance(node, FragmentSpreadNode):
            yield from _root_fields(prepared, _fragment(prepared, node.name.value))


def _fragment(prepared: Prepared, name: str) -> SelectionSetNode:
    fragments = (one for one in prepared.document.definitions if isinstance(one, FragmentDefinitionNode))
    return next(one.selection_set for one in fragments if one.name.value == name)

"""What a subscription follows: the announcements that may change its answer, and how often it may be told."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import strawberry
from graphql import GraphQLObjectType, get_argument_values
from graphql.execution.collect_fields import collect_fields

from app.errors import InvalidInput
from graph.context import Context
from graph.selection import LOADED, Loaded

MOST_PER_SECOND = 20.0

MaxPerSecond = Annotated[
    float,
    strawberry.argument(
        description="Most answers a second, above 0, at most 20; changes in between are merged.",
        graphql_type=float | None,
    ),
]


@dataclass(frozen=True, slots=True)
class Source:
    """Topics of announcements, the one id of each that concerns the subscription, and the pause between answers."""

    topics: Sequence[str]
    id: str
    pause_seconds: float = 0.0
    finished: Callable[[], Awaitable[bool]] | None = None
    """Says, before each answer, whether it will be the last."""


type Find = Callable[[Context, Mapping[str, Any]], Awaitable[Source]]
"""Returns the source of a subscription field with these arguments; raises DomainError where there is none."""

SOURCES: dict[str, Find] = {}
"""By the GraphQL name of the subscription field."""


async def find_source(executor: Any, context: Context) -> Source:
    """Return what the one field of a subscription follows; `executor` is graphql-core's, built for the operation."""
    schema, values = executor.schema, executor.variable_values
    root: GraphQLObjectType = schema.subscription_type
    collected = collect_fields(schema, executor.fragments, values, root, executor.operation)
    details = next(iter(collected.grouped_field_set.values()))[0]
    field = root.fields[details.node.name.value]
    loaded: Loaded = field.extensions[LOADED]
    if loaded.relation.permission is not None:
        context.principal.require(loaded.relation.permission)
    return await SOURCES[details.node.name.value](context, get_argument_values(field, details.node, values))


def follows(name: str) -> Callable[[Find], Find]:
    """Register the source of a subscription field."""

    def register(find: Find) -> Find:
        SOURCES[name] = find
        return find

    return register


def pause_of(arguments: Mapping[str, Any]) -> float:
    """Return the seconds between two answers that `maxPerSecond` asks for."""
    most = arguments.get("maxPerSecond")
    rate = 1.0 if most is None else most
    if not 0 < rate <= MOST_PER_SECOND:
        message = f"`maxPerSecond` is above 0 and at most {MOST_PER_SECOND:g}, not {rate}: ask for less."
        raise InvalidInput(message, path=("maxPerSecond",))
    return 1.0 / rate

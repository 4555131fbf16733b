"""The schema: every domain's part of it, and how its fields are resolved."""

from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, cast

import strawberry
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    is_introspection_type,
    is_object_type,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField

from graph import freshness
from graph.abtests import adaptive, course, user_assignments
from graph.abtests import mutations as test_mutations
from graph.abtests import queries as test_queries
from graph.abtests import subscriptions as test_subscriptions
from graph.campaigns import currencies
from graph.campaigns import mutations as campaign_mutations
from graph.campaigns import queries as campaign_queries
from graph.campaigns import subscriptions as campaign_subscriptions
from graph.events import mutations as event_mutations
from graph.fields import PARTS, READ, RELATION, WANTED, Read, Relation
from graph.jobs import mutations as job_mutations
from graph.jobs import queries as job_queries
from graph.jobs import subscriptions as job_subscriptions
from graph.optimizer import loaders as optimizer_loaders
from graph.optimizer import mutations as optimizer_mutations
from graph.optimizer import queries as optimizer_queries
from graph.scalars import scalar_map
from graph.selection import LOADED, READER, Loaded, asked_of, named_type
from graph.trees import Branch, Grown, grow

DEFINITION = "strawberry-definition"
EXTENSIONS = (course, currencies, user_assignments, optimizer_loaders)
"""Imported for what they add to other domains' types."""


@strawberry.type(description="What can be asked.")
class Query(campaign_queries.Query, test_queries.Query, optimizer_queries.Query, job_queries.Query, freshness.Query):
    """Every domain's queries."""


@strawberry.type(description="What can be changed.")
class Mutation(
    campaign_mutations.Mutation,
    test_mutations.Mutation,
    adaptive.Mutation,
    optimizer_mutations.Mutation,
    event_mutations.Mutation,
    job_mutations.Mutation,
):
    """Every domain's mutations."""


@strawberry.type(description="What can be followed: the present state first, then each change.")
class Subscription(
    campaign_subscriptions.Subscription, test_subscriptions.Subscription, job_subscriptions.Subscription
):
    """Every domain's subscriptions."""


class GraphSchema(strawberry.Schema):
    """Strawberry's schema, its fields resolved from rows and ready trees."""

    @property
    def core(self) -> GraphQLSchema:
        """Return graphql-core's schema."""
        return self._schema

    def link(self) -> None:
        """Give each declared field its resolver. Raises TypeError where a declaration cannot work."""
        types = [type_ for type_ in self._schema.type_map.values() if is_object_type(type_)]
        declared = [type_ for type_ in types if not is_introspection_type(type_)]
        branching = {type_.name for type_ in declared if any(RELATION in _metadata(f) for f in type_.fields.values())}
        for type_ in declared:
            for name, field in type_.fields.items():
                self._link_field(field, f"{type_.name}.{name}", parent=type_, branching=branching)

    def _link_field(self, field: GraphQLField, path: str, *, parent: GraphQLObjectType, branching: set[str]) -> None:
        target = named_type(field)
        below = cast("GraphQLObjectType", target) if target.name in branching else None
        metadata = _metadata(field)
        if RELATION in metadata:
            self._link_relation(field, path, metadata[RELATION], parent=parent, below=below)
        elif below is None:
            read = field.extensions[READER] = _read(field)
            field.resolve = _reader(read, in_branch=parent.name in branching)
        else:
            raise TypeError(f"{path} leads to {below.name}, whose fields are loaded: declare it as related.")

    def _link_relation(
        self,
        field: GraphQLField,
        path: str,
        relation: Relation,
        *,
        parent: GraphQLObjectType,
        below: GraphQLObjectType | None,
    ) -> None:
        if relation.load is None:
            raise TypeError(f"{path} has no loader.")
        arguments = _definition(field).arguments
        names = {self.config.name_converter.from_argument(one): one.python_name for one in arguments}
        convert = partial(
            _converted,
            arguments=arguments,
            scalar_registry=self.schema_converter.scalar_registry,
            config=self.config,
        )
        field.extensions[LOADED] = Loaded(
            relation, convert, below, names, looks_ahead=relation.takes(WANTED), reads_along=relation.takes(PARTS)
        )
        field.resolve = _answer if parent in self._roots() else _ready

    def _roots(self) -> tuple[GraphQLObjectType | None, ...]:
        return (self._schema.query_type, self._schema.mutation_type, self._schema.subscription_type)


def build_schema() -> GraphSchema:
    """Return the schema, ready to be executed."""
    config = StrawberryConfig(scalar_map=scalar_map())
    schema = GraphSchema(query=Query, mutation=Mutation, subscription=Subscription, config=config)
    schema.link()
    return schema


def export_schema() -> str:
    """Return the schema in GraphQL's own language."""
    return build_schema().as_str() + "\n"


def _answer(source: object, info: GraphQLResolveInfo[Any], **arguments: Any) -> object:
    if isinstance(source, Grown):
        return source.values[str(info.path.key)]
    return _load(info, arguments)


async def _load(info: GraphQLResolveInfo[Any], arguments: dict[str, Any]) -> object:
    asked = asked_of(info, arguments)
    root = Branch(None)
    await grow(info.context, [root], [asked])
    return root.ready[asked.key]


def _ready(source: Branch, info: GraphQLResolveInfo[Any], **_arguments: Any) -> object:
    return source.ready[info.path.key]  # pyright: ignore[reportArgumentType]  # a field's key is its response name


def _read(field: GraphQLField) -> Read:
    definition = _definition(field)
    return definition.metadata.get(READ) or attrgetter(definition.python_name)


def _reader(read: Read, *, in_branch: bool) -> Callable[..., object]:
    def from_branch(source: object, _info: object) -> object:
        return read(source.row if type(source) is Branch else source)

    def from_row(source: object, _info: object) -> object:
        return read(source)

    return from_branch if in_branch else from_row


def _converted(given: dict[str, Any], **how: Any) -> dict[str, Any]:
    """Convert a loader's arguments; an explicit null stands for the default, as leaving it out does."""
    return {name: value for name, value in convert_arguments(given, **how).items() if value is not None}


def _metadata(field: GraphQLField) -> Mapping[Any, Any]:
    definition = field.extensions.get(DEFINITION)
    return definition.metadata if isinstance(definition, StrawberryField) else {}


def _definition(field: GraphQLField) -> StrawberryField:
    return field.extensions[DEFINITION]

"""How much one operation may ask for: depth, aliases and digits by rules of validation, and its cost in fields.

The rules are made once, so that a document that was validated need not be validated again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    is_object_type,
)
from graphql.validation.rules import overlapping_fields_can_be_merged as merging

from app.errors import ErrorCode, TooLarge
from graph.connections import MAX_PAGE
from graph.introspection import ROOTS, IntrospectionCosts
from graph.selection import LOADED, named_type

MAX_CHARACTERS = 200_000
"""Of a document: with 5,000 tokens, 40 each. Telling where an error stands takes longer the longer the text is."""
MAX_DIGITS = 400
"""Of a number; the largest that a Float holds has 309."""
GAVE_UP = "Validation aborted."
"""What graphql-core says of a document whose check would go on for too long, or too deep."""

merging.MAX_COMPLEXITY_BUDGET = 50_000
"""Comparisons of fields under one name, as many as an operation has fields at most. graphql-core's own allowance is ten
times as much, and takes the time of hundreds of requests."""

type Rule = type[ASTValidationRule]


def limit_rules(*, max_depth: int, max_aliases: int) -> tuple[Rule, ...]:
    """Return the rules that keep operations below these limits."""

    class DepthRule(ASTValidationRule):
        """Refuses operations nested more deeply than `max_depth`; introspection has graphql-core's own limit."""

        def enter_document(self, node: DocumentNode, *_args: Any) -> None:
            """Measure each operation."""
            fragments = {one.name.value: one for one in node.definitions if isinstance(one, FragmentDefinitionNode)}
            for operation in node.definitions:
                if isinstance(operation, OperationDefinitionNode):
                    depth = _Depths(fragments).of(operation.selection_set)
                    if depth > max_depth:
                        message = f"The operation is nested {depth} deep, at most {max_depth} is allowed: ask for less."
                        self.report_error(too_large(message, operation))

    class AliasRule(ASTValidationRule):
        """Refuses documents with more than `max_aliases` aliases."""

        def enter_document(self, node: DocumentNode, *_args: Any) -> None:
            """Start counting."""
            self._aliases = 0

        def enter_field(self, node: FieldNode, *_args: Any) -> None:
            """Count a field's alias."""
            if node.alias is None:
                return
            self._aliases += 1
            if self._aliases == max_aliases + 1:
                message = f"The document has more than {max_aliases} aliases: send several operations."
                self.report_error(too_large(message, node))

    return (DepthRule, AliasRule, DigitsRule)


class DigitsRule(ASTValidationRule):
    """Refuses numbers of more digits than any type takes; Python itself would, of thousands, as an unforeseen error."""

    def enter_int_value(self, node: IntValueNode, *_args: Any) -> None:
        """Measure a whole number."""
        self._measure(node)

    def enter_float_value(self, node: FloatValueNode, *_args: Any) -> None:
        """Measure a number."""
        self._measure(node)

    def _measure(self, node: IntValueNode | FloatValueNode) -> None:
        if len(node.value) > MAX_DIGITS:
            self.report_error(too_large(f"A number has more than {MAX_DIGITS} digits: send it as a string.", node))


def check_length(text: str) -> None:
    """Raise TooLarge where a document is longer than any that could be executed."""
    if len(text) > MAX_CHARACTERS:
        raise TooLarge(
            f"The document has {len(text):,} characters, at most {MAX_CHARACTERS:,} are allowed: "
            "send values as variables, or several operations."
        )


def limits_first(errors: Sequence[GraphQLError]) -> Sequence[GraphQLError]:
    """Return what is past a limit alone, where anything is: what else was found may come of it."""
    past = [error for error in errors if (error.extensions or {}).get("code") == ErrorCode.TOO_LARGE.value]
    if not past and any(error.message == GAVE_UP for error in errors):
        return [too_large("The document takes too long to check: send several operations, with less in each.")]
    return past or errors


def check_cost(cost: int, limit: int) -> None:
    """Raise TooLarge where an operation costs more than the limit."""
    if cost > limit:
        raise TooLarge(
            f"The operation may come to {cost:,} fields, at most {limit:,} are allowed: ask for fewer fields, "
            "or a smaller `first`."
        )


def cost_of(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    *,
    variables: Mapping[str, Any] | None = None,
) -> int:
    """Return how many fields an operation may come to.

    A list counts as often as its `first`, else as its declared size. Without `variables` a `first` that is a variable
    counts as the largest page: an upper bound that holds whatever they are.
    """
    root = schema.get_root_type(operation.operation)
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    return _Costs(schema, fragments, _defaults(operation, variables)).of(operation.selection_set, root)


@dataclass(slots=True)
class _Depths:
    fragments: Mapping[str, FragmentDefinitionNode]
    known: dict[str, int] = field(default_factory=dict[str, int])

    def of(self, selections: SelectionSetNode | None) -> int:
        return 0 if selections is None else max((self._of_one(one) for one in selections.selections), default=0)

    def _of_one(self, selection: Any) -> int:
        if isinstance(selection, FragmentSpreadNode):
            return self._of_fragment(selection.name.value)
        if not isinstance(selection, FieldNode):
            return self.of(selection.selection_set)
        return 0 if selection.name.value.startswith("__") else 1 + self.of(selection.selection_set)

    def _of_fragment(self, name: str) -> int:
        if name not in self.known:
            self.known[name] = 0  # a cycle, or an unknown name, is another rule's to report
            fragment = self.fragments.get(name)
            self.known[name] = 0 if fragment is None else self.of(fragment.selection_set)
        return self.known[name]


@dataclass(slots=True)
class _Costs:
    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any] | None
    known: dict[str, int] = field(default_factory=dict[str, int])
    _introspection: IntrospectionCosts = field(init=False)

    def __post_init__(self) -> None:
        self._introspection = IntrospectionCosts(self.schema, self.fragments)

    def of(self, selections: SelectionSetNode | None, parent: GraphQLNamedType | None) -> int:
        if selections is None or not is_object_type(parent):
            return 0
        return sum(self._of_one(one, parent) for one in selections.selections)

    def _of_one(self, selection: Any, parent: GraphQLObjectType) -> int:
        if isinstance(selection, FragmentSpreadNode):
            return self._of_fragment(selection.name.value, parent)
        return (
            self._of_field(selection, parent)
            if isinstance(selection, FieldNode)
            else self.of(selection.selection_set, parent)
        )

    def _of_field(self, node: FieldNode, parent: GraphQLObjectType) -> int:
        name = node.name.value
        if name in ROOTS:
            return self._introspection.of(node)
        found = None if name.startswith("__") else self.schema.get_field(parent, name)
        if found is None:
            return 1
        return 1 + self._objects(node, found) * self.of(node.selection_set, named_type(found))

    def _of_fragment(self, name: str, parent: GraphQLObjectType) -> int:
        if name not in self.known:
            self.known[name] = self.of(self.fragments[name].selection_set, parent)
        return self.known[name]

    def _objects(self, node: FieldNode, found: GraphQLField) -> int:
        loaded = found.extensions.get(LOADED)
        first = found.args.get("first")
        if first is None:
            return 1 if loaded is None else loaded.relation.size
        given = next((one.value for one in node.arguments or () if one.name.value == "first"), None)
        return max(1, min(self._number(given, default=first.default_value), MAX_PAGE))

    def _number(self, given: Any, *, default: int) -> int:
        if isinstance(given, IntValueNode):
            return int(given.value)
        if not isinstance(given, VariableNode):
            return default
        value = MAX_PAGE if self.variables is None else self.variables.get(given.name.value, default)
        return value if isinstance(value, int) else default


def _defaults(operation: OperationDefinitionNode, variables: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if variables is None:
        return None
    declared = operation.variable_definitions or ()
    defaults = {
        one.variable.name.value: int(one.default_value.value)
        for one in declared
        if isinstance(one.default_value, IntValueNode) and len(one.default_value.value) < MAX_DIGITS
    }
    return {**defaults, **variables}


def too_large(message: str, node: Any = None) -> GraphQLError:
    """Return the error of a document past a limit."""
    return GraphQLError(message, node, extensions={"code": ErrorCode.TOO_LARGE.value})

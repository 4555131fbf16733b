"""Plans: what an operation loads and how its answer is completed, made once and kept with its document.

Which fields an operation asks for depends on the variables in @skip and @include: there is a plan for each of their
values that comes. Arguments without variables are coerced when the plan is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from graphql import (
    DirectiveNode,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    TypeNameMetaFieldDef,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution.values import get_variable_values

from graph.completion.writing import Complete, NotCompiled, compile_completion
from graph.fields import WANTED
from graph.selection import LOADED, Asked, Loaded, Selected, Selections, details_of, loader_arguments

MOST_PLANS = 16
"""Of one operation; where its directives' variables take more values, those that come later are not compiled."""


@dataclass(frozen=True, slots=True)
class Step:
    """A loaded field in one place. `varies` says whether an argument, here or below, is not the same each time."""

    asked: Asked
    selected: Selected
    loaded: Loaded
    own: bool
    varies: bool
    below: Sequence["Step"]

    def bind(self, selections: Selections) -> Asked:
        """Return what is asked with these variables."""
        if not self.varies:
            return self.asked
        asked = self.asked
        arguments = self._arguments(selections) if self.own else asked.arguments
        below = [step.bind(selections) for step in self.below]
        return Asked(asked.key, asked.relation, arguments, asked.branches, below)


    def _arguments(self, selections: Selections) -> dict[str, Any]:
        arguments = self.loaded.convert(selections.arguments(self.selected))
        if self.loaded.looks_ahead:
            arguments[WANTED] = self.asked.arguments[WANTED]
        return arguments


@dataclass(frozen=True, slots=True)
class Plan:
    """What to load, and what completes it."""

    steps: Sequence[Step]
    complete: Complete


class Plans:
    """The plans of one operation."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self.operation = operation
        definitions = [one for one in document.definitions if isinstance(one, FragmentDefinitionNode)]
        self._fragments = details_of({one.name.value: one for one in definitions})
        self._deciding = _deciding([operation, *definitions])
        self._plans: dict[tuple[object, ...], Plan | None] = {}
        self._constant = None if operation.variable_definitions else self._select({})

    def select(self, variables: Mapping[str, Any]) -> Selections | None:
        """Return what is asked with these variables; None where they are not what the operation takes."""
        return self._constant or self._select(variables)

    def plan(self, selections: Selections) -> Plan | None:
        """Return the plan for these variables; None where graphql-core is to execute the operation."""
        key = tuple(selections.values.coerced.get(name) for name in self._deciding)
        if key in self._plans:
            return self._plans[key]
        if len(self._plans) >= MOST_PLANS:
            return None
        self._plans[key] = plan = _plan(selections)
        return plan

    def _select(self, variables: Mapping[str, Any]) -> Selections | None:
        values = get_variable_values(self._schema, self.operation.variable_definitions or (), dict(variables))
        if isinstance(values, list):
            return None
        return Selections(self._schema, self.operation, self._fragments, values=values)


def _plan(selections: Selections) -> Plan | None:
    roots = selections.roots()
    changing = selections.operation.operation is OperationType.MUTATION
    if any(not _is_planned(root) for root in roots) or (changing and len(roots) > 1):
        return None
    loaded = [root for root in roots if root.field is not TypeNameMetaFieldDef]
    try:
        complete = compile_completion(selections)
    except (NotCompiled, RecursionError):
        return None
    return Plan([_step(selections, root, fresh=changing) for root in loaded], complete)


def _is_planned(root: Selected) -> bool:
    return root.field is TypeNameMetaFieldDef or LOADED in root.field.extensions


def _step(selections: Selections, selected: Selected, *, fresh: bool) -> Step:
    """Plan a loaded field; `fresh` arguments are made anew each time, as a mutation may keep what it was given."""
    loaded = cast("Loaded", selected.field.extensions[LOADED])
    below = [_step(selections, one, fresh=fresh) for one, _ in selections.loaded_below(loaded, selected.details)]
    own = fresh or _mentions_variables(selected)
    arguments = _arguments(selections, selected, loaded)
    asked = Asked(selected.key, loaded.relation, arguments, loaded.below is not None, [one.asked for one in below])
    return Step(asked, selected, loaded, own, own or any(one.varies for one in below), below)


def _arguments(selections: Selections, selected: Selected, loaded: Loaded) -> dict[str, Any]:
    return loader_arguments(selections, selected, loaded, selections.arguments(selected))


class _Variables(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, None] = {}

    def enter_variable(self, node: VariableNode, *_args: object) -> None:
        self.names[node.name.value] = None


class _Deciding(_Variables):
    """Finds the variables in directives."""

    def enter_variable(self, node: VariableNode, *args: Any) -> None:
        ancestors = args[3]
        if any(isinstance(one, DirectiveNode) for one in ancestors):
            super().enter_variable(node)


def _mentions_variables(selected: Selected) -> bool:
    found = _Variables()
    for argument in selected.details[0].node.arguments or ():
        visit(argument, found)
    return bool(found.names)


def _deciding(definitions: Sequence[Any]) -> tuple[str, ...]:
    found = _Deciding()
    for definition in definitions:
        visit(definition, found)
    return tuple(found.names)

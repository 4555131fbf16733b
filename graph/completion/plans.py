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

from graph.completion.steps import Step, step
from graph.completion.variables import Coercion, Variables
from graph.completion.writing import Complete, NotCompiled, compile_completion
from graph.selection import LOADED, Asked, Selected, details_of

MOST_PLANS = 16
"""Of one operation; where its directives' variables take more values, those that come later are not compiled."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to load, and what completes it."""

    steps: Sequence[Step]
    complete: Complete


class Plans:
    """The plans of one operation."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        definitions = [one for one in document.definitions if isinstance(one, FragmentDefinitionNode)]
        self._coercion = Coercion(schema, operation, details_of({one.name.value: one for one in definitions}))
        self._deciding = _deciding([operation, *definitions])
        self._plans: dict[tuple[object, ...], Plan | None] = {}

    def ask(self, given: Mapping[str, Any]) -> tuple[Plan, Sequence[Asked]] | None:
        """Return the plan for a request's variables and what is asked; None where graphql-core is to execute it.

        Raises anything where the variables, or arguments that mention them, are not what the operation takes.
        """
        variables = self._coercion.read(given)
        plan = self._plan(variables)
        return None if plan is None else (plan, [one.bind(variables) for one in plan.steps])

    def _plan(self, variables: Variables) -> Plan | None:
        key = tuple(variables.coerced.get(name) for name in self._deciding)
        if key in self._plans:
            return self._plans[key]
        if len(self._plans) >= MOST_PLANS:
            return None
        self._plans[key] = plan = _plan(variables)
        return plan


def _plan(variables: Variables) -> Plan | None:
    selections = variables.selections
    roots = selections.roots()
    changing = selections.operation.operation is OperationType.MUTATION
    if any(not _is_planned(root) for root in roots) or (changing and len(roots) > 1):
        return None
    loaded = [root for root in roots if root.field is not TypeNameMetaFieldDef]
    try:
        return Plan([step(selections, root, fresh=changing) for root in loaded], compile_completion(selections))
    except (NotCompiled, RecursionError):
        return None


def _is_planned(root: Selected) -> bool:
    return root.field is TypeNameMetaFieldDef or LOADED in root.field.extensions


class _Deciding(Visitor):
    """Finds the variables in directives."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, None] = {}

    def enter_variable(self, node: VariableNode, *args: Any) -> None:
        ancestors = cast("Sequence[object]", args[3])
        if any(isinstance(one, DirectiveNode) for one in ancestors):
            self.names[node.name.value] = None


def _deciding(definitions: Sequence[Any]) -> tuple[str, ...]:
    found = _Deciding()
    for definition in definitions:
        visit(definition, found)
    return tuple(found.names)

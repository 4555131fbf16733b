"""Steps: each loaded field of an operation in its place, with arguments made ready as far as variables allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from graphql import GraphQLList, ValueNode, VariableNode, Visitor, visit

from graph.completion.variables import USUAL, Variables
from graph.fields import WANTED
from graph.selection import LOADED, Asked, Loaded, Selected, Selections, asked, loader_arguments


class Unusual(Exception):
    """The variables make more of an argument than its value."""


@dataclass(frozen=True, slots=True)
class Template:
    """Arguments of which some are variables of the built-in scalars: each one's value, and nothing else."""

    constants: Mapping[str, object]
    variables: Sequence[tuple[str, str]]

    def fill(self, coerced: Mapping[str, Any]) -> dict[str, Any]:
        """Return the loader's arguments. Raises Unusual where a default, or an error, stands for a value."""
        arguments = dict(self.constants)
        for name, variable in self.variables:
            value = coerced.get(variable)
            if value is None:
                raise Unusual
            arguments[name] = value
        return arguments


@dataclass(frozen=True, slots=True)
class Step:
    """A loaded field in one place. `own` says whether its arguments vary, `varies` whether those below do too."""

    asked: Asked
    selected: Selected
    loaded: Loaded
    own: bool
    varies: bool
    template: Template | None
    below: Sequence["Step"]

    def bind(self, variables: Variables) -> Asked:
        """Return what is asked with these variables."""
        if not self.varies:
            return self.asked
        arguments = self._arguments(variables) if self.own else self.asked.arguments
        return asked(self.loaded, self.asked.key, arguments, [one.bind(variables) for one in self.below])

    def _arguments(self, variables: Variables) -> dict[str, Any]:
        if self.template is not None:
            try:
                return self.template.fill(variables.coerced)
            except Unusual:
                pass
        arguments = self.loaded.convert(variables.selections.arguments(self.selected))
        return {**arguments, WANTED: self.asked.arguments[WANTED]} if self.loaded.looks_ahead else arguments


def step(selections: Selections, selected: Selected, *, fresh: bool) -> Step:
    """Plan a loaded field; `fresh` arguments are made anew each time, as a mutation may keep what it was given."""
    loaded = cast("Loaded", selected.field.extensions[LOADED])
    below = [step(selections, one, fresh=fresh) for one, _ in selections.loaded_below(loaded, selected.details)]
    arguments = loader_arguments(selections, selected, loaded, selections.arguments(selected))
    given = {one.name.value: one.value for one in selected.details[0].node.arguments or ()}
    own = fresh or any(_mentions_variables(one) for one in given.values())
    return Step(
        asked=asked(loaded, selected.key, arguments, [one.asked for one in below]),
        selected=selected,
        loaded=loaded,
        own=own,
        varies=own or any(one.varies for one in below),
        template=_template(selected, loaded, given, arguments) if own and not fresh else None,
        below=below,
    )


def _template(
    selected: Selected, loaded: Loaded, given: Mapping[str, ValueNode], arguments: Mapping[str, object]
) -> Template | None:
    varying = {name: node for name, node in given.items() if _mentions_variables(node)}
    if not all(
        isinstance(node, VariableNode) and _is_plain(selected.field.args[name]) for name, node in varying.items()
    ):
        return None
    variables = [(loaded.names[name], cast("VariableNode", node).name.value) for name, node in varying.items()]
    filled = {name for name, _ in variables}
    return Template({name: value for name, value in arguments.items() if name not in filled}, variables)


def _is_plain(argument: Any) -> bool:
    type_ = argument.type
    return getattr(getattr(type_, "of_type", type_), "name", None) in USUAL and not isinstance(type_, GraphQLList)


class _Variables(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def enter_variable(self, _node: VariableNode, *_args: object) -> None:
        self.found = True


def _mentions_variables(node: ValueNode) -> bool:
    found = _Variables()
    visit(node, found)
    return found.found

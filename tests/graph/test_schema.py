"""The schema against its own committed print, and against the contract that clients were promised."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from graphql import (
    DocumentNode,
    EnumTypeDefinitionNode,
    InputObjectTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    parse,
    print_ast,
)

from graph.schema import build_schema, export_schema

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT.parent / "shared" / "contract.graphql"

LATER: dict[str, set[str]] = {}
"""What the contract has and nothing can answer yet."""


LATER_ARGUMENTS: dict[tuple[str, str], set[str]] = {}
"""Arguments of fields that are there."""


@pytest.fixture(scope="module")
def printed() -> DocumentNode:
    return parse(export_schema())


@pytest.fixture(scope="module")
def contract() -> DocumentNode:
    if not CONTRACT.exists():
        pytest.skip(f"the contract is not beside the repository ({CONTRACT.name} in a folder shared)")
    return parse(CONTRACT.read_text())


@dataclass(frozen=True)
class Member:
    """What a field, an input's field or an enum's value looks like, without its description."""

    type: str
    default: str | None
    arguments: dict[str, "Member"]

    def keeps(self, promise: "Member") -> bool:
        """Tell whether it is what was promised; it may take further arguments that can be left out."""
        added = [self.arguments[name] for name in self.arguments.keys() - promise.arguments.keys()]
        kept = {name: self.arguments.get(name) for name in promise.arguments}
        return (
            (self.type, self.default, kept) == (promise.type, promise.default, promise.arguments)
            and all(argument.default is not None or not argument.type.endswith("!") for argument in added)
        )  # fmt: skip


def without(arguments: set[str], promise: Member) -> Member:
    return replace(promise, arguments={name: one for name, one in promise.arguments.items() if name not in arguments})


def members(document: DocumentNode, kind: type) -> dict[str, dict[str, Member]]:
    """Return the members of each type of a kind."""
    found = {}
    for definition in document.definitions:
        if isinstance(definition, kind):
            nodes = definition.values if isinstance(definition, EnumTypeDefinitionNode) else definition.fields
            found[definition.name.value] = {node.name.value: member(node) for node in nodes}
    return found


def member(node) -> Member:
    default = getattr(node, "default_value", None)
    return Member(
        type=print_ast(node.type) if hasattr(node, "type") else "",
        default=print_ast(default) if default else None,
        arguments={one.name.value: member(one) for one in getattr(node, "arguments", None) or ()},
    )


def test_the_committed_print_is_the_schema() -> None:
    assert (ROOT / "schema.graphql").read_text() == export_schema(), "run `winnow export-schema > schema.graphql`"


@pytest.mark.parametrize("kind", [ObjectTypeDefinitionNode, InputObjectTypeDefinitionNode, EnumTypeDefinitionNode])
def test_whatever_is_there_is_as_promised(printed: DocumentNode, contract: DocumentNode, kind: type) -> None:
    ours, promised = members(printed, kind), members(contract, kind)
    shared = ours.keys() & promised.keys()
    assert len(shared) >= 5
    now = {
        (type_, name): without(LATER_ARGUMENTS.get((type_, name), set()), promise)
        for type_ in shared
        for name, promise in promised[type_].items()
        if name not in LATER.get(type_, ())
    }
    found = {(type_, name): ours[type_].get(name) for type_, name in now}
    assert {
        place: found[place] for place, promise in now.items() if not (found[place] and found[place].keeps(promise))
    } == {}


def test_only_what_is_said_to_come_later_is_missing(printed: DocumentNode, contract: DocumentNode) -> None:
    ours, promised = members(printed, ObjectTypeDefinitionNode), members(contract, ObjectTypeDefinitionNode)
    missing = {type_: promised[type_].keys() - ours[type_].keys() for type_ in ours.keys() & promised.keys()}
    assert {type_: set(names) for type_, names in missing.items() if names} == LATER


def test_every_field_argument_and_input_is_described() -> None:
    undescribed = []
    for type_ in build_schema().core.type_map.values():
        if type_.name.startswith("__"):
            continue
        for name, field in getattr(type_, "fields", {}).items():
            places = [(name, field), *((f"{name}({arg})", value) for arg, value in getattr(field, "args", {}).items())]
            undescribed += [f"{type_.name}.{place}" for place, item in places if not item.description]
    assert undescribed == []

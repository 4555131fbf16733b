"""The schema against its own committed print, and against the contract that clients were promised."""

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

LATER = {
    "Query": {"test", "tests", "sampleSize", "recommendations", "models", "job"},
    "Campaign": {"tests", "offerRecommendation", "segmentRanking", "recommendations"},
    "User": {"assignments", "sendTime", "affinities", "recommendedCampaigns"},
    "Mutation": {
        *("createTest", "startTest", "pauseTest", "endTest", "analyzeTest", "assignUser", "reallocate"),
        *("trainModels", "cancelJob"),
    },
}
"""What the contract has and nothing can answer yet."""


@pytest.fixture(scope="module")
def printed() -> DocumentNode:
    return parse(export_schema())


@pytest.fixture(scope="module")
def contract() -> DocumentNode:
    if not CONTRACT.exists():
        pytest.skip(f"the contract is not beside the repository ({CONTRACT.name} in a folder shared)")
    return parse(CONTRACT.read_text())


def members(document: DocumentNode, kind: type) -> dict[str, dict[str, str]]:
    """Return by type and member what the member looks like, without descriptions."""
    found = {}
    for definition in document.definitions:
        if isinstance(definition, kind):
            nodes = definition.values if isinstance(definition, EnumTypeDefinitionNode) else definition.fields
            found[definition.name.value] = {node.name.value: shape(node) for node in nodes}
    return found


def shape(node) -> str:
    arguments = getattr(node, "arguments", None) or ()
    listed = ", ".join(sorted(shape(argument) for argument in arguments))
    type_ = print_ast(node.type) if hasattr(node, "type") else ""
    default = getattr(node, "default_value", None)
    return f"{node.name.value}({listed}): {type_} = {print_ast(default) if default else 'none'}"


def test_the_committed_print_is_the_schema() -> None:
    assert (ROOT / "schema.graphql").read_text() == export_schema(), "run `winnow export-schema > schema.graphql`"


@pytest.mark.parametrize("kind", [ObjectTypeDefinitionNode, InputObjectTypeDefinitionNode, EnumTypeDefinitionNode])
def test_whatever_is_there_is_as_promised(printed: DocumentNode, contract: DocumentNode, kind: type) -> None:
    ours, promised = members(printed, kind), members(contract, kind)
    shared = ours.keys() & promised.keys()
    assert len(shared) >= 5
    deviating = {
        f"{type_}.{name}": (ours[type_].get(name), promise)
        for type_ in shared
        for name, promise in promised[type_].items()
        if name not in LATER.get(type_, ()) and ours[type_].get(name) != promise
    }
    assert deviating == {}


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

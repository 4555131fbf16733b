"""What is compiled, kept and thrown away; and that small operations find everything ready."""

import pytest
from graphql import parse, validate

from graph import documents as documents_module
from graph.completion import plans as plans_module
from graph.completion.plans import MOST_PLANS
from graph.context import Context
from graph.documents import REMEMBERED_CHARACTERS, Prepared
from graph.operations import Operations, Request

NAMES = "{ campaigns { nodes { id name } } }"
CHOICE = "query($more: Boolean!) { campaigns { nodes { id name @include(if: $more) } } }"


@pytest.fixture
def operations(schema, settings) -> Operations:
    return Operations(schema, settings)


def prepared(operations: Operations, query: str) -> Prepared:
    return operations._documents.read(Request(query, {}, None)).operation(None)


@pytest.fixture
def compiled(monkeypatch) -> list[object]:
    """How often something was compiled."""
    found: list[object] = []
    compile_completion = plans_module.compile_completion
    monkeypatch.setattr(
        plans_module, "compile_completion", lambda asked: found.append(asked) or compile_completion(asked)
    )
    return found


async def test_an_operation_is_compiled_once(operations, context: Context, compiled: list[object]) -> None:
    answers = [await operations.execute(Request(NAMES, {}, None), context) for _ in range(3)]
    assert all(answer.text == b'{"data":{"campaigns":{"nodes":[]}}}' for answer in answers)
    assert len(compiled) == 1


async def test_parsing_and_validation_happen_once_with_the_limits_on(operations, context, monkeypatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(documents_module, "parse", lambda *a, **k: calls.append("parse") or parse(*a, **k))
    monkeypatch.setattr(documents_module, "validate", lambda *a, **k: calls.append("validate") or validate(*a, **k))
    for _ in range(3):
        await operations.execute(Request("{ __typename }", {}, None), context)
    assert calls == ["parse", "validate"]


async def test_each_value_of_a_directives_variables_has_a_plan(
    operations, context, grow_catalogue, compiled: list[object]
) -> None:
    await grow_catalogue(1)
    for _ in range(2):
        more = (await operations.execute(Request(CHOICE, {"more": True}, None), context)).body()
        less = (await operations.execute(Request(CHOICE, {"more": False}, None), context)).body()
        assert more["data"]["campaigns"]["nodes"] == [{"id": "cmp_1", "name": "C1"}]
        assert less["data"]["campaigns"]["nodes"] == [{"id": "cmp_1"}]
    assert len(compiled) == 2


async def test_plans_do_not_grow_without_end(operations, context, compiled: list[object]) -> None:
    names = [f"v{number}" for number in range(6)]
    declared = ", ".join(f"${name}: Boolean!" for name in names)
    fields = " ".join(f"a{name}: totalCount @include(if: ${name})" for name in names)
    query = f"query({declared}) {{ campaigns {{ totalCount {fields} }} }}"
    for number in range(2 ** len(names)):
        variables = {name: bool(number >> place & 1) for place, name in enumerate(names)}
        answer = await operations.execute(Request(query, variables, None), context)
        assert len(answer.body()["data"]["campaigns"]) == 1 + number.bit_count()
    assert len(compiled) == MOST_PLANS


async def test_what_was_compiled_goes_with_its_document(operations, context, monkeypatch) -> None:
    monkeypatch.setattr(documents_module, "REMEMBERED_DOCUMENTS", 2)
    plans = prepared(operations, NAMES).plans
    assert prepared(operations, NAMES).plans is plans
    for query in ("{ a: __typename }", "{ b: __typename }"):
        await operations.execute(Request(query, {}, None), context)
    assert prepared(operations, NAMES).plans is not plans


def test_what_is_not_remembered_is_not_compiled(operations) -> None:
    assert prepared(operations, NAMES + " " * REMEMBERED_CHARACTERS).plans is None


async def test_the_generic_way_can_be_forced(schema, settings, context, compiled: list[object]) -> None:
    generic = Operations(schema, settings.model_copy(update={"completion": "generic"}))
    answer = await generic.execute(Request(NAMES, {}, None), context)
    assert (answer.text, answer.body()) == (None, {"data": {"campaigns": {"nodes": []}}})
    assert compiled == []


@pytest.mark.parametrize(
    "query",
    [
        "{ __schema { queryType { name } } }",
        '{ campaigns { totalCount } __type(name: "Campaign") { name } }',
        'mutation { a: cancelJob(id: "x") { errors { code } } b: cancelJob(id: "x") { errors { code } } }',
    ],
)
async def test_what_only_graphql_core_answers_is_left_to_it(operations, context, query: str) -> None:
    answer = await operations.execute(Request(query, {}, None), context)
    assert answer.text is None
    assert answer.executed


async def test_a_mutation_is_compiled_and_done_once(operations, context, clean_database) -> None:
    mutation = (
        'mutation { createMerchant(input: { key: "a", name: "A", category: "B" }) { merchant { id } errors { code } } }'
    )
    for expected in (
        {"merchant": {"id": "mer_1"}, "errors": []},
        {"merchant": None, "errors": [{"code": "ALREADY_EXISTS"}]},
    ):
        answer = await operations.execute(Request(mutation, {}, None), context)
        assert answer.text is not None
        assert answer.body() == {"data": {"createMerchant": expected}}
    assert await clean_database.fetchval("SELECT count(*) FROM merchant") == 1


async def test_what_is_loaded_is_loaded_once_though_graphql_core_judges_it(
    operations, context, statements, grow_catalogue
) -> None:
    await grow_catalogue(1)
    query = (
        '{ campaigns { nodes { id trend(interval: HOUR, window: { from: "1990-01-01T00:00:00Z" }) { startsAt } } } }'
    )
    with statements.watched() as seen:
        answer = await operations.execute(Request(query, {}, None), context)
    assert answer.text is None
    assert answer.errors[0]["path"] == ["campaigns", "nodes", 0, "trend"]
    assert len([one for one in seen if "ORDER BY id DESC" in one]) == 1


@pytest.mark.parametrize(
    ("variables", "count"),
    [({"n": 1}, 1), ({"n": 2}, 2), ({"n": None}, 4), ({}, 4), ({"n": 3.0}, 3), ({"n": 1, "x": 1}, 1)],
)
async def test_variables_mean_what_they_mean_to_graphql_core(
    schema, settings, context, grow_catalogue, variables: dict, count: int
) -> None:
    await grow_catalogue(2)
    request = Request("query($n: Int) { campaigns(first: $n) { nodes { id } } }", variables, None)
    for completion in ("compiled", "generic"):
        operations = Operations(schema, settings.model_copy(update={"completion": completion}))
        for _ in range(2):
            answer = await operations.execute(request, context)
            assert len(answer.body()["data"]["campaigns"]["nodes"]) == count

"""Operations made to cost much: each is refused, or answered, within a bounded time, and none is an internal error."""

import json
import time

import httpx
import pytest
from graphql import get_introspection_query

MOST_SECONDS = 2.0
"""Of any hostile operation, on a busy machine; the worst takes a tenth of it on an idle one."""
NINES = "9" * 5_000


def repeated(text: str, count: int) -> str:
    return " ".join([text] * count)


def numbered(text: str, count: int) -> str:
    return " ".join(text.replace("#", str(n)) for n in range(count))


def page(selection: str) -> str:
    return f"{{ campaigns {{ edges {{ node {{ {selection} }} }} }} }}"


def each_spreads(spreads, count: int, *, own: str = "__typename") -> str:
    """Return fragments F0, F1, ...; each spreads those that `spreads(n)` names."""
    return " ".join(f"fragment F{n} on Query {{ {own} {spreads(n)} }}" for n in range(count))


AROUND = "__schema { types { name fields { name type { name # } } } }"
DEEP_TYPE = "name fields { name type { name fields { name type { name fields { name } } } } }"
REFUSED = {
    "deep": page("merchant { campaigns { nodes { " * 8 + "id" + " } } }" * 8),
    "deeper than can be parsed": "{ a" * 2_000 + " }" * 2_000,
    "deep list value": f"{{ campaign(id: {'[' * 2_000}{']' * 2_000}) {{ id }} }}",
    "deep object value": f"{{ campaign(id: {'{a:' * 1_500}1{'}' * 1_500}) {{ id }} }}",
    "deep inline fragments": "{" + "... {" * 800 + "__typename" + "}" * 801,
    "wide": f"{{ {numbered('a#: campaigns { totalCount }', 40)} {repeated('campaigns { totalCount }', 1_000)} }}",
    "the same field": page(repeated("name", 2_400)),
    "the same object": page(repeated("merchant { id }", 1_200)),
    "the same object in fragments": page(repeated("... on Campaign { merchant { id } }", 550)),
    "aliased": f"{{ {numbered('a#: campaigns { totalCount }', 51)} }}",
    "aliased in fragments": page("...A") + f" fragment A on Campaign {{ {numbered('a#: name', 51)} }}",
    "costly": page(
        "merchant { campaigns(first: 100) { edges { node { merchant { campaigns(first: 100) { totalCount } } } } } }"
    ),
    "circular": "{ ...F0 } " + each_spreads(lambda n: f"...F{(n + 1) % 300}", 300),
    "circular, each to itself": "{ ...F0 } " + each_spreads(lambda n: f"...F{n}", 300),
    "circular, each to all": "{ ...F0 } " + each_spreads(lambda _: numbered("...F#", 40), 40),
    "doubling": "{ ...F0 } "
    + each_spreads(lambda n: f"...F{n + 1} ...F{n + 1}" if n < 250 else "", 251, own="a: campaigns { totalCount }"),
    "each to all later": "{ ...F0 } " + each_spreads(lambda n: " ".join(f"...F{m}" for m in range(n + 1, 60)), 60),
    "directives": f"{{ __typename {repeated('@include(if: true)', 1_000)} }}",
    "directives, few but repeated": f"{{ __typename {repeated('@include(if: true)', 700)} }}",
    "unknown directives": f"{{ __typename {repeated('@nothing', 2_400)} }}",
    "tokens": f"{{ {numbered('x#', 5_000)} }}",
    "unknown fields": f"{{ {numbered('campain#', 4_900)} }}",
    "long names": f"{{ {numbered('campain#' + 'x' * 3_000, 300)} }}",
    "long names, few": f"{{ {numbered('campain#' + 'x' * 1_800, 100)} }}",
    "a long comment": "#" + "x" * 500_000 + "\n{ __typename }",
    "a long string": f'{{ campaign(id: "{"x" * 500_000}") {{ id }} }}',
    "unused variables": f"query ({numbered('$v#: Int', 1_200)}) {{ __typename }}",
    "undefined variables": f"{{ campaign(id: $a) {{ {repeated('tests(first: $b) { totalCount }', 400)} }} }}",
    "many operations": numbered("query Q# { __typename }", 1_000),
    "a number of many digits": f"{{ campaigns(first: {NINES}) {{ totalCount }} }}",
    "a default of many digits": f"query ($x: Int = {NINES}) {{ campaigns(first: $x) {{ totalCount }} }}",
    "a fraction of many digits": f"query ($x: Float = {NINES}.5) {{ campaigns {{ totalCount }} }}",
    "introspection under many names": "{ "
    + numbered("a#: " + AROUND.replace("#", "fields { name type { name } }"), 40)
    + " }",
    "introspection of fields of fields": f"{{ __schema {{ types {{ {DEEP_TYPE} }} }} }}",
    "introspection of one type, wide": '{ __type(name: "Campaign") { '
    + numbered("a#: fields { type { fields { name description } } }", 50)
    + " } }",
    "introspection in fragments": "{ __schema { types { ...T } } } fragment T on __Type { "
    + numbered("a#: fields { ...F }", 20)
    + " } fragment F on __Field { "
    + numbered("b#: type { fields { name } }", 20)
    + " }",
    "introspection, circular": "{ __schema { types { ...T } } } fragment T on __Type { fields { type { ...T } } }",
}
ALLOWED = {
    "the tools' introspection": get_introspection_query(),
    "fifty aliases": f"{{ {numbered('a#: campaigns { totalCount }', 50)} }}",
    "fifty names of types": f"{{ {numbered('a#: __schema { types { name } }', 50)} }}",
    "spread a thousand times": f"{{ {repeated('...A', 1_000)} }} fragment A on Query {{ campaigns {{ totalCount }} }}",
}


async def ask(attacker: httpx.AsyncClient, query: str, **more) -> tuple[dict, float]:
    began = time.perf_counter()
    response = await attacker.post("/graphql", json={"query": query, **more})
    assert response.status_code in {200, 400, 413}, response.text[:200]
    return response.json(), time.perf_counter() - began


@pytest.mark.parametrize("name", REFUSED)
async def test_an_operation_made_to_cost_is_refused_in_a_bounded_time(attacker, name) -> None:
    answer, seconds = await ask(attacker, REFUSED[name])
    assert answer.get("data") is None
    codes = {error["extensions"]["code"] for error in answer["errors"]}
    assert codes <= {"TOO_LARGE", "INVALID_INPUT"}, answer["errors"][:2]
    assert len(str(answer)) < 250_000
    assert seconds < MOST_SECONDS


@pytest.mark.parametrize("name", ALLOWED)
async def test_an_operation_that_is_large_for_a_reason_is_answered(attacker, name) -> None:
    answer, seconds = await ask(attacker, ALLOWED[name])
    assert "errors" not in answer
    assert seconds < MOST_SECONDS


@pytest.mark.parametrize("count", [1, 10_000])
async def test_several_operations_in_one_request_are_refused_together(attacker, count) -> None:
    response = await attacker.post("/graphql", json=[{"query": "{ __typename }"}] * count)
    assert response.status_code == 400
    assert "Several operations" in response.json()["errors"][0]["message"]


CREATE = """mutation ($input: CreateTestInput!) { createTest(input: $input) {
    errors { code } test { variants { payload } } } }"""


@pytest.mark.parametrize("depth", [90, 200, 253, 255, 1_000, 100_000])
@pytest.mark.parametrize("kind", ["[]", "{}"])
@pytest.mark.parametrize("place", ["payload", "targeting"])
async def test_json_of_any_depth_is_kept_and_read_again_or_refused(attacker, depth, kind, place) -> None:
    opening, end = ("[", "]") if kind == "[]" else ('{"a":', "}")
    key = f"deep-{place}-{depth}-{len(opening)}"
    given = {place: "DEEP"} if place == "targeting" else {}
    variants = [{"key": "a", "isControl": True, "weight": 0.5}, {"key": "b", "weight": 0.5, "payload": "DEEP"}]
    metric = {"key": "m", "kind": "CONVERSION", "event": "CONVERTED"}
    test = {"key": key, "name": "n", "variants": variants, "metric": metric, **given}
    body = json.dumps({"query": CREATE, "variables": {"input": test}})
    body = body.replace('"DEEP"', f'{{"p": {opening * depth}1{end * depth}}}')
    response = await attacker.post("/graphql", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in {200, 400, 413}
    assert "INTERNAL_ERROR" not in response.text
    read, _ = await ask(attacker, "{ tests(first: 100) { edges { node { key variants { payload } } } } }")
    assert "errors" not in read
    assert (key in str(read)) is (depth < 100)


@pytest.mark.parametrize("count", [10, 20_000])
async def test_many_variables_cost_little(attacker, count) -> None:
    answer, seconds = await ask(attacker, "{ __typename }", variables={f"v{n}": n for n in range(count)})
    assert answer == {"data": {"__typename": "Query"}}
    assert seconds < MOST_SECONDS

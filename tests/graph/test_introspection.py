import pytest
from graphql import build_schema, get_introspection_query, parse

from graph.introspection import IntrospectionCosts
from graph.schema import GraphSchema

# one interface and a union, an input of three, an enumeration of two; eleven types beside the specification's own
SMALL = build_schema("""
    type Query { a(x: In, y: Kind): A b: [Either!] }
    interface Named { name: String }
    type A implements Named { name: String k: Kind c: Int d: Int }
    type B { one: Int }
    union Either = A | B
    input In { p: Int q: Int r: Int }
    enum Kind { X Y }
""")


def cost(schema, query: str) -> int:
    document = parse(query)
    operation, *fragments = document.definitions
    return IntrospectionCosts(schema, {one.name.value: one for one in fragments}).of(
        operation.selection_set.selections[0]
    )


def test_a_list_counts_as_often_as_it_has_entries() -> None:
    types = len(SMALL.type_map)
    assert cost(SMALL, "{ __schema { types { name } } }") == 1 + 1 + types
    assert cost(SMALL, '{ __type(name: "A") { fields { name } } }') == 1 + 1 + longest(SMALL)
    assert cost(SMALL, '{ __type(name: "In") { inputFields { name } } }') == 1 + 1 + 3


def test_below_all_types_a_list_counts_as_it_is_on_average() -> None:
    sizes = [len(getattr(one, "fields", ())) for one in SMALL.type_map.values() if not hasattr(one, "is_one_of")]
    found = cost(SMALL, "{ __schema { types { fields { name } } } }")
    assert found == 1 + int(1 + len(SMALL.type_map) * (1 + sum(sizes) / len(SMALL.type_map)))


def test_fields_of_fields_count_as_the_longest() -> None:
    inner = 1 + longest(SMALL)
    once = cost(SMALL, "{ __schema { types { fields { type { fields { name } } } } } }")
    twice = cost(SMALL, "{ __schema { types { fields { a: type { fields { name } } b: type { fields { name } } } } } }")
    assert twice - once == pytest.approx(sum_of_fields(SMALL) * (1 + inner), abs=1)


def test_a_fragment_counts_wherever_it_is_spread() -> None:
    spread = "{ __schema { a: types { ...T } b: types { ...T } } } fragment T on __Type { name kind }"
    assert cost(SMALL, spread) == 1 + 2 * (1 + 2 * len(SMALL.type_map))


def test_what_tools_ask_is_far_below_the_limit(schema: GraphSchema) -> None:
    assert cost(schema.core, get_introspection_query()) < 20_000


def longest(schema) -> int:
    return max(len(getattr(one, "fields", ())) for one in schema.type_map.values() if not hasattr(one, "is_one_of"))


def sum_of_fields(schema) -> int:
    return sum(len(getattr(one, "fields", ())) for one in schema.type_map.values() if not hasattr(one, "is_one_of"))

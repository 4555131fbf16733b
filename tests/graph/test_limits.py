import pytest
from graphql import GraphQLError, OperationDefinitionNode, parse, validate
from graphql.language import DocumentNode

from app.errors import TooLarge
from graph.limits import check_cost, cost_of, limit_rules
from graph.schema import GraphSchema

RULES = limit_rules(max_depth=4, max_aliases=2)


def errors_of(schema: GraphSchema, query: str) -> list[GraphQLError]:
    return validate(schema.core, parse(query), RULES)


def cost(schema: GraphSchema, query: str, **variables: object) -> int:
    document = parse(query)
    return cost_of(schema.core, document, operation(document), variables=variables)


def bound(schema: GraphSchema, query: str) -> int:
    document = parse(query)
    return cost_of(schema.core, document, operation(document))


def twice(fragment: str) -> str:
    return f"merchant {{ ...{fragment} }} again: merchant {{ ...{fragment} }}"


def operation(document: DocumentNode) -> OperationDefinitionNode:
    return next(one for one in document.definitions if isinstance(one, OperationDefinitionNode))


@pytest.mark.parametrize(
    "query",
    [
        "{ campaigns { nodes { merchant { name } } } }",
        "{ campaigns { ... { ...Page } } } fragment Page on CampaignConnection { nodes { merchant { id } } }",
        "{ __schema { types { fields { type { ofType { ofType { name } } } } } } }",
    ],
)
def test_an_operation_may_be_as_deep_as_allowed(schema: GraphSchema, query: str) -> None:
    assert errors_of(schema, query) == []


@pytest.mark.parametrize(
    "query",
    [
        "{ campaigns { nodes { merchant { campaigns { totalCount } } } } }",
        "{ campaigns { ...Page } } fragment Page on CampaignConnection { nodes { merchant { metrics { sent } } } }",
        "{ campaigns { nodes { merchant { ... { ... { metrics { sent } } } } } } }",
    ],
)
def test_deeper_operations_are_refused(schema: GraphSchema, query: str) -> None:
    (error,) = errors_of(schema, query)
    assert "5 deep" in error.message
    assert error.extensions == {"code": "TOO_LARGE"}


def test_fragments_that_lead_to_themselves_end(schema: GraphSchema) -> None:
    looping = (
        "{ campaigns { ...A } } fragment A on CampaignConnection { ...B } fragment B on CampaignConnection { ...A }"
    )
    assert errors_of(schema, looping) == []


def test_aliases_are_counted_over_the_document(schema: GraphSchema) -> None:
    assert errors_of(schema, "{ a: portfolio { active } b: portfolio { active } }") == []
    (error,) = errors_of(schema, "{ a: portfolio { active } b: portfolio { c: active d: active } }")
    assert error.extensions == {"code": "TOO_LARGE"}


def test_a_list_costs_as_often_as_its_first(schema: GraphSchema) -> None:
    # campaigns, then twenty times nodes and its two fields
    assert cost(schema, "{ campaigns { nodes { id key } } }") == 1 + 20 * (1 + 2)
    assert cost(schema, "{ campaigns(first: 5) { nodes { id key } } }") == 1 + 5 * (1 + 2)
    assert cost(schema, "query($n: Int) { campaigns(first: $n) { nodes { id key } } }", n=7) == 1 + 7 * (1 + 2)
    assert cost(schema, "query($n: Int = 3) { campaigns(first: $n) { nodes { id key } } }") == 1 + 3 * (1 + 2)


def test_a_list_without_first_costs_its_declared_size(schema: GraphSchema) -> None:
    assert cost(schema, '{ campaign(id: "c") { trend { startsAt } } }') == 1 + (1 + 90 * 1)


def test_lists_within_lists_multiply(schema: GraphSchema) -> None:
    query = "{ merchants(first: 10) { nodes { campaigns(first: 10) { nodes { id } } } } }"
    assert cost(schema, query) == 1 + 10 * (1 + (1 + 10 * (1 + 1)))


def test_the_bound_holds_for_any_variables(schema: GraphSchema) -> None:
    query = "query($n: Int) { campaigns(first: $n) { nodes { id } } }"
    assert bound(schema, query) == 1 + 100 * 2
    assert all(cost(schema, query, n=n) <= bound(schema, query) for n in (1, 20, 100, 10**9, None, "many"))


def test_fragments_cost_each_time_and_quickly(schema: GraphSchema) -> None:
    levels = " ".join(
        f"fragment F{n} on Merchant {{ campaigns(first: 1) {{ nodes {{ {twice(f'F{n + 1}')} }} }} }}" for n in range(25)
    )
    query = f'{{ merchant(id: "m") {{ ...F0 }} }} {levels} fragment F25 on Merchant {{ id }}'
    assert cost(schema, query) > 2**25


def test_too_much_is_refused_with_what_to_do() -> None:
    check_cost(100, 100)
    with pytest.raises(TooLarge, match="fewer fields"):
        check_cost(101, 100)

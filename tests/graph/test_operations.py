import pytest
import structlog
from graphql import parse

from app.auth.principals import Principal, Role
from app.errors import DomainErrors, InvalidInput, NotFound, RateLimited, Unavailable
from engine.errors import InvalidInput as EngineInvalidInput
from engine.errors import NotConverged, NotEnoughData
from graph.campaigns import queries
from graph.documents import REMEMBERED_CHARACTERS, REMEMBERED_DOCUMENTS
from graph.fields import relation_of
from graph.operations import NotByGet, Operations, Request


@pytest.fixture
def failing(monkeypatch):
    """Make the query `portfolio` raise."""

    def fail_with(error: Exception) -> None:
        async def load(*_args, **_arguments):
            raise error

        relation = relation_of(queries.Query, "portfolio")
        monkeypatch.setattr(relation, "load", load)

    return fail_with


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("Gone: look elsewhere."), "NOT_FOUND"),
        (DomainErrors([InvalidInput("Bad: do better."), NotFound("Gone.")]), "INVALID_INPUT"),
        (EngineInvalidInput("Bad: do better."), "INVALID_INPUT"),
        (NotEnoughData("Too few: wait."), "NOT_ENOUGH_DATA"),
        (NotConverged("Draws disagree: wait."), "NOT_ENOUGH_DATA"),
        (Unavailable("Away: try again."), "UNAVAILABLE"),
        (ConnectionRefusedError("no server"), "UNAVAILABLE"),
    ],
)
async def test_refusals_reach_clients_with_their_code(ask, failing, error: Exception, code: str) -> None:
    failing(error)
    body = await ask("{ portfolio { active } }")
    assert body["data"] is None
    assert body["errors"][0]["extensions"]["code"] == code
    assert body["errors"][0]["path"] == ["portfolio"]
    assert str(error) in body["errors"][0]["message"]


async def test_a_refusal_names_its_field_and_when_to_come_back(ask, failing) -> None:
    failing(InvalidInput("Bad: do better.", path=("window", "from")))
    assert (await ask("{ portfolio { active } }"))["errors"][0]["extensions"]["path"] == ["window", "from"]
    failing(RateLimited("Wait.", retry_after=2.5))
    assert (await ask("{ portfolio { active } }"))["errors"][0]["extensions"]["retryAfter"] == 2.5
    failing(Unavailable("It is away: try again."))
    assert (await ask("{ portfolio { active } }"))["errors"][0]["extensions"] == {
        "code": "UNAVAILABLE",
        "retryAfter": 1.0,
    }


async def test_the_unforeseen_is_masked_and_logged_with_its_id(ask, failing) -> None:
    failing(ZeroDivisionError("secret detail"))
    with structlog.testing.capture_logs() as logs:
        body = await ask("{ portfolio { active } }")
    (error,) = body["errors"]
    assert error["extensions"]["code"] == "INTERNAL_ERROR"
    assert "secret" not in str(body)
    (entry,) = [log for log in logs if log["log_level"] == "error"]
    assert entry["error_id"] == error["extensions"]["id"]
    assert error["extensions"]["id"] in error["message"]
    assert isinstance(entry["exc_info"], ZeroDivisionError)


@pytest.mark.parametrize(
    ("query", "variables", "said"),
    [
        ("{ portfolio { active ", {}, "Syntax Error"),
        ("{ portfolio { nothing } }", {}, "Cannot query field 'nothing'"),
        ("query($w: Window!) { portfolio(window: $w) { active } }", {}, "to be provided"),
        ("query($w: Window) { portfolio(window: $w) { active } }", {"w": {"from": "noon"}}, "write it as 2026"),
        ('{ portfolio(window: { from: "noon" }) { active } }', {}, "write it as 2026"),
        ("{ topCampaigns(by: LUCK) { rank } }", {}, "LUCK"),
        ("query A { portfolio { active } } query B { portfolio { active } }", {}, "operationName"),
    ],
)
async def test_faulty_requests_are_told_why_and_not_executed(ask, query: str, variables: dict, said: str) -> None:
    body = await ask(query, **variables)
    assert "data" not in body
    assert said in body["errors"][0]["message"]
    assert body["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_an_operation_is_chosen_by_name(ask) -> None:
    query = "query A { a: __typename } query B { b: __typename }"
    assert await ask(query, name="B") == {"data": {"b": "Query"}}
    assert "data" not in await ask(query, name="C")


async def test_a_mutation_beyond_the_role_is_refused_as_data_and_leaves_no_trace(ask, clean_database) -> None:
    analyst = Principal(2, "analyst", Role.ANALYST)
    body = await ask(
        'mutation { createMerchant(input: { key: "a", name: "A", category: "" }) { merchant { id } errors { code } } }',
        by=analyst,
    )
    assert body == {"data": {"createMerchant": {"merchant": None, "errors": [{"code": "NOT_ALLOWED"}]}}}
    assert await clean_database.fetchval("SELECT count(*) FROM merchant") == 0


async def test_what_has_no_errors_to_carry_it_is_refused_at_the_top(ask) -> None:
    event = '{ id: "1", type: SENT, occurredAt: "2026-01-01T00:00:00Z", userId: "u" }'
    mutation = f"mutation {{ recordEvents(events: [{event}]) {{ accepted }} }}"
    body = await ask(mutation, by=Principal(2, "analyst", Role.ANALYST))
    assert body["data"] is None
    assert body["errors"][0]["extensions"]["code"] == "NOT_ALLOWED"


@pytest.mark.parametrize(
    "query", ["{ portfolio { active } }", "{ topCampaigns { rank } }", '{ merchant(id: "x") { metrics { sent } } }']
)
async def test_figures_are_not_for_every_role(ask, clean_database, query: str) -> None:
    await clean_database.execute("INSERT INTO merchant (key, name, category) VALUES ('x', 'X', '')")
    for role, allowed in ((Role.ADMIN, True), (Role.ANALYST, True), (Role.SENDER, False), (Role.CLIENT, False)):
        body = await ask(query, by=Principal(2, role.value, role))
        assert ("errors" not in body) is allowed
        assert allowed or body["errors"][0]["extensions"]["code"] == "NOT_ALLOWED"


async def test_introspection_works(ask) -> None:
    body = await ask('{ __schema { queryType { name fields { name } } } __type(name: "Campaign") { name } }')
    assert "campaigns" in {field["name"] for field in body["data"]["__schema"]["queryType"]["fields"]}


@pytest.mark.parametrize(
    ("setting", "value", "query"),
    [
        ("max_query_tokens", 5, "{ portfolio { active campaigns } }"),
        ("max_query_depth", 1, "{ portfolio { active } }"),
        ("max_query_aliases", 0, "{ p: portfolio { active } }"),
        ("max_query_complexity", 3, "{ campaigns(first: 2) { nodes { id } } }"),
    ],
)
async def test_operations_past_a_limit_are_not_executed(
    schema, context, settings, statements, setting: str, value: int, query: str
) -> None:
    strict = Operations(schema, settings.model_copy(update={setting: value}))
    with statements.watched() as seen:
        answer = await strict.execute(Request(query, {}, None), context)
    assert not answer.executed
    assert answer.errors[0]["extensions"]["code"] == "TOO_LARGE"
    assert [statement for statement in seen if "FROM ab_test WHERE" not in statement] == []
    usual = await Operations(schema, settings).execute(Request(query, {}, None), context)
    assert usual.executed


async def test_variables_decide_where_the_bound_is_past_the_limit(schema, context, settings) -> None:
    strict = Operations(schema, settings.model_copy(update={"max_query_complexity": 30}))
    query = "query($n: Int) { campaigns(first: $n) { nodes { id } } }"
    assert (await strict.execute(Request(query, {"n": 10}, None), context)).executed
    assert not (await strict.execute(Request(query, {"n": 20}, None), context)).executed


@pytest.mark.parametrize("length", [50, 150, 200, 250, 300, 500])
async def test_chains_of_fragments_are_answered_or_refused(ask, length: int) -> None:
    chain = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(length))
    body = await ask(f"{{ ...F0 }} {chain} fragment F{length} on Query {{ __typename }}")
    if length == 50:
        assert body == {"data": {"__typename": "Query"}}
    else:
        assert body.get("data") or body["errors"][0]["extensions"]["code"] in {"TOO_LARGE", "INVALID_INPUT"}


async def test_mutations_are_not_executed_where_only_queries_may_be(schema, context, settings, clean_database) -> None:
    mutation = 'mutation { createMerchant(input: { key: "a", name: "A", category: "B" }) { merchant { id } } }'
    with pytest.raises(NotByGet):
        await Operations(schema, settings).execute(Request(mutation, {}, None), context, only_queries=True)
    assert await clean_database.fetchval("SELECT count(*) FROM merchant") == 0


async def test_documents_are_parsed_and_validated_once(schema, context, settings, monkeypatch) -> None:
    operations = Operations(schema, settings)
    parsed = []
    monkeypatch.setattr("graph.documents.parse", lambda text, **options: parsed.append(text) or parse(text, **options))
    for _ in range(3):
        assert (await operations.execute(Request("{ __typename }", {}, None), context)).executed
    assert parsed == ["{ __typename }"]


async def test_what_is_remembered_is_bounded(schema, context, settings) -> None:
    operations = Operations(schema, settings)
    for number in range(REMEMBERED_DOCUMENTS + 20):
        await operations.execute(Request(f"{{ a{number}: __typename }}", {}, None), context)
    await operations.execute(Request("{ __typename }" + " " * REMEMBERED_CHARACTERS, {}, None), context)
    remembered = operations._documents._remembered
    assert len(remembered) == REMEMBERED_DOCUMENTS
    assert all(len(text) <= REMEMBERED_CHARACTERS for text in remembered)

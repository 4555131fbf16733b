"""What a replica may answer, and what is told where there is none; with one, see tests/app/store/replication."""

import pytest

from app.runtime.settings import Settings
from graph.answers import Request
from graph.documents import Documents
from graph.freshness import may_be_stale


@pytest.mark.parametrize(
    ("query", "may"),
    [
        ("{ campaigns { edges { node { key } } } }", True),
        ("{ __typename }", True),
        ('{ test(id: "a") { name } portfolio { metrics { sent } } }', True),
        ('{ job(id: "a") { status } }', False),
        ('{ now: job(id: "a") { status } __typename }', False),
        ('{ ... { ...A } } fragment A on Query { ... on Query { job(id: "a") { status } } }', False),
        ("query A { ...B } fragment B on Query { campaigns { totalCount } }", True),
        ('mutation { endTest(id: "a") { errors { code } } }', False),
        ('subscription { job(id: "a") { status } }', False),
    ],
)
def test_queries_may_be_old_unless_a_field_has_to_be_current(schema, settings: Settings, query: str, may: bool) -> None:
    document = Documents(schema.core, settings).read(Request(query, {}, None))
    assert [error.message for error in document.errors] == []
    assert may_be_stale(schema.core, document.operation(None)) is may


async def test_without_a_replica_everything_is_of_now(ask, services) -> None:
    told = (await ask("{ freshness { source lagSeconds asOf } }"))["data"]["freshness"]
    assert (told["source"], told["lagSeconds"]) == ("PRIMARY", 0)
    assert services.staleness.reading() is None
    assert services.staleness.headers(None) == ()
    assert services.staleness.state() == {}

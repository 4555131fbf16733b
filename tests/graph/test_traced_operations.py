"""An operation is one span, and its SQL lies below it."""

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.asgi import assembled
from app.auth.principals import Principal, Role
from app.runtime.broadcast import LocalBroadcast
from app.runtime.clock import SystemClock
from app.runtime.tracing import tracing
from app.store.database import Database
from graph.context import Context
from graph.operations import Operations, Request


async def test_an_operation_is_a_span_with_its_kind_name_and_errors(ask, settings) -> None:
    exporter = InMemorySpanExporter()
    with tracing(settings, exporter=exporter):
        await ask("query Names { campaigns(first: 1) { totalCount } }")
        await ask('{ test(id: "none") { name } campaign(id: "cmp_x!") { name } }')
        await ask('mutation Begin { startTest(id: "none") { errors { code } } }')
    spans = {span.name: span for span in exporter.get_finished_spans() if span.name.startswith("graphql")}
    assert sorted(spans) == ["graphql mutation Begin", "graphql query", "graphql query Names"]
    assert dict(spans["graphql query Names"].attributes) == {
        "graphql.operation.type": "query",
        "graphql.operation.name": "Names",
        "winnow.errors": 0,
    }


async def test_statements_lie_below_their_operation(settings, new_database, schema) -> None:
    exporter = InMemorySpanExporter()
    with tracing(settings, exporter=exporter):
        database = await Database.open(await new_database(), default=False)
        async with assembled(database, LocalBroadcast(), SystemClock()) as assembly:
            context = Context(Principal(1, "tests", Role.ADMIN), assembly.services)
            await Operations(schema, settings).execute(Request("{ campaigns { nodes { key } } }", {}, None), context)
        await database.close()
    spans = exporter.get_finished_spans()
    (operation,) = [span for span in spans if span.name == "graphql query"]
    below = [span for span in spans if span.parent and span.parent.span_id == operation.context.span_id]
    assert below
    assert all(span.name.startswith("SQL ") for span in below)

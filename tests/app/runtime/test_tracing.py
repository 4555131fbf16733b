"""Spans as a collector gets them; and nothing at all where none is configured."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.runtime import tracing as module
from app.runtime.settings import Settings
from app.runtime.tracing import is_tracing, server_span, span, tracing
from app.store.database import Database

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


def test_nothing_is_made_without_a_collector(settings):
    with tracing(settings), span("job train", job__id=1) as opened:
        opened.set_attribute("any", 1)
        assert not is_tracing()
        assert span("one") is span("other")


def test_spans_nest_and_keep_attributes_and_errors(settings, exporter):
    with (
        tracing(settings, exporter=exporter),
        pytest.raises(ValueError, match="broken"),
        span("outer", job__kind="train"),
        span("inner"),
    ):
        raise ValueError("broken")
    inner, outer = exporter.get_finished_spans()
    assert (inner.name, outer.name) == ("inner", "outer")
    assert inner.parent.span_id == outer.context.span_id
    assert outer.attributes == {"job.kind": "train", "error.type": "ValueError"}
    assert inner.attributes["error.type"] == "ValueError"
    assert [inner.status.is_ok, inner.events] == [False, ()]  # a message may hold values
    assert not is_tracing()


def test_a_request_goes_on_with_its_caller_s_trace(settings, exporter):
    headers = [(b"traceparent", f"00-{TRACE}-{PARENT}-01".encode()), (b"authorization", b"Bearer wnw_secret")]
    with tracing(settings, exporter=exporter), server_span("POST", headers, http__request__method="POST") as opened:
        opened.update_name("POST /graphql")
    (request,) = exporter.get_finished_spans()
    assert f"{request.context.trace_id:032x}" == TRACE
    assert f"{request.parent.span_id:016x}" == PARENT
    assert (request.name, request.kind.name) == ("POST /graphql", "SERVER")
    assert "secret" not in str(dict(request.attributes))


async def test_each_statement_is_a_span_without_its_values(settings, exporter, new_database):
    with tracing(settings, exporter=exporter):
        database = await Database.open(await new_database(), default=False)
        with span("outer"):
            assert await database.fetchval("SELECT $1::text", "secret") == "secret"
            async with database.transaction() as connection:
                await connection.execute("SELECT 1")
        await database.close()
    statements = [one for one in exporter.get_finished_spans() if one.name.startswith("SQL")]
    texts = [one.attributes["db.query.text"] for one in statements]
    assert [text for text in texts if text in {"SELECT $1::text", "SELECT 1"}] == ["SELECT $1::text", "SELECT 1"]
    (outer,) = [one for one in exporter.get_finished_spans() if one.name == "outer"]
    asked = [one for one in statements if one.attributes["db.query.text"] == "SELECT $1::text"]
    assert asked[0].parent.span_id == outer.context.span_id
    assert all("secret" not in str(dict(one.attributes)) for one in statements)


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_collector_gets_what_is_left_when_the_process_stops(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.got = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        settings = Settings(data_dir=tmp_path, otlp_endpoint=f"http://127.0.0.1:{server.server_port}")
        with tracing(settings), span("last"):
            pass
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    ((path, request),) = server.got
    resource = request.resource_spans[0]
    assert path == "/v1/traces"
    assert resource.scope_spans[0].spans[0].name == "last"
    assert {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"] == module.SERVICE

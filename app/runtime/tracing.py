"""OpenTelemetry spans: of requests, operations, SQL statements and jobs. Nothing is spent on them unless configured.

Configured once a process, as logging is: OTEL_EXPORTER_OTLP_ENDPOINT names a collector, and the SDK reads the other
variables of the OpenTelemetry specification (headers, sampling, resource attributes) by itself.
"""

from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any, Protocol

from app.errors import InvalidInput
from app.runtime.settings import Settings

SERVICE = "winnow"
INSTALL = "pip install 'winnow[telemetry]'"

type Value = str | int | float | bool


class Span(Protocol):
    """Something that goes on, and what is known of it."""

    def set_attribute(self, key: str, value: Value) -> object:
        """Keep a value with the span."""
        ...

    def update_name(self, name: str) -> object:
        """Call the span by what is known of it by now."""
        ...


class _NoSpan:
    def set_attribute(self, key: str, value: Value) -> object:
        """Keep nothing."""

    def update_name(self, name: str) -> object:
        """Keep nothing."""


class _State:
    """The tracer of the process, where one is configured, and what reads a caller's trace from headers."""

    tracer: Any = None
    extract: Callable[[dict[str, str]], Any] | None = None


_NOTHING = nullcontext(_NoSpan())


def is_tracing() -> bool:
    """Tell whether spans go anywhere."""
    return _State.tracer is not None


def span(name: str, **attributes: Value) -> AbstractContextManager[Span]:
    """Open a span below the present one; of an error that leaves it the type is kept: messages may hold values.

    Attributes are named as in OpenTelemetry's conventions, with `__` for a dot.
    """
    tracer = _State.tracer
    if tracer is None:
        return _NOTHING
    return _opened(tracer.start_as_current_span(name, attributes=_dotted(attributes), **_UNRECORDED))


def server_span(name: str, headers: Iterable[tuple[bytes, bytes]], **attributes: Value) -> AbstractContextManager[Span]:
    """Open the span of a request, below the caller's where its headers name one."""
    tracer, extract = _State.tracer, _State.extract
    if tracer is None or extract is None:
        return _NOTHING
    from opentelemetry.trace import SpanKind

    carrier = {key.decode("latin-1"): value.decode("latin-1") for key, value in headers}
    opened = tracer.start_as_current_span(
        name, context=extract(carrier), kind=SpanKind.SERVER, attributes=_dotted(attributes), **_UNRECORDED
    )
    return _opened(opened)


_UNRECORDED = {"record_exception": False, "set_status_on_exception": False}


@contextmanager
def _opened(opened: AbstractContextManager[Any]) -> Generator[Span]:
    with opened as inner:
        try:
            yield inner
        except Exception as error:
            from opentelemetry.trace import StatusCode

            inner.set_attribute("error.type", type(error).__qualname__)
            inner.set_status(StatusCode.ERROR)
            raise


@contextmanager
def tracing(settings: Settings, *, exporter: Any = None) -> Generator[None]:
    """Send spans while the context lasts: to the settings' collector, or to an exporter; at the end what is left."""
    if exporter is None and settings.otlp_endpoint is None:
        yield
        return
    provider = _provider(exporter, settings.otlp_endpoint)
    from opentelemetry.propagate import extract

    _State.tracer, _State.extract = provider.get_tracer(SERVICE), extract
    try:
        yield
    finally:
        _State.tracer = _State.extract = None
        provider.shutdown()


def _provider(exporter: Any, endpoint: str | None) -> Any:
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise InvalidInput(f"OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed: {INSTALL}")
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
    provider.add_span_processor(BatchSpanProcessor(_otlp(endpoint) if exporter is None else exporter))
    return provider


def _otlp(endpoint: str | None) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=f"{(endpoint or '').rstrip('/')}/v1/traces")


def _dotted(attributes: dict[str, Value]) -> dict[str, Value]:
    return {name.replace("__", "."): value for name, value in attributes.items()}

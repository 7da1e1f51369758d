"""OpenTelemetry traces, if OTEL_EXPORTER_OTLP_ENDPOINT names a collector; otherwise nothing is imported.

The packages come with the extra `otel`. The exporter reads the rest of the OTEL_ variables itself: headers, timeouts,
sampling, service name.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

P = ParamSpec("P")
T = TypeVar("T")
AsyncFunction = Callable[P, Coroutine[Any, Any, T]]
FLUSH_TIMEOUT_MS = 2_000


class TracingError(RuntimeError):
    """Traces are configured but cannot be sent."""


class NoSpan:
    """A span that records nothing; also the part of OpenTelemetry's interface that is used."""

    def set_attribute(self, key: str, value: str | int | float | bool) -> None:
        """Do nothing."""

    def update_name(self, name: str) -> None:
        """Do nothing."""


_NO_SPAN: AbstractContextManager[Any] = nullcontext(NoSpan())
_tracer: Tracer | None = None
_provider: TracerProvider | None = None


def tracing_start(endpoint: str, *, service: str) -> None:
    """Start sending spans to the collector; without an endpoint do nothing. Raises `TracingError`."""
    global _tracer, _provider
    if not endpoint or _provider is not None:
        return
    tracing_check(endpoint)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = Resource({SERVICE_NAME: service}).merge(OTELResourceDetector().detect())  # OTEL_SERVICE_NAME wins
    _provider = TracerProvider(resource=named)
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = _provider.get_tracer("wattstream")


def tracing_check(endpoint: str) -> None:
    """Raise `TracingError` if there is an endpoint but traces cannot be sent."""
    if not endpoint:
        return
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter
        import opentelemetry.sdk.trace.export  # noqa: F401
    except ImportError as error:
        raise TracingError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, but the packages of the extra otel are missing ({error.name}):"
            " install requirements/otel.lock, or unset it"
        ) from None


def tracing_stop() -> None:
    """Send the remaining spans; blocks for at most FLUSH_TIMEOUT_MS and the exporter's own timeout."""
    global _tracer, _provider
    provider, _tracer, _provider = _provider, None, None
    if provider is not None:
        provider.force_flush(FLUSH_TIMEOUT_MS)
        provider.shutdown()


def span(name: str, attributes: Mapping[str, str | int] | None = None) -> AbstractContextManager[Any]:
    """A span around a block; its value has `set_attribute` and `update_name`. An exception marks it as failed."""
    if _tracer is None:
        return _NO_SPAN
    return _tracer.start_as_current_span(name, attributes=attributes)


def request_span(parent: Mapping[str, str]) -> AbstractContextManager[Any]:
    """The span of a request to this server; `parent` may hold a `traceparent` (W3C Trace Context)."""
    if _tracer is None:
        return _NO_SPAN
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract(parent)
    return _tracer.start_as_current_span("request", context=context, kind=SpanKind.SERVER)


def traced(name: str) -> Callable[[AsyncFunction[P, T]], AsyncFunction[P, T]]:
    """A span around an asynchronous function."""

    def decorate(function: AsyncFunction[P, T]) -> AsyncFunction[P, T]:
        @wraps(function)
        async def inside(*args: P.args, **kwargs: P.kwargs) -> T:
            with span(name):
                return await function(*args, **kwargs)

        return inside

    return decorate

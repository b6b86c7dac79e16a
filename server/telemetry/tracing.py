"""OpenTelemetry traces of requests: a span an rpc, with its route, engine, checks and record within.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set; OpenTelemetry's own variables say the rest (sampler, headers,
resource). A caller's `traceparent` metadatum makes the rpc part of the caller's trace. Spans hold names,
digests and numbers; an error is its type alone, as the text of a foreign one may quote a report.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from radimpress.reports.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_CARRIED = ("traceparent", "tracestate")
_PROPAGATOR = TraceContextTextMapPropagator()


class Trace:
    """A span that ends with its block, and whose children name it as their parent.

    Parents are passed on by hand and not by a context variable, so that an async generator may be closed
    from anywhere.

    Args:
        tracer: begins the children; None is a trace that is off, and does nothing.
        span: the span.
    """

    __slots__ = ("_span", "_tracer")

    def __init__(self, tracer: Tracer | None = None, span: Span = INVALID_SPAN) -> None:
        self._tracer = tracer
        self._span = span

    def span(self, name: str, **attributes: str | float) -> Trace:
        """A child: "route", "engine", "checks", "record"."""
        if self._tracer is None:
            return self
        made = Trace(self._tracer, self._tracer.start_span(name, set_span_in_context(self._span)))
        made.note(**attributes)
        return made

    def note(self, **attributes: str | float) -> None:
        """Adds attributes, each named radimpress.<name>."""
        if self._tracer is not None:
            self._span.set_attributes({f"radimpress.{name}": value for name, value in attributes.items()})

    def __enter__(self) -> Trace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tracer is None:
            return
        if kind is not None:
            self._span.set_status(Status(StatusCode.ERROR, kind.__name__))
        self._span.end()


_OFF = Trace()


class Tracing:
    """Begins the spans of rpcs.

    Args:
        provider: where spans go; None is off.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("radimpress") if provider else None

    def rpc(self, method: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> Trace:
        """The span of an rpc.

        Args:
            method: as gRPC gives it, "/package.Service/Method".
            metadata: the call's, as gRPC gives it.
        """
        if self._tracer is None:
            return _OFF
        carrier = {key: str(value) for key, value in metadata or () if key in _CARRIED}
        service, _, name = method.removeprefix("/").partition("/")
        span = self._tracer.start_span(
            f"{service}/{name}",
            _PROPAGATOR.extract(carrier),
            SpanKind.SERVER,
            {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        )
        return Trace(self._tracer, span)

    def close(self) -> None:
        """Sends what is left; takes as long as OTEL_EXPORTER_OTLP_TIMEOUT where nobody listens."""
        if self._provider is not None:
            self._provider.shutdown()


def open_tracing(server: str) -> Tracing:
    """Tracing as the environment wants it.

    Args:
        server: this server's name, service.instance.id of its spans.

    Raises:
        ConfigError: traces are wanted, and the extra that sends them is not installed.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return Tracing()
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigError(f"{_ENDPOINTS[0]} is set, and radimpress[otel] is not installed") from None
    service = os.environ.get("OTEL_SERVICE_NAME") or "radimpress"
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.instance.id": server}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)

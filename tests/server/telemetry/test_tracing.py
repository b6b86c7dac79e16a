from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from radimpress.reports.errors import ConfigError
from radimpress.server.telemetry import Tracing, open_tracing

GENERATE = "/radimpress.v1.ImpressionService/GenerateImpression"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def kept() -> tuple[Tracing, InMemorySpanExporter]:
    """Tracing whose spans stay in memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider), exporter


def named(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def test_the_steps_of_an_rpc_are_its_children(kept: tuple[Tracing, InMemorySpanExporter]) -> None:
    tracing, exporter = kept
    with tracing.rpc(GENERATE, ()) as trace:
        for step in ("route", "engine", "checks", "record"):
            with trace.span(step):
                pass
    spans = named(exporter)
    root = spans.pop(GENERATE[1:])
    assert root.parent is None
    assert set(spans) == {"route", "engine", "checks", "record"}
    assert {span.parent.span_id for span in spans.values() if span.parent} == {root.context.span_id}


def test_a_span_says_which_adapter_slice_and_table(kept: tuple[Tracing, InMemorySpanExporter]) -> None:
    tracing, exporter = kept
    with tracing.rpc(GENERATE, None) as trace:
        trace.note(adapter="unified@1", digest="d" * 64, cell="CT/list", table=3)
        with trace.span("engine", tokens=20):
            pass
    attributes = named(exporter)[GENERATE[1:]].attributes or {}
    assert attributes["radimpress.digest"] == "d" * 64
    assert (attributes["radimpress.cell"], attributes["radimpress.table"]) == ("CT/list", 3)
    assert (attributes["rpc.service"], attributes["rpc.method"]) == (
        "radimpress.v1.ImpressionService",
        "GenerateImpression",
    )
    assert (named(exporter)["engine"].attributes or {})["radimpress.tokens"] == 20


def test_the_callers_trace_goes_on(kept: tuple[Tracing, InMemorySpanExporter]) -> None:
    tracing, exporter = kept
    with tracing.rpc(GENERATE, (("authorization", "Bearer x"), ("traceparent", PARENT))) as trace, trace.span("route"):
        pass
    spans = named(exporter)
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {PARENT.split("-")[1]}
    parent = spans[GENERATE[1:]].parent
    assert parent is not None
    assert f"{parent.span_id:016x}" == PARENT.split("-")[2]


@pytest.mark.parametrize("nonsense", ["", "nonsense", "00-0-0-0", "x" * 4000])
def test_a_traceparent_that_is_none_begins_a_trace(kept: tuple[Tracing, InMemorySpanExporter], nonsense: str) -> None:
    tracing, exporter = kept
    with tracing.rpc(GENERATE, (("traceparent", nonsense),)):
        pass
    assert named(exporter)[GENERATE[1:]].parent is None


def test_an_error_is_its_type_and_never_its_text(kept: tuple[Tracing, InMemorySpanExporter]) -> None:
    tracing, exporter = kept
    with pytest.raises(ValueError, match="left lung"), tracing.rpc(GENERATE, ()) as trace, trace.span("engine"):
        raise ValueError("a nodule in the left lung")
    for span in exporter.get_finished_spans():
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
        assert "left lung" not in span.to_json()
        assert not span.events


def test_a_generator_that_is_closed_elsewhere_ends_its_span(kept: tuple[Tracing, InMemorySpanExporter]) -> None:
    tracing, exporter = kept

    def pieces() -> Iterator[int]:
        with tracing.rpc(GENERATE, ()) as trace, trace.span("engine"):
            yield 1
            yield 2

    going = pieces()
    next(going)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(going.close).result()  # type: ignore[attr-defined]
    assert set(named(exporter)) == {GENERATE[1:], "engine"}


def test_what_is_off_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    tracing = open_tracing("here")
    with tracing.rpc(GENERATE, (("traceparent", PARENT),)) as trace, trace.span("route", table=1) as within:
        within.note(adapter="unified@1")
        assert within is trace
    tracing.close()


def test_traces_that_are_wanted_and_cannot_be_sent_are_a_setting_at_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(ConfigError, match=r"radimpress\[otel\]"):
        open_tracing("here")


@contextmanager
def collecting() -> Iterator[tuple[str, list[Any]]]:
    """A collector on loopback: its address, and the requests that it took."""
    taken: list[Any] = []

    class Collector(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
            taken.append(request)
            return trace_service_pb2.ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Collector(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}", taken
    finally:
        server.stop(None).wait()


def test_a_collector_gets_every_span_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as (endpoint, taken):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        tracing = open_tracing("server-1")
        with tracing.rpc(GENERATE, ()) as trace, trace.span("route"):
            pass
        tracing.close()
    resources = [each for request in taken for each in request.resource_spans]
    names = {span.name for each in resources for scope in each.scope_spans for span in scope.spans}
    who = {pair.key: pair.value.string_value for pair in resources[0].resource.attributes}
    assert names == {GENERATE[1:], "route"}
    assert (who["service.name"], who["service.instance.id"]) == ("radimpress", "server-1")

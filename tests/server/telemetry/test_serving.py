"""What a real server shows of one request, and what it does not."""

from __future__ import annotations

import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from radimpress.server.client import Client
from tests.server.conftest import CT_LIST, FINDINGS, Site
from tests.server.telemetry.test_tracing import collecting

SECRET = "a spiculated nodule of the left upper lobe"
ASKED = {"findings": f"{FINDINGS} There is {SECRET}.", "modality": "CT", "clinic": "alder"}


def free() -> str:
    """An address of loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def page(address: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
        return str(answer.read().decode())


@contextmanager
def traced(site: Site, monkeypatch: pytest.MonkeyPatch, **given: Any) -> Iterator[tuple[str, list[Any]]]:
    """A server that sends its traces to a collector: its address, and what the collector took."""
    with collecting() as (endpoint, taken):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        with site.serving(**given) as address:
            yield address, taken


def test_a_request_shows_in_the_metrics_of_its_adapter_and_slice(site: Site) -> None:
    site.promote(site.first, CT_LIST)
    listen = free()
    with site.serving(metrics_listen=listen) as address, Client(address) as client:
        client.generate(**ASKED)
        assert page(listen, "/livez") == "OK\n"
        assert page(listen, "/readyz") == "OK\n"
        shown = page(listen, "/metrics")
    labels = 'adapter="unified@1",arm="incumbent",cluster="list",modality="CT"'
    assert re.search(rf'^radimpress_answers_total\{{{labels},reason="cell"\}} 1.0$', shown, re.MULTILINE)
    assert f"radimpress_first_token_seconds_count{{{labels}}} 1.0" in shown
    assert f"radimpress_route_table {site.registry.table().number}.0" in shown
    assert 'code="OK",method="radimpress.v1.ImpressionService/GenerateImpression"} 1.0' in shown
    assert "nodule" not in shown


def test_a_request_answered_before_is_a_call_and_no_new_answer(site: Site) -> None:
    listen = free()
    with site.serving(metrics_listen=listen) as address, Client(address) as client:
        for _ in range(3):
            client.generate(**ASKED, request_id="mine")
        shown = page(listen, "/metrics")
    assert 'method="radimpress.v1.ImpressionService/GenerateImpression"} 3.0' in shown
    assert re.findall(r"^radimpress_answers_total\{.*\} (.*)$", shown, re.MULTILINE) == ["1.0"]


def test_a_request_is_a_trace_of_its_steps_without_its_text(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = site.promote(site.first, CT_LIST)
    with traced(site, monkeypatch) as (address, taken), Client(address) as client:
        client.generate(**ASKED)
    spans = {
        span.name: span
        for request in taken
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    root = spans.pop("radimpress.v1.ImpressionService/GenerateImpression")
    assert set(spans) == {"route", "engine", "checks", "record"}
    assert {span.parent_span_id for span in spans.values()} == {root.span_id}
    told = {pair.key: pair.value for pair in root.attributes}
    assert told["radimpress.digest"].string_value == adapter.digest
    assert told["radimpress.cell"].string_value == "CT/list"
    assert told["radimpress.table"].int_value == site.registry.table().number
    assert all(b"nodule" not in request.SerializeToString() for request in taken)


def test_no_request_waits_for_a_collector_that_is_not_there(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{free()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with site.serving() as address, Client(address) as client:
        client.generate(**ASKED)
        began = time.monotonic()
        for number in range(20):
            client.generate(**ASKED, request_id=f"r{number}")
        assert time.monotonic() - began < 5

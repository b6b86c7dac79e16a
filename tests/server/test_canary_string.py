"""A string that stands in a report's every field, looked for in all that a server says and keeps.

What is asked and answered holds it, so that it would be found: each kind of place is shown to be looked
into by what must be there.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.rpc import status_pb2

from radimpress.server.registry import Registry
from radimpress.server.security.sealing import make_key
from radimpress.v1 import impression_pb2, impression_pb2_grpc
from tests.server.conftest import CT_LIST, certificate, clusters
from tests.server.processes import Asker, Running, free_port, started

_CANARY = "Zyxwitterian hepatosplenomegaly"
_FINDINGS = (
    f"The liver shows {_CANARY} of 5 mm on the left side. The heart is of normal size. No pneumothorax is seen, "
    "and the lungs are clear on both sides."
)
_TOKEN = "a-token-that-must-not-be-written-down-either"
_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_PARROT = (sys.executable, str(Path(__file__).with_name("parrot.py")), "serve")


@contextmanager
def _collector() -> Iterator[tuple[str, list[bytes]]]:
    """Takes OpenTelemetry's traces as a collector does; gives its URL and what it got."""
    got: list[bytes] = []

    def export(request: bytes, context: object) -> bytes:
        del context
        got.append(request)
        return b""

    service, _, method = _EXPORT[1:].rpartition("/")
    server = grpc.server(futures.ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler(export)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", got
    server.stop(None)


def _report(**changes: str) -> impression_pb2.ReportInput:
    given: dict[str, Any] = {
        "findings": _FINDINGS,
        "modality": "CT",
        "clinic": "alder",
        "exam": f"CT of {_CANARY}",
        "indication": f"Query {_CANARY}.",
        "comparison": f"Earlier {_CANARY}.",
        **changes,
    }
    return impression_pb2.ReportInput(**given)


def _errors(asker: Asker) -> Iterator[str]:
    """What the server says to requests that cannot be answered, details and trailers."""
    stub = impression_pb2_grpc.ImpressionServiceStub(asker.channel)
    metadata = (("authorization", f"Bearer {_TOKEN}"),)
    generate, stream = impression_pb2.GenerateImpressionRequest, impression_pb2.StreamImpressionRequest
    final = impression_pb2.RecordFinalImpressionRequest
    calls: list[tuple[Any, Any, dict[str, Any]]] = [
        (stub.GenerateImpression, generate(report=_report(findings=f"{_CANARY} falls over {_FINDINGS}")), {}),
        (stub.StreamImpression, stream(report=_report(findings=f"{_CANARY} falls over {_FINDINGS}")), {}),
        (stub.GenerateImpression, generate(report=_report(findings=_CANARY * 1000)), {}),
        (stub.GenerateImpression, generate(report=_report(exam=_CANARY * 1000)), {}),
        (stub.GenerateImpression, generate(report=_report(modality=_FINDINGS)), {}),
        (stub.GenerateImpression, generate(request_id="one", report=_report(exam="another")), {}),
        (stub.GenerateImpression, generate(report=_report(clinic="elm")), {}),
        (stub.GenerateImpression, generate(report=_report()), {"metadata": ()}),
        (stub.GenerateImpression, generate(report=_report(findings=_FINDINGS * 10_000)), {}),
        (stub.RecordFinalImpression, final(request_id="nobody", report=_report(), final_impression=_CANARY), {}),
        (stub.RecordFinalImpression, final(request_id="one", report=_report(exam="x"), final_impression=_CANARY), {}),
        (stub.RecordFinalImpression, final(request_id="one", report=_report(), final_impression=_CANARY * 1000), {}),
    ]
    for call, request, changes in calls:
        with pytest.raises(grpc.RpcError) as caught:
            _read(call(request, **{"metadata": metadata, "timeout": 30, **changes}))
        error: Any = caught.value
        yield f"{error.code().name} {error.details()}"
        for key, value in error.trailing_metadata() or ():
            yield str(status_pb2.Status.FromString(value)) if key == "grpc-status-details-bin" else str(value)


def _read(answer: Any) -> None:
    """A stream to its end."""
    if hasattr(answer, "__next__"):
        list(answer)


def _talk(running: Running) -> tuple[str, list[str]]:
    """Has every rpc that takes a report answered, and refused; gives an answer's text and all errors."""
    metadata = (("authorization", f"Bearer {_TOKEN}"),)
    with Asker(running.address, _TOKEN) as asker:
        stub = impression_pb2_grpc.ImpressionServiceStub(asker.channel)
        request = impression_pb2.GenerateImpressionRequest(request_id="one", report=_report())
        answer = stub.GenerateImpression(request, metadata=metadata, timeout=30).impression
        list(
            stub.StreamImpression(
                impression_pb2.StreamImpressionRequest(request_id="two", report=_report()),
                metadata=metadata,
                timeout=30,
            )
        )
        batch = [
            impression_pb2.BatchImpressionsRequest(request_id="three", report=_report()),
            impression_pb2.BatchImpressionsRequest(request_id="four", report=_report(modality=_FINDINGS)),
        ]
        failures = [
            str(one.failure)
            for one in stub.BatchImpressions(iter(batch), metadata=metadata, timeout=30)
            if one.HasField("failure")
        ]
        assert len(failures) == 1
        signed = impression_pb2.RecordFinalImpressionRequest(
            request_id="one", report=_report(), final_impression=f"{_CANARY}, signed."
        )
        stub.RecordFinalImpression(signed, metadata=metadata, timeout=30)
        return answer.text, [*failures, *_errors(asker)]


def _files(folder: Path) -> dict[str, bytes]:
    """All that a server wrote there, by name, but for what it was given."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def kept(tmp_path: Path, fake_bundles: Path) -> Path:
    """A folder with a registry in which an adapter serves, and a token of the clinic alder."""
    folder = tmp_path / "kept"
    folder.mkdir()
    registry = Registry(f"sqlite:///{folder / 'registry.db'}", fake_bundles)
    registry.adopt(clusters())
    adapter = registry.register(next((fake_bundles / "unified").iterdir()).relative_to(fake_bundles).as_posix())
    registry.promote(adapter, certificate(adapter, CT_LIST))
    registry.close()
    digest = hashlib.sha256(_TOKEN.encode()).hexdigest()
    tokens = folder / "tokens.toml"
    tokens.write_text(
        f'[[token]]\nsha256 = "{digest}"\nsubject = "ris"\nrole = "clinic"\nclinics = ["alder"]\n', "utf-8"
    )
    return folder


@contextmanager
def _parrot(kept: Path, fake_bundles: Path, **settings: object) -> Iterator[Running]:
    given = {
        "registry": f"sqlite:///{kept / 'registry.db'}",
        "bundles": fake_bundles,
        "audit": kept / "audit",
        "tokens": kept / "tokens.toml",
        "log_level": "debug",
        **settings,
    }
    with started(kept, command=_PARROT, **given) as running:  # type: ignore[arg-type]
        yield running


def test_no_word_of_a_report_is_written_down_or_told_anywhere(
    kept: Path, fake_bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = kept.parent / "sealing.key"
    key.write_text(make_key(), "utf-8")
    key.chmod(0o600)
    port = free_port()
    with _collector() as (url, traces):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        settings = {"metrics_listen": f"127.0.0.1:{port}", "feedback_keys": f'["{key}"]'}
        with _parrot(kept, fake_bundles, **settings) as running:
            text, errors = _talk(running)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                metrics = answer.read()
            assert psutil.Process(running.pid).rlimit(psutil.RLIMIT_CORE) == (0, 0)
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(30) == 0
    # It went in and came out, so that it can only be missing where it was left out.
    assert _CANARY in text
    files = _files(kept)
    places = {**files, "metrics": metrics, "traces": b"".join(traces), "errors": "\n".join(errors).encode()}
    found = [name for name, data in places.items() if _CANARY.encode() in data or b"Zyxwitterian" in data]
    assert not found
    assert not [name for name, data in places.items() if _TOKEN.encode() in data]
    # Each place was looked into: this is what must be there.
    assert b"radimpress" in places["metrics"]
    assert b"GenerateImpression" in places["traces"]
    assert b"alder" in files["registry.db"] + files.get("registry.db-wal", b"")
    assert b"GenerateImpression" in files[running.log.name]
    assert any(b"GenerateImpression" in data for name, data in files.items() if name.endswith(".jsonl"))
    assert "INTERNAL internal error" in "\n".join(errors)


def test_without_a_key_the_journal_alone_holds_the_text(kept: Path, fake_bundles: Path) -> None:
    with _parrot(kept, fake_bundles) as running:
        text, _ = _talk(running)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
    assert _CANARY in text
    found = {name for name, data in _files(kept).items() if _CANARY.encode() in data}
    assert found
    assert found <= {"registry.db", "registry.db-wal"}


def test_a_server_that_is_aborted_leaves_no_core_file(kept: Path, fake_bundles: Path) -> None:
    before = set(kept.rglob("*"))
    with _parrot(kept, fake_bundles) as running, Asker(running.address, _TOKEN) as asker:
        asker.generate(findings=_FINDINGS)
        if os.access(f"/proc/{running.pid}/environ", os.R_OK) and os.getuid():
            raise AssertionError("the process's memory is open to its own user's other processes")
        running.process.send_signal(signal.SIGABRT)
        assert running.process.wait(30) == -signal.SIGABRT
        time.sleep(0.2)
    made = [path for path in set(kept.rglob("*")) - before if "core" in path.name]
    assert not made

"""A client of the bare stubs, as the tests of the services ask, and engines that say what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.fake import FakeEngine
from radimpress.trainer.bundle import AdapterBundle
from radimpress.v1 import adapter_pb2, adapter_pb2_grpc, impression_pb2, impression_pb2_grpc
from tests.server.conftest import FAKE_BASE, FINDINGS


def report_input(**report: Any) -> impression_pb2.ReportInput:
    """A report to ask about; findings are FINDINGS where nothing is said."""
    return impression_pb2.ReportInput(**{"findings": FINDINGS, **report})


class Peer:
    """Stubs of everything that a server offers, over one channel."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)
        self.impressions = impression_pb2_grpc.ImpressionServiceStub(self.channel)
        self.adapters = adapter_pb2_grpc.AdapterServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)
        self.reflection = reflection_pb2_grpc.ServerReflectionStub(self.channel)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def generate(self, request_id: str = "", timeout: float = 60.0, **report: Any) -> impression_pb2.Impression:
        request = impression_pb2.GenerateImpressionRequest(request_id=request_id, report=report_input(**report))
        return self.impressions.GenerateImpression(request, timeout=timeout).impression

    def stream(self, request_id: str = "", **report: str) -> list[impression_pb2.StreamImpressionResponse]:
        request = impression_pb2.StreamImpressionRequest(request_id=request_id, report=report_input(**report))
        return list(self.impressions.StreamImpression(request, timeout=60))

    def batch(self, **reports: dict[str, Any]) -> dict[str, impression_pb2.BatchImpressionsResponse]:
        requests = [
            impression_pb2.BatchImpressionsRequest(request_id=name, report=report_input(**report))
            for name, report in reports.items()
        ]
        answers = self.impressions.BatchImpressions(iter(requests), timeout=60)
        return {answer.request_id: answer for answer in answers}

    def sign(self, request_id: str, final: str, **report: Any) -> impression_pb2.RecordFinalImpressionResponse:
        request = impression_pb2.RecordFinalImpressionRequest(
            request_id=request_id, report=report_input(**report), final_impression=final
        )
        return self.impressions.RecordFinalImpression(request, timeout=60)

    def promote(self, name: str, given: bytes, expected: int = 0) -> adapter_pb2.RouteTable:
        request = adapter_pb2.PromoteAdapterRequest(name=name, certificate=given, expected_route_table=expected)
        return self.adapters.PromoteAdapter(request, timeout=60).route_table

    def register(self, path: str) -> adapter_pb2.Adapter:
        return self.adapters.RegisterAdapter(adapter_pb2.RegisterAdapterRequest(path=path), timeout=60).adapter

    def serving(self, service: str) -> bool:
        answer = self.health.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


class Saying(FakeEngine):
    """Writes these words, whatever it is asked, and keeps the prompts."""

    def __init__(self, words: str) -> None:
        super().__init__(FAKE_BASE)
        self.words = words
        self.asked: list[str] = []

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        del adapter, limits
        self.asked.append(prompt)
        yield Piece(self.words, "stop", 3, 3)


class Held(FakeEngine):
    """Begins, and then writes on only when it is let go; counts who is within."""

    def __init__(self) -> None:
        super().__init__(FAKE_BASE)
        self.inside = 0
        self.most = 0
        self.ended = 0
        self.go = False

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        del prompt, adapter, limits
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            yield Piece("Begun, but not yet ended")
            while not self.go:
                await asyncio.sleep(0.005)
            yield Piece(".", "stop", 1, 1)
        finally:
            self.inside -= 1
            self.ended += 1


def refused(code: grpc.StatusCode, caught: pytest.ExceptionInfo[grpc.RpcError]) -> str:
    """What a call says that ended with this code."""
    error: Any = caught.value
    assert error.code() is code, (error.code(), error.details())
    return str(error.details())


def fields(caught: pytest.ExceptionInfo[grpc.RpcError]) -> list[str]:
    """The fields that an INVALID_ARGUMENT names."""
    error: Any = caught.value
    raw = dict(error.trailing_metadata())["grpc-status-details-bin"]
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in status_pb2.Status.FromString(raw).details)
    return [violation.field for violation in bad.field_violations]

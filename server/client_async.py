"""The same client for asyncio: `radimpress.server.client.Client`, with await.

async with AsyncClient("radimpress.example.org:50051", roots=roots, token=token) as client:
    answer = await client.generate(findings="...", modality="CT", clinic="alder")
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Unpack

import grpc

from radimpress.server.client import ReportFields, fresh_id
from radimpress.server.client_channel import reach
from radimpress.server.client_errors import translated
from radimpress.v1 import impression_pb2, impression_pb2_grpc


class AsyncClient:
    """As `Client`, argument by argument; made and used within one running event loop."""

    def __init__(
        self,
        target: str | Sequence[str],
        *,
        token: str | Callable[[], str] = "",
        roots: bytes | None = None,
        certificate: bytes | None = None,
        key: bytes | None = None,
        server_name: str = "",
        timeout: float = 60.0,
    ) -> None:
        self._reach = reach(target, token=token, roots=roots, certificate=certificate, key=key, server_name=server_name)
        if self._reach.credentials is None:
            self._channel = grpc.aio.insecure_channel(self._reach.target, self._reach.options)
        else:
            self._channel = grpc.aio.secure_channel(self._reach.target, self._reach.credentials, self._reach.options)
        self._stub = impression_pb2_grpc.ImpressionServiceStub(self._channel)
        self._timeout = timeout

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection, and whatever still runs over it."""
        await self._channel.close(None)

    async def generate(self, *, request_id: str = "", **report: Unpack[ReportFields]) -> impression_pb2.Impression:
        """The whole impression, with who wrote it; cancelling the task cancels the request."""
        request = impression_pb2.GenerateImpressionRequest(
            request_id=request_id or fresh_id(), report=impression_pb2.ReportInput(**report)
        )
        with translated():
            answer = await self._stub.GenerateImpression(
                request, timeout=self._timeout, metadata=self._reach.metadata()
            )
        return answer.impression

    async def stream(
        self, *, request_id: str = "", **report: Unpack[ReportFields]
    ) -> AsyncGenerator[impression_pb2.StreamImpressionResponse, None]:
        """As `Client.stream`."""
        request = impression_pb2.StreamImpressionRequest(
            request_id=request_id or fresh_id(), report=impression_pb2.ReportInput(**report)
        )
        with translated():
            call = self._stub.StreamImpression(request, timeout=self._timeout, metadata=self._reach.metadata())
            try:
                async for event in call:
                    yield event
            finally:
                call.cancel()

    async def batch(
        self,
        requests: Iterable[impression_pb2.BatchImpressionsRequest]
        | AsyncIterable[impression_pb2.BatchImpressionsRequest],
        *,
        timeout: float | None = None,
    ) -> AsyncGenerator[impression_pb2.BatchImpressionsResponse, None]:
        """As `Client.batch`; the requests are read in this event loop."""
        failed: list[Exception] = []

        async def sent() -> AsyncGenerator[impression_pb2.BatchImpressionsRequest, None]:
            try:
                if isinstance(requests, AsyncIterable):
                    async for request in requests:
                        yield request
                else:
                    for request in requests:
                        yield request
            except Exception as error:
                failed.append(error)

        with translated():
            call = self._stub.BatchImpressions(sent(), timeout=timeout, metadata=self._reach.metadata())
            try:
                async for answer in call:
                    yield answer
            finally:
                call.cancel()
        if failed:
            raise failed[0]

    async def record_final(
        self, *, request_id: str, final_impression: str, **report: Unpack[ReportFields]
    ) -> impression_pb2.RecordFinalImpressionResponse:
        """As `Client.record_final`."""
        request = impression_pb2.RecordFinalImpressionRequest(
            request_id=request_id, final_impression=final_impression, report=impression_pb2.ReportInput(**report)
        )
        with translated():
            return await self._stub.RecordFinalImpression(
                request, timeout=self._timeout, metadata=self._reach.metadata()
            )

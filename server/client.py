"""A blocking client of ImpressionService; needs only grpcio and the stubs.

with Client("radimpress.example.org:50051", roots=roots, token=token) as client:
    answer = client.generate(findings="...", modality="CT", clinic="alder")
    print(answer.text, answer.provenance.adapter, answer.provenance.digest)
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Required, TypedDict, Unpack

import grpc

from radimpress.server.client_channel import reach
from radimpress.server.client_errors import translated
from radimpress.v1 import impression_pb2, impression_pb2_grpc


class ReportFields(TypedDict, total=False):
    """A report, field by field, as ReportInput in impression.proto has them."""

    findings: Required[str]
    modality: str
    clinic: str
    exam: str
    indication: str
    comparison: str


class Client:
    """A connection to one server or several, used by any number of threads.

    What may be tried again is tried again by gRPC itself, up to five times in all and within the timeout:
    on UNAVAILABLE with the next server, on RESOURCE_EXHAUSTED when the server says. A request without an
    id is given one, so that all tries are the same request, which is answered once.

    Args:
        target: host:port; a DNS name with several addresses spreads the requests over all of them, as does
            a list of "address:port".
        token: sent with each call; a function is asked each time, for tokens that run out.
        roots: PEM root certificates for TLS, b"" for those that gRPC brings along; None connects in the
            clear, which servers allow on loopback only.
        certificate: PEM chain of this client, where servers want one; needs key.
        key: PEM key of this client; needs certificate.
        server_name: the name in the servers' certificate, where it is not the target's.
        timeout: seconds an answer may take, retries included.

    Every call raises a `radimpress.server.client_errors.ClientError` of the kind of its code.

    Raises:
        ValueError: these do not go together; says why.
    """

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
            self._channel = grpc.insecure_channel(self._reach.target, self._reach.options)
        else:
            self._channel = grpc.secure_channel(self._reach.target, self._reach.credentials, self._reach.options)
        self._stub = impression_pb2_grpc.ImpressionServiceStub(self._channel)
        self._timeout = timeout

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection, and whatever still runs over it."""
        self._channel.close()

    def generate(self, *, request_id: str = "", **report: Unpack[ReportFields]) -> impression_pb2.Impression:
        """The whole impression, with who wrote it."""
        request = impression_pb2.GenerateImpressionRequest(
            request_id=request_id or fresh_id(), report=impression_pb2.ReportInput(**report)
        )
        with translated():
            return self._stub.GenerateImpression(
                request, timeout=self._timeout, metadata=self._reach.metadata()
            ).impression

    def stream(
        self, *, request_id: str = "", **report: Unpack[ReportFields]
    ) -> Iterator[impression_pb2.StreamImpressionResponse]:
        """The provenance, then pieces of text, then the whole impression.

        Nothing is tried again once the provenance has come; `generate` with the same request id may be.
        """
        request = impression_pb2.StreamImpressionRequest(
            request_id=request_id or fresh_id(), report=impression_pb2.ReportInput(**report)
        )
        with translated():
            call = self._stub.StreamImpression(request, timeout=self._timeout, metadata=self._reach.metadata())
            try:
                yield from call
            finally:
                call.cancel()  # type: ignore[no-untyped-call]

    def batch(
        self, requests: Iterable[impression_pb2.BatchImpressionsRequest], *, timeout: float | None = None
    ) -> Iterator[impression_pb2.BatchImpressionsResponse]:
        """An answer to each report, in any order; one without an impression says why in `failure`.

        Args:
            requests: reports, each with an id of its own; read on another thread as the server takes them.
                What they raise is raised here, after the answers to those sent before.
            timeout: seconds for all of them; None waits for ever.

        Nothing is tried again once the first answer has come. A batch that breaks off may be sent again:
        what was answered is answered as before.
        """
        failed: list[Exception] = []

        def sent() -> Iterator[impression_pb2.BatchImpressionsRequest]:
            try:
                yield from requests
            except Exception as error:
                failed.append(error)

        with translated():
            call = self._stub.BatchImpressions(sent(), timeout=timeout, metadata=self._reach.metadata())
            try:
                yield from call
            finally:
                call.cancel()  # type: ignore[no-untyped-call]
        if failed:
            raise failed[0]

    def record_final(
        self, *, request_id: str, final_impression: str, **report: Unpack[ReportFields]
    ) -> impression_pb2.RecordFinalImpressionResponse:
        """Sends the text that a radiologist signed; gives how far the answer was from it.

        Args:
            request_id: the one that the answer carried.
            final_impression: the signed text.
            report: as it was asked about.
        """
        request = impression_pb2.RecordFinalImpressionRequest(
            request_id=request_id, final_impression=final_impression, report=impression_pb2.ReportInput(**report)
        )
        with translated():
            return self._stub.RecordFinalImpression(request, timeout=self._timeout, metadata=self._reach.metadata())


def fresh_id() -> str:
    """A request id that nobody used."""
    return str(uuid.uuid4())

"""A blocking client of ImpressionService; needs only grpcio and the stubs.

with Client("127.0.0.1:50051") as client:
    answer = client.generate(findings="...", modality="CT", clinic="alder")
    print(answer.text, answer.provenance.adapter, answer.provenance.digest)
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

import grpc

from radimpress.v1 import impression_pb2, impression_pb2_grpc


class Client:
    """One connection to a radimpress server.

    Args:
        target: host:port.
        roots: PEM root certificates for TLS; None connects in the clear, which servers allow on
            loopback only.
        timeout: seconds an impression may take.

    Every call raises grpc.RpcError with the codes that impression.proto documents.
    """

    def __init__(self, target: str, *, roots: bytes | None = None, timeout: float = 60.0) -> None:
        if roots is None:
            self._channel = grpc.insecure_channel(target)
        else:
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(roots))
        self._stub = impression_pb2_grpc.ImpressionServiceStub(self._channel)
        self._timeout = timeout

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def generate(
        self,
        *,
        findings: str,
        modality: str = "",
        clinic: str = "",
        exam: str = "",
        indication: str = "",
        comparison: str = "",
        request_id: str = "",
    ) -> impression_pb2.Impression:
        """The whole impression, with who wrote it."""
        report = _report(findings, modality, clinic, exam, indication, comparison)
        request = impression_pb2.GenerateImpressionRequest(request_id=request_id, report=report)
        return self._stub.GenerateImpression(request, timeout=self._timeout).impression

    def stream(
        self,
        *,
        findings: str,
        modality: str = "",
        clinic: str = "",
        exam: str = "",
        indication: str = "",
        comparison: str = "",
        request_id: str = "",
    ) -> Iterator[impression_pb2.StreamImpressionResponse]:
        """The provenance, then pieces of text, then the whole impression."""
        report = _report(findings, modality, clinic, exam, indication, comparison)
        request = impression_pb2.StreamImpressionRequest(request_id=request_id, report=report)
        yield from self._stub.StreamImpression(request, timeout=self._timeout)


def _report(
    findings: str, modality: str, clinic: str, exam: str, indication: str, comparison: str
) -> impression_pb2.ReportInput:
    return impression_pb2.ReportInput(
        findings=findings, modality=modality, clinic=clinic, exam=exam, indication=indication, comparison=comparison
    )

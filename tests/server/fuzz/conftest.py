"""What the fuzz tests share: every rpc of a server, and what must never come of one.

TEST_FUZZ says how many requests are tried, half of them field values and half of them bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from radimpress.v1 import adapter_pb2, impression_pb2
from tests.server.conftest import CT_LIST, FINDINGS, MR_LIST, Site
from tests.server.processes import code_of

REQUESTS = int(os.environ.get("TEST_FUZZ", "3000"))
# Stands in every text that is a report's; no message may hold it.
SECRET = "Zyxwitterian hepatosplenomegaly of the seventh kind"
OURS: list[MethodDescriptor] = [
    method
    for file in (impression_pb2.DESCRIPTOR, adapter_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
]
METHODS: list[MethodDescriptor] = [
    *OURS,
    *(
        method
        for file in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)
        for service in file.services_by_name.values()
        for method in service.methods
    ),
]
_NEVER = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}
# Answers of a stream that are read at most: a watch of health has no end.
_READ = 8


def path_of(method: MethodDescriptor) -> str:
    """As gRPC names it."""
    return f"/{method.containing_service.full_name}/{method.name}"


@dataclass(frozen=True, slots=True)
class Target:
    """A server to throw things at."""

    channel: grpc.Channel

    def send(self, method: MethodDescriptor, messages: Sequence[bytes]) -> grpc.StatusCode:
        """Sends bytes as an rpc's request; fails where it ends as nothing may end."""
        first, second = (
            "stream" if streaming else "unary" for streaming in (method.client_streaming, method.server_streaming)
        )
        call: Any = getattr(self.channel, f"{first}_{second}")(path_of(method))
        code, said = grpc.StatusCode.OK, b""
        try:
            answer = call(iter(messages) if method.client_streaming else messages[0], timeout=20)
            if method.server_streaming:
                for _, _ in zip(range(1 if method.name == "Watch" else _READ), answer, strict=False):
                    pass
                answer.cancel()
        except grpc.RpcError as error:
            code, said = code_of(error), _said(error)
        assert code not in _NEVER, (method.name, messages, said)
        assert SECRET.encode() not in said, (method.name, messages, said)
        return code

    def alive(self) -> bool:
        """Whether a plain request is answered."""
        report = impression_pb2.ReportInput(findings=FINDINGS, modality="CT", clinic="alder")
        request = impression_pb2.GenerateImpressionRequest(report=report)
        return self.send(OURS[0], [request.SerializeToString()]) is grpc.StatusCode.OK


def _said(error: Any) -> bytes:
    trailers = (value if isinstance(value, bytes) else value.encode() for _, value in error.trailing_metadata() or ())
    return str(error.details()).encode() + b"".join(trailers)


@pytest.fixture
def target(site: Site) -> Iterator[Target]:
    """The site's server, with two adapters that serve."""
    site.promote(site.first, CT_LIST)
    site.promote(site.second, MR_LIST)
    with site.serving() as address, grpc.insecure_channel(address) as channel:
        yield Target(channel)

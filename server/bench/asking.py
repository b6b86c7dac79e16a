"""Clients of the server's benchmarks: reports that differ from each other, and who sends them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc

from radimpress.reports.synthetic import synthesize
from radimpress.v1 import impression_pb2

GENERATE = "/radimpress.v1.ImpressionService/GenerateImpression"
_SHORTEST, _LONGEST = 300, 800
_ENDLESS = 1_000_000_000
# Each client has a connection of its own, as it would from a machine of its own.
_OWN = (("grpc.use_local_subchannel_pool", 1),)


@dataclass(frozen=True, slots=True)
class Load:
    """What came of some requests.

    Attributes:
        seconds: all together.
        latencies: of each, in seconds.
        answers: as they came over the wire, in no order.
    """

    seconds: float
    latencies: list[float]
    answers: list[bytes]


def requests(clinics: Sequence[str], seed: int = 7) -> Iterator[bytes]:
    """GenerateImpressionRequests without end, about findings of 300 to 800 characters, no two alike."""
    seen: set[str] = set()
    held = ""
    numbers = itertools.count(1)
    for report in synthesize(_ENDLESS, seed, 0.0):
        held = f"{held} {report.findings}".strip()
        if len(held) < _SHORTEST:
            continue
        findings, held = held[:_LONGEST].rpartition(". ")[0] + "." if len(held) > _LONGEST else held, ""
        if findings in seen or len(findings) < _SHORTEST:
            continue
        seen.add(findings)
        number = next(numbers)
        asked = impression_pb2.ReportInput(
            findings=findings,
            modality="CT",
            clinic=clinics[number % len(clinics)],
            exam=report.exam,
            indication=report.indication,
            comparison=report.comparison,
        )
        made = impression_pb2.GenerateImpressionRequest(request_id=f"bench-{seed}-{number}", report=asked)
        yield made.SerializeToString()


async def ask(address: str, method: str, asked: Sequence[bytes], clients: int, token: str = "") -> Load:
    """Has each client send the next request as soon as its last is answered.

    Raises:
        grpc.aio.AioRpcError: a request was not answered.
    """
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    latencies, answers, waiting = list[float](), list[bytes](), iter(asked)

    async def client(call: Any) -> None:
        for request in waiting:
            began = time.perf_counter()
            answers.append(await call(request, metadata=metadata, timeout=600))
            latencies.append(time.perf_counter() - began)

    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, options=_OWN)) for _ in range(clients)
        ]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        began = time.perf_counter()
        await asyncio.gather(*(client(channel.unary_unary(method)) for channel in channels))  # type: ignore[call-arg]
        return Load(time.perf_counter() - began, latencies, answers)

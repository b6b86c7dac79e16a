"""Clients that are about to vanish: `vanishing.py ADDRESS COUNT TOKEN` asks, and waits to be killed.

Each has a connection of its own. Half of them ask for one answer, half for a stream of which they read nothing.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

import grpc

from radimpress.v1 import impression_pb2, impression_pb2_grpc

_FINDINGS = (
    "The lungs are clear. There is a small left pleural effusion. The heart is of normal size. No pneumothorax. "
)
_OWN = (("grpc.use_local_subchannel_pool", 1),)


async def main(address: str, count: int, token: str) -> None:
    """Asks, says so on standard output, and never reads an answer."""
    metadata = (("authorization", f"Bearer {token}"),)
    report = impression_pb2.ReportInput(findings=_FINDINGS * 2, modality="CT", clinic="clinic-0")
    async with AsyncExitStack() as stack:
        calls = []
        for number in range(count):
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, options=_OWN))
            await channel.channel_ready()
            stub = impression_pb2_grpc.ImpressionServiceStub(channel)
            if number % 2:
                call = stub.GenerateImpression(
                    impression_pb2.GenerateImpressionRequest(report=report), metadata=metadata, timeout=300
                )
            else:
                call = stub.StreamImpression(  # type: ignore[assignment]
                    impression_pb2.StreamImpressionRequest(report=report), metadata=metadata, timeout=300
                )
            calls.append(call)
        # What was written in a task may not have left yet.
        await asyncio.sleep(0.5)
        print("asked", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))

"""What becomes of a server of which ten times as much is asked as it can do, minute after minute.

Requests come at a steady rate whatever becomes of those before, each with a deadline: the worst that a
hospital's interface engine can do after a stop. None of them is sent again.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from radimpress.reports.progress import Track, silent
from radimpress.server.bench.asking import GENERATE, requests
from radimpress.server.bench.hosting import Host, Made, hosted
from radimpress.server.bench.material import Figure
from radimpress.server.bench.site import CLINICS, TOKEN, production, promote_all, tiny_bundle
from radimpress.server.client_errors import error_of
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.registry import Registry
from radimpress.trainer.bundle import AdapterBundle

_ROWS = 8
_SERVICE = 0.4
_TIMES = 10
_DEADLINE = 3.0
_CHANNELS = 16
_PATIENCE = 60.0


class Paced(FakeEngine):
    """A fake engine that writes as a device does: some impressions at once, each in its time, the rest wait.

    Args:
        rows: at once.
        seconds: of each.
    """

    def __init__(self, rows: int = _ROWS, seconds: float = _SERVICE) -> None:
        super().__init__()
        self._rows = asyncio.Semaphore(rows)
        self._seconds = seconds

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """Yields what the fake engine yields, later."""
        async with self._rows:
            await asyncio.sleep(self._seconds)
            async for piece in super().generate(prompt, adapter, limits):
                yield piece


@dataclass(slots=True)
class Overload:
    """What came of the requests.

    Attributes:
        seconds: they were sent for.
        sent: all of them.
        answered: in time.
        late: taken in, and their deadline passed.
        refused: at once, with word of when to try again.
        unsaid: ended in any other way.
        slowest: seconds that a refusal took at most.
        memory: of the server, in MiB, second by second.
        recovery: seconds after the last request until one alone was answered as on a quiet day.
    """

    seconds: float = 0.0
    sent: int = 0
    answered: int = 0
    late: int = 0
    refused: int = 0
    unsaid: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0
    memory: list[float] = field(default_factory=list)
    recovery: float = 0.0

    @property
    def growth(self) -> float:
        """Resident memory in MiB, the median of the last third less that of the second."""
        third = max(1, len(self.memory) // 3)
        return statistics.median(self.memory[-third:]) - statistics.median(self.memory[third : 2 * third] or [0.0])

    @property
    def figures(self) -> dict[str, Figure]:
        """Each is one number: there is one round."""
        told = {
            "overload_sent": self.sent,
            "overload_goodput": self.answered / self.seconds / (_ROWS / _SERVICE),
            "overload_late": self.late,
            "overload_unsaid": sum(self.unsaid.values()),
            "overload_growth_mib": self.growth,
            "overload_recovery_seconds": self.recovery,
        }
        return {name: Figure(value, value, value) for name, value in told.items()}


def overload(folder: Path, seconds: float, track: Track = silent) -> Overload:
    """Asks ten times as much as the engine can do, for so long, then waits until all is as before.

    Args:
        folder: for the registry, the audit trail and the server's words.
        seconds: of the load.
        track: draws progress.
    """
    with hosted(partial(paced_site, folder), folder / "server.log") as host:
        return asyncio.run(_run(host, seconds, track))


def paced_site(folder: Path, **given: Any) -> Made:
    """A server whose engine does 20 impressions a second; `given` are settings."""
    engine = Paced()
    settings = production(folder, **{"batch": _ROWS, **given})
    registry = Registry(settings.registry, settings.bundles)
    promote_all(registry, [tiny_bundle(folder / "bundles", number, engine) for number in range(len(CLINICS))])
    return settings, engine, registry


async def _run(host: Host, seconds: float, track: Track) -> Overload:
    told = Overload()
    asked = requests(CLINICS)
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(grpc.aio.insecure_channel(host.address)) for _ in range(_CHANNELS)]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        calls = itertools.cycle([channel.unary_unary(GENERATE) for channel in channels])  # type: ignore[call-arg]
        # Those that come first teach the server how long an impression takes.
        await asyncio.gather(*(_send(next(calls), request, told) for request in itertools.islice(asked, 2 * _ROWS)))
        told.answered = told.late = told.refused = 0
        told.unsaid.clear()
        began = time.monotonic()
        running = set[asyncio.Task[None]]()
        for at in track(_ticks(seconds), "overload", round(seconds * _TIMES * _ROWS / _SERVICE)):
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            if len(told.memory) <= at:
                told.memory.append(host.resident())
            task = asyncio.create_task(_send(next(calls), next(asked), told))
            running.add(task)
            task.add_done_callback(running.discard)
            told.sent += 1
        told.seconds = time.monotonic() - began
        await asyncio.gather(_recover(next(calls), asked, told), *running)
    return told


def _ticks(seconds: float) -> Iterator[float]:
    """When to send, in seconds from the beginning."""
    rate = _TIMES * _ROWS / _SERVICE
    return (number / rate for number in range(round(seconds * rate)))


async def _send(call: Any, request: bytes, told: Overload) -> None:
    began = time.monotonic()
    try:
        await call(request, metadata=(("authorization", f"Bearer {TOKEN}"),), timeout=_DEADLINE)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            told.late += 1
        elif error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and error_of(error).retry_after:
            told.refused += 1
            told.slowest = max(told.slowest, time.monotonic() - began)
        else:
            told.unsaid[error.code().name] = told.unsaid.get(error.code().name, 0) + 1
    else:
        told.answered += 1


async def _recover(call: Any, asked: Iterator[bytes], told: Overload) -> None:
    """Asks one after the other until the answer comes as fast as it can."""
    ended = time.monotonic()
    for request in asked:
        began = time.monotonic()
        mine = Overload()
        await _send(call, request, mine)
        if (mine.answered and time.monotonic() - began < 2 * _SERVICE) or began - ended > _PATIENCE:
            told.recovery = time.monotonic() - ended
            return
        await asyncio.sleep(_SERVICE / 4)

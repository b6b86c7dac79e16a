"""A server in a process of its own, so that what is measured shares no interpreter with who asks."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import grpc

from radimpress.reports.errors import EngineError
from radimpress.reports.prompt import render
from radimpress.server.engines import Engine, Limits
from radimpress.server.engines.writer import write
from radimpress.server.messages import report_of
from radimpress.server.registry import Registry
from radimpress.server.routes import route
from radimpress.server.serve import running, settle
from radimpress.server.settings import ServerSettings
from radimpress.server.telemetry.log import configure
from radimpress.v1 import impression_pb2

ECHO = "/radimpress.bench.Echo/Echo"
_SPAWN = multiprocessing.get_context("spawn")
_PATIENCE = 30.0

Made = tuple[ServerSettings, Engine, Registry]


@dataclass(frozen=True, slots=True)
class Direct:
    """What asking the engine alone took.

    Attributes:
        seconds: all requests together.
        latencies: of each, in seconds.
    """

    seconds: float
    latencies: list[float]


@dataclass(frozen=True, slots=True)
class Host:
    """A server's process, from outside.

    Attributes:
        address: host:port.
        pid: the process.
        pipe: to it.
    """

    address: str
    pid: int
    pipe: Connection

    def direct(self, requests: Sequence[bytes], clients: int) -> Direct:
        """Has the same engine write for the same adapters, without gRPC, routes, checks or journal.

        Args:
            requests: GenerateImpressionRequests; what stands before the engine is done before the clock starts.
            clients: that ask at once.
        """
        self.pipe.send((list(requests), clients))
        told: Direct = self.pipe.recv()
        return told

    def resident(self) -> float:
        """The process's resident memory in MiB, as Linux tells it."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def hosted(make: Callable[[], Made] | None, log: Path) -> Iterator[Host]:
    """Serves in another process while the block runs.

    Args:
        make: called there; what it gives is served and closed. Without it grpcio's minimal echo is served, at ECHO.
        log: what the process says.

    Raises:
        EngineError: the process ended before it served.
    """
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_work, args=(make, theirs, log), name="radimpress-host", daemon=True)
    process.start()
    theirs.close()
    try:
        try:
            address: str = ours.recv()
        except EOFError:
            raise EngineError(f"the server's process ended before it served; see {log.name}") from None
        yield Host(address, process.pid or 0, ours)
    finally:
        with suppress(OSError):
            ours.send(None)
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
        ours.close()


def _work(make: Callable[[], Made] | None, pipe: Connection, log: Path) -> None:
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    if make is None:
        asyncio.run(_echo(pipe))
        return
    settings, engine, registry = make()
    configure(settings.log_level)
    try:
        asyncio.run(_serve(settings, engine, registry, pipe))
    finally:
        engine.close()
        registry.close()


async def _serve(settings: ServerSettings, engine: Engine, registry: Registry, pipe: Connection) -> None:
    async with running(settings, engine, registry) as address:
        settle()
        pipe.send(address)
        while (asked := await asyncio.to_thread(pipe.recv)) is not None:
            requests, clients = asked
            pipe.send(await _direct(requests, clients, engine, registry, settings.max_tokens))


async def _direct(requests: Sequence[bytes], clients: int, engine: Engine, registry: Registry, tokens: int) -> Direct:
    prepared, table = [], registry.table()
    for data in requests:
        request = impression_pb2.GenerateImpressionRequest.FromString(data)
        report = report_of(request.request_id, request.report)
        adapter = route(report, table).adapter
        limits = Limits(tokens, None, report.modality, report.clinic)
        prepared.append((render(report), registry.bundle(adapter) if adapter else None, limits))
    waiting, latencies = iter(prepared), list[float]()

    async def client() -> None:
        for prompt, bundle, limits in waiting:
            latencies.append((await write(engine, prompt, bundle, limits)).seconds)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return Direct(time.perf_counter() - began, latencies)


async def _echo(pipe: Connection) -> None:
    async with _echoing() as address:
        pipe.send(address)
        await asyncio.to_thread(pipe.recv)


@asynccontextmanager
async def _echoing() -> AsyncGenerator[str, None]:
    """grpcio's least: bytes in, the same bytes out."""

    async def say(request: bytes, context: object) -> bytes:
        del context
        return request

    service, _, method = ECHO[1:].rpartition("/")
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(say)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)

"""The server, assembled in one place, top to bottom."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from threading import Thread

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from radimpress.reports.errors import ConfigError
from radimpress.reports.progress import Track, silent
from radimpress.server.adapter_service import AdapterService
from radimpress.server.engines import Engine
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.impression_service import ImpressionService
from radimpress.server.registry import Registry
from radimpress.server.settings import ServerSettings
from radimpress.trainer.bases import find_base
from radimpress.v1 import adapter_pb2, adapter_pb2_grpc, impression_pb2, impression_pb2_grpc

_log = structlog.get_logger()


def open_engine(settings: ServerSettings, track: Track = silent) -> Engine:
    """The engine that the settings name."""
    if settings.engine == "fake":
        return FakeEngine()
    from radimpress.server.engines.inprocess import InProcessEngine
    from radimpress.trainer.fetch import base_folder
    from radimpress.trainer.load import load_base

    base = find_base(settings.base)
    return InProcessEngine(
        load_base(base, base_folder(base, track)),
        batch=settings.batch,
        waiting=settings.waiting,
        resident=settings.resident,
        host=settings.host,
        chunk=settings.chunk,
        context=settings.context,
    )


@asynccontextmanager
async def running(settings: ServerSettings, engine: Engine, registry: Registry) -> AsyncIterator[str]:
    """Serves until the block ends; gives the address, with the port that was taken."""
    table = registry.table()
    # Without this a second server on the same port would take half of the first one's requests.
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    impression_pb2_grpc.add_ImpressionServiceServicer_to_server(
        ImpressionService(registry, engine, settings.max_tokens), server
    )
    adapter_pb2_grpc.add_AdapterServiceServicer_to_server(AdapterService(registry, engine.base_digest), server)
    names = [
        impression_pb2.DESCRIPTOR.services_by_name["ImpressionService"].full_name,
        adapter_pb2.DESCRIPTOR.services_by_name["AdapterService"].full_name,
    ]
    status = health.aio.HealthServicer()  # type: ignore[attr-defined]
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    port = _bind(server, settings)
    await server.start()
    for name in ("", *names):
        await status.set(name, health_pb2.HealthCheckResponse.SERVING)
    address = f"{settings.listen.rpartition(':')[0]}:{port}"
    _log.info("serving", address=address, base=engine.base_name, route_table=table.number)
    try:
        yield address
    finally:
        await status.enter_graceful_shutdown()
        await server.stop(settings.drain_seconds)
        _log.info("stopped", address=address)


def serve(settings: ServerSettings, engine: Engine, registry: Registry) -> None:
    """Serves until SIGINT or SIGTERM, then lets running requests end."""

    async def until_told() -> None:
        told = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        async with running(settings, engine, registry):
            await told.wait()

    try:
        asyncio.run(until_told())
    finally:
        engine.close()
        registry.close()


@contextmanager
def serving(settings: ServerSettings, engine: Engine, registry: Registry) -> Iterator[str]:
    """Serves on a thread of this process while the block runs; gives the address."""
    address: Future[str] = Future()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def main() -> None:
        try:
            async with running(settings, engine, registry) as where:
                address.set_result(where)
                await end.wait()
        except BaseException as error:
            if not address.done():
                address.set_exception(error)
            raise

    def work() -> None:
        with suppress(Exception):
            loop.run_until_complete(main())
        loop.close()

    thread = Thread(target=work, name="radimpress-server")
    thread.start()
    try:
        yield address.result()
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(end.set)
        thread.join()


def _bind(server: grpc.aio.Server, settings: ServerSettings) -> int:
    try:
        if settings.tls_certificate is None or settings.tls_key is None:
            return server.add_insecure_port(settings.listen)
        pair = (settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes())
        return server.add_secure_port(settings.listen, grpc.ssl_server_credentials([pair]))
    except (RuntimeError, OSError) as error:
        raise ConfigError(f"cannot listen on {settings.listen} ({type(error).__name__})") from error

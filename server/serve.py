"""The server, assembled in one place, top to bottom."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from threading import Thread
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from radimpress.reports.errors import ConfigError
from radimpress.server.adapter_service import AdapterService
from radimpress.server.admission import Admission
from radimpress.server.engines import Engine
from radimpress.server.evaluation import Evaluator
from radimpress.server.health import Health
from radimpress.server.impression_service import ImpressionService
from radimpress.server.parts import Parts
from radimpress.server.policy import Policy
from radimpress.server.registry import Journal, Registry
from radimpress.server.rollout.monitor import Monitor
from radimpress.server.rollout.shadow import Shadow
from radimpress.server.security.audit import Audit
from radimpress.server.security.door import Door
from radimpress.server.security.jwks import Jwks
from radimpress.server.security.limiter import Limiter
from radimpress.server.security.process import harden
from radimpress.server.security.sealing import Seal
from radimpress.server.security.tls import server_credentials
from radimpress.server.security.tokens import Tokens
from radimpress.server.settings import ServerSettings
from radimpress.server.telemetry import Metrics, exposing, log, open_tracing
from radimpress.server.upkeep import Upkeep
from radimpress.v1 import adapter_pb2, adapter_pb2_grpc, impression_pb2, impression_pb2_grpc

SERVICES = (
    impression_pb2.DESCRIPTOR.services_by_name["ImpressionService"].full_name,
    adapter_pb2.DESCRIPTOR.services_by_name["AdapterService"].full_name,
)
_log = structlog.get_logger()


@asynccontextmanager
async def running(settings: ServerSettings, engine: Engine, registry: Registry) -> AsyncIterator[str]:
    """Serves until the block ends; gives the address, with the port that was taken.

    Raises:
        NotFoundError: there is no route table yet, or a file that a setting names is not there.
        ConfigError: what a setting names cannot be used, or cannot be listened on.
    """
    async with AsyncExitStack() as stack:
        # What closes comes in the reverse order: first the door, last what it leads to.
        metrics, tracing = Metrics(), open_tracing(settings.name)
        stack.callback(tracing.close)
        audit = Audit(settings.audit, settings.name, settings.audit_bytes) if settings.audit else None
        if audit is not None:
            stack.callback(audit.close)
        seal = Seal(settings.feedback_keys) if settings.feedback_keys else None
        journal = Journal(registry, seal, settings.answer_days)
        stack.push_async_callback(asyncio.to_thread, journal.close)
        admission = Admission(settings.batch, settings.waiting, changed=metrics.queue)
        shadow = Shadow(engine, registry, journal, metrics, max_tokens=settings.max_tokens, busy=lambda: admission.busy)
        stack.push_async_callback(shadow.close)
        evaluator = Evaluator(registry, engine, settings.datasets, settings.max_tokens)
        stack.push_async_callback(asyncio.to_thread, evaluator.close)
        parts = Parts(
            registry=registry,
            policy=Policy(settings.short_findings, settings.other_language, settings.languages),
            admission=admission,
            engine=engine,
            journal=journal,
            shadow=shadow,
            metrics=metrics,
            tracing=tracing,
            audit=audit,
            max_tokens=settings.max_tokens,
            batch=settings.batch,
        )
        upkeep = Upkeep(registry, engine, journal, metrics)
        await asyncio.to_thread(registry.watch, settings.registry_poll_seconds, upkeep.changed)
        await asyncio.to_thread(upkeep.changed, registry.current())
        health = Health(SERVICES, registry, engine, metrics)
        if settings.metrics_listen is not None:
            shown = exposing(settings.metrics_listen, metrics, lambda: health.alive, lambda: health.missing)
            await stack.enter_async_context(shown)

        server = _server(settings, metrics, audit)
        plain: Any = _Generic(server)
        impression_pb2_grpc.add_ImpressionServiceServicer_to_server(ImpressionService(parts), plain)
        adapter_pb2_grpc.add_AdapterServiceServicer_to_server(AdapterService(parts, evaluator), plain)
        health_pb2_grpc.add_HealthServicer_to_server(health.servicer, plain)
        if settings.reflection:
            reflection.enable_server_reflection([*SERVICES, _HEALTH, reflection.SERVICE_NAME], server)
        port = _bind(server, settings)
        await health.begin()
        await server.start()
        stack.push_async_callback(server.stop, settings.drain_seconds)
        stack.push_async_callback(health.end)
        monitor = Monitor(registry, journal, metrics, settings.trial_alpha)
        for work in (health.watch, monitor.run, upkeep.run):
            stack.push_async_callback(_end, asyncio.create_task(_repeated(work)))

        address = f"{settings.listen.rpartition(':')[0]}:{port}"
        table = registry.current().number
        _log.info("serving", address=address, base=engine.base_name, route_table=table, server=settings.name)
        stack.callback(_log.info, "stopping", address=address)
        yield address
    _log.info("stopped", address=address)


def serve(settings: ServerSettings, engine: Engine, registry: Registry) -> None:
    """Serves until SIGINT or SIGTERM, then lets running requests end; this process is a server's from now on."""
    harden()
    log.configure(settings.log_level)

    async def until_told() -> None:
        told = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        async with running(settings, engine, registry):
            settle()
            await told.wait()

    try:
        asyncio.run(until_told())
    finally:
        engine.close()
        registry.close()


def settle() -> None:
    """Takes what stands until the end, libraries and models, out of what the collector looks through."""
    gc.collect()
    gc.freeze()


@contextmanager
def serving(settings: ServerSettings, engine: Engine, registry: Registry) -> Iterator[str]:
    """Serves on a thread of this process while the block runs; gives the address.

    Raises:
        RadimpressError: what `running` raises, at its start or at its end.
    """
    address: Future[str] = Future()
    failed: list[Exception] = []
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
        try:
            loop.run_until_complete(main())
        except Exception as error:
            failed.append(error)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = Thread(target=work, name="radimpress-server")
    thread.start()
    try:
        yield address.result()
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(end.set)
        thread.join()
    # Whoever served must not believe that all was kept where the end failed.
    if failed:
        raise failed[0]


_HEALTH = health.SERVICE_NAME
_AGAIN_SECONDS = 1.0
_OPTIONS = (
    # Without this a second server on the same port would take half of the first one's requests.
    ("grpc.so_reuseport", 0),
    # Clients ask whether the server is still there while they wait for a long answer.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # So that servers that came later, and certificates that were taken back, count within the hour.
    ("grpc.max_connection_age_ms", 3_600_000),
)


def _server(settings: ServerSettings, metrics: Metrics, audit: Audit | None) -> grpc.aio.Server:
    audience, issuer = settings.jwt_audience, settings.jwt_issuer
    door = Door(
        tokens=Tokens(settings.tokens) if settings.tokens else None,
        jwks=Jwks(settings.jwks, audience, issuer) if settings.jwks and audience and issuer else None,
        limiter=Limiter(settings.rate_per_second, settings.rate_burst) if settings.rate_per_second else None,
        metrics=metrics,
        audit=audit,
        reflection=settings.reflection,
    )
    options = (*_OPTIONS, ("grpc.max_receive_message_length", settings.message_bytes))
    return grpc.aio.server(interceptors=[door], options=options)


class _Generic:
    """A server that methods are not registered with one by one.

    grpc.aio waits for the next call of every registered method anew with each call: with two dozen of them
    that took as long as all that is done for a request before the engine.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, service: str, handlers: object) -> None:
        """Does nothing: the generic handler knows them all."""


def _bind(server: grpc.aio.Server, settings: ServerSettings) -> int:
    try:
        if settings.tls_certificate is None or settings.tls_key is None:
            return server.add_insecure_port(settings.listen)
        credentials = server_credentials(settings.tls_certificate, settings.tls_key, settings.tls_client_roots)
        return server.add_secure_port(settings.listen, credentials)
    except (RuntimeError, OSError) as error:
        raise ConfigError(f"cannot listen on {settings.listen} ({type(error).__name__})") from error


async def _repeated(work: Callable[[], Awaitable[None]]) -> None:
    """Work in the background until it is cancelled; an error that ends it is told, and after a while it begins anew."""
    while True:
        try:
            await work()
        # Nobody waits for it, and what happened once must not leave the server unwatched until it is restarted.
        except Exception as error:
            name = getattr(work, "__qualname__", "")
            _log.error("background_failed", work=name, kind=type(error).__name__, where=log.where(error))
        await asyncio.sleep(_AGAIN_SECONDS)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])

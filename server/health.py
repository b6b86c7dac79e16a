"""What load balancers and orchestrators ask, by grpc.health.v1.

| asked about | SERVING while |
|---|---|
| "", each service, "radimpress.readiness" | registry and engine are there and the server is not stopping |
| "radimpress.liveness" | the process answers and its engine has not ended; only a restart would mend it otherwise |
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from grpc_health.v1 import health, health_pb2

from radimpress.reports.errors import RadimpressError
from radimpress.server.engines import Distant, Engine
from radimpress.server.registry import Registry
from radimpress.server.telemetry.metrics import Metrics

LIVENESS = "radimpress.liveness"
READINESS = "radimpress.readiness"
_EVERY = 0.5
_log = structlog.get_logger()


class Health:
    """The server's health.

    Args:
        services: full names of those that it offers.
        registry: without it nothing is answered.
        engine: nor without it.
        metrics: are told whether the server is ready.

    Attributes:
        servicer: for the gRPC server.
        missing: why requests cannot be answered now; empty where they can.
    """

    def __init__(self, services: Sequence[str], registry: Registry, engine: Engine, metrics: Metrics) -> None:
        self.servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self.missing = "the server is starting"
        self._names = ("", *services, READINESS)
        self._registry = registry
        self._engine = engine
        self._metrics = metrics

    @property
    def alive(self) -> bool:
        """Whether the server can become ready, if it is not, without being started again."""
        return not self._engine.closed

    async def begin(self) -> None:
        """Tells that the server is there, and whether it is ready."""
        await self._set(self._look())

    async def watch(self) -> None:
        """Looks whether registry and engine are there, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            missing = self._look()
            if missing != self.missing:
                _log.warning("not_ready" if missing else "ready", missing=missing)
                await self._set(missing)

    async def end(self) -> None:
        """Tells that the server is stopping; cancel `watch` first."""
        await self._set("the server is stopping")

    async def _set(self, missing: str) -> None:
        self.missing = missing
        self._metrics.ready(not missing)
        await self.servicer.set(LIVENESS, _status(self.alive))
        for name in self._names:
            await self.servicer.set(name, _status(not missing))

    def _look(self) -> str:
        if not self.alive:
            return "the engine has ended"
        try:
            self._registry.check()
        except RadimpressError:
            return "the registry cannot be reached"
        # Who does not know whether it can answer must not be asked.
        except Exception as error:
            return f"the registry cannot be looked at ({type(error).__name__})"
        return self._engine.missing if isinstance(self._engine, Distant) else ""


def _status(serving: bool) -> health_pb2.HealthCheckResponse.ServingStatus.ValueType:
    kinds = health_pb2.HealthCheckResponse
    return kinds.SERVING if serving else kinds.NOT_SERVING

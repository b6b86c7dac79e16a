"""What load balancers and orchestrators ask, by grpc.health.v1.

| asked about | SERVING while |
|---|---|
| "", each service, "radimpress.readiness" | the registry is there and the server is not stopping |
| "radimpress.liveness" | the process answers at all; only a restart would mend it otherwise |
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from grpc_health.v1 import health, health_pb2

from radimpress.reports.errors import RadimpressError
from radimpress.server.registry import Registry

LIVENESS = "radimpress.liveness"
READINESS = "radimpress.readiness"
_EVERY = 0.5
_log = structlog.get_logger()


class Health:
    """The server's health.

    Args:
        services: full names of those that it offers.
        registry: without it nothing is answered.

    Attributes:
        servicer: for the gRPC server.
        ready: whether requests can be answered.
    """

    def __init__(self, services: Sequence[str], registry: Registry) -> None:
        self.servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self.ready = False
        self._names = ("", *services, READINESS)
        self._registry = registry

    async def begin(self) -> None:
        """Tells that the server is there, and whether it is ready."""
        await self.servicer.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
        await self._set(self._reachable())

    async def watch(self) -> None:
        """Looks whether the registry is there, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            reachable = self._reachable()
            if reachable is not self.ready:
                _log.warning("ready" if reachable else "not_ready", registry=reachable)
                await self._set(reachable)

    async def end(self) -> None:
        """Tells that the server is stopping; cancel `watch` first."""
        await self._set(False)

    async def _set(self, ready: bool) -> None:
        self.ready = ready
        kinds = health_pb2.HealthCheckResponse
        for name in self._names:
            await self.servicer.set(name, kinds.SERVING if ready else kinds.NOT_SERVING)

    def _reachable(self) -> bool:
        try:
            self._registry.check()
        except RadimpressError:
            return False
        return True

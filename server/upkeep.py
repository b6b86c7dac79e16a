"""What a server does beside answering: figures for the metrics, adapters into memory and out, old texts purged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Thread

import structlog

from radimpress.reports.errors import RadimpressError
from radimpress.server.engines import Engine, Keeper, Preparer
from radimpress.server.registry import Journal, Registry
from radimpress.server.rollout.plan import uses
from radimpress.server.routes import AdapterVersion, RouteTable
from radimpress.server.telemetry import Metrics

_EVERY = 1.0
_PURGE = 3600.0
_PAGE = 500
_log = structlog.get_logger()


class Upkeep:
    """Keeps a server in order.

    Args:
        registry: says what was retired.
        engine: holds adapters, where it is a `Keeper`; takes them in ahead, where it is a `Preparer`.
        journal: holds texts for a time.
        metrics: gets figures.
    """

    def __init__(self, registry: Registry, engine: Engine, journal: Journal, metrics: Metrics) -> None:
        self._registry = registry
        self._keeper = engine if isinstance(engine, Keeper) else None
        self._preparer = engine if isinstance(engine, Preparer) else None
        self._journal = journal
        self._metrics = metrics
        # Digest -> name, of every adapter that a table of this server's time gave requests to.
        self._names: dict[str, str] = {}
        self._purged = -_PURGE

    def changed(self, table: RouteTable) -> None:
        """The registry changed, and this table is current now; called on the registry's thread."""
        self._names.update((adapter.digest, str(adapter)) for _, adapter in uses(table))
        self._metrics.table(table.number, sum(entry.trial is not None for entry in table.entries.values()))
        if self._keeper is not None and (held := self._keeper.resident()):
            for adapter in self._retired():
                if adapter.digest in held:
                    self._keeper.forget(adapter.digest)
                    _log.info("retired_adapter_left_memory", adapter=str(adapter), digest=adapter.digest)

        if self._preparer is not None:
            # A store that hangs must hold up neither the watch of the registry nor the end of the process.
            Thread(target=self._prepare, args=(self._preparer, table), name="radimpress-prepare", daemon=True).start()

    async def run(self) -> None:
        """Every second figures, every hour what is old enough; until cancelled."""
        while True:
            self._metrics.journal_queue(self._journal.waiting)
            if self._keeper is not None:
                self._metrics.resident(self._names.get(digest, digest[:12]) for digest in self._keeper.resident())
            if time.monotonic() - self._purged > _PURGE:
                self._purged = time.monotonic()
                await self._purge()
            await asyncio.sleep(_EVERY)

    async def _purge(self) -> None:
        try:
            count = await asyncio.to_thread(self._journal.purge, datetime.now(UTC))
        except RadimpressError as error:
            _log.warning("not_purged", kind=type(error).__name__)
            return
        if count:
            _log.info("purged", answers=count)

    def _prepare(self, preparer: Preparer, table: RouteTable) -> None:
        for adapter in {adapter.digest: adapter for _, adapter in uses(table)}.values():
            try:
                preparer.prepare(self._registry.bundle(adapter))
            except RadimpressError as error:
                _log.warning("not_prepared", adapter=str(adapter), kind=type(error).__name__)

    def _retired(self) -> Iterator[AdapterVersion]:
        offset = 0
        while page := self._registry.adapters(offset, _PAGE):
            yield from (adapter for adapter in page if adapter.retired)
            offset += len(page)

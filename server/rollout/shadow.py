"""Shadows: an adapter on trial is asked after the answer was given, and what it writes is checked and thrown away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from radimpress.eval.checks import annotate
from radimpress.reports.prompt import extract
from radimpress.reports.report import Report
from radimpress.server.engines import Engine, Limits
from radimpress.server.engines.writer import write
from radimpress.server.routes import AdapterVersion, Arm, Route
from radimpress.server.telemetry.log import where

if TYPE_CHECKING:
    from radimpress.server.registry import Answer, Journal, Registry
    from radimpress.server.telemetry import Metrics

_log = structlog.get_logger()


class Shadow:
    """Asks shadows in the background; whatever becomes of them, no answer waits for it.

    Args:
        engine: writes.
        registry: knows the bundles.
        journal: what was noticed is written down there.
        metrics: counts those that were dropped.
        max_tokens: of an impression.
        at_once: shadows in the engine at most; one more is dropped and counted.
        busy: whether the engine has its hands full with answers; a shadow is dropped then.
    """

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        journal: Journal,
        metrics: Metrics,
        *,
        max_tokens: int,
        at_once: int = 2,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._journal = journal
        self._metrics = metrics
        self._max_tokens = max_tokens
        self._at_once = at_once
        self._busy = busy
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, report: Report, prompt: str, chosen: Route, answer: Answer) -> None:
        """Asks the route's shadow, where there is one and there is room.

        Args:
            report: of the request.
            prompt: that was answered.
            chosen: the request's route.
            answer: what was answered, as it was written down.
        """
        if chosen.shadow is None:
            return
        if len(self._tasks) >= self._at_once or self._busy():
            self._metrics.shadow_dropped()
            return
        task = asyncio.create_task(self._ask(report, prompt, chosen.shadow, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Breaks off those that are asked still."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, report: Report, prompt: str, adapter: AdapterVersion, answer: Answer) -> None:
        try:
            await self._journal.record(await self._write(report, prompt, adapter, answer))
        # Nobody waits for a shadow: whatever happened is told, and counts as an answer that was not written.
        except Exception as error:
            self._metrics.shadow_dropped()
            _log.warning("shadow failed", adapter=str(adapter), kind=type(error).__name__, where=where(error))

    async def _write(self, report: Report, prompt: str, adapter: AdapterVersion, answer: Answer) -> Answer:
        began = time.monotonic()
        bundle = await self._registry.brought(adapter)
        limits = Limits(self._max_tokens, None, report.modality, report.clinic)
        written = await write(self._engine, prompt, bundle, limits)
        # An impression without words is noticed, as the answer that it would have been.
        noticed = await asyncio.to_thread(annotate, report, extract(written.text), written.finish)
        return replace(
            answer,
            digest=adapter.digest,
            adapter=adapter.name,
            version=adapter.version,
            arm=Arm.SHADOW,
            message=b"",
            checks=tuple(noticed),
            created=datetime.now(UTC),
            seconds=time.monotonic() - began,
            number=0,
        )

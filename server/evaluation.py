"""EvaluateAdapter's work: this server's engine writes held-out impressions, the gate judges, a certificate comes out.

It runs on a thread of its own and asks for one impression at a time, so that live requests go on beside it;
there is one evaluation at a time. The certificate is not signed: the server holds no key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TypeVar

from radimpress.clustering.clusters import load_clusters
from radimpress.reports.errors import ConfigError, EngineError, GateError, InputError, NotFoundError
from radimpress.reports.files import within
from radimpress.server.engines import Engine
from radimpress.server.engines.writer import EngineWriter
from radimpress.server.registry import Registry
from radimpress.server.routes import AdapterVersion, RouteTable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an evaluation is.

    Attributes:
        step: what is being done, as in "evaluate unified".
        done: cases done of this step.
        total: cases of this step.
    """

    step: str
    done: int
    total: int


class Evaluator:
    """Evaluates adapters, one at a time.

    Args:
        registry: has adapters and routes.
        engine: writes.
        datasets: folder of the data sets; None evaluates nothing.
        max_tokens: of an impression, as in serving.
    """

    def __init__(self, registry: Registry, engine: Engine, datasets: Path | None, max_tokens: int) -> None:
        self._registry = registry
        self._engine = engine
        self._datasets = datasets
        self._max_tokens = max_tokens
        self._thread = ThreadPoolExecutor(1, "radimpress-evaluation")
        self._running = False
        self._stop = Event()

    async def evaluate(
        self, adapter: AdapterVersion, dataset: str, cases: int
    ) -> AsyncGenerator[Progress | bytes, None]:
        """Gives progress, and last the bytes of certificate.json. Closing it ends the work at the next case.

        Args:
            adapter: to judge, against what serves each slice now.
            dataset: a folder that `reports prepare` wrote, with clusters.json in it, within the data sets' folder.
            cases: at most, slices in turn; 0 takes all.

        Raises:
            InputError: the data set leaves the folder, or cannot be judged on.
            NotFoundError: there is no such data set.
            GateError: an evaluation is running already, the server has no folder of data sets, or the adapter
                was fitted for other clusters.
        """
        folder = self._folder(dataset)
        if cases < 0:
            raise InputError("cases", f"is {cases}")
        if self._running:
            raise GateError("an evaluation is running already; ask again when it has ended")
        watched = _Watched(asyncio.get_running_loop(), self._stop)
        self._running = True
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._judge, adapter, folder, cases, watched)
        work.add_done_callback(self._ended)
        try:
            async for progress in watched.until(work):
                yield progress
            yield await work
        finally:
            watched.stop()

    def close(self) -> None:
        """Ends what runs at its next case, and waits for it."""
        self._stop.set()
        self._thread.shutdown()

    def _ended(self, work: asyncio.Future[bytes]) -> None:
        self._running = False
        if not work.cancelled():
            # Whoever asked may have left without looking.
            work.exception()

    def _folder(self, dataset: str) -> Path:
        if self._datasets is None:
            raise GateError("this server has no folder of data sets; its setting is `datasets`")
        folder = within(self._datasets, dataset)
        if folder is None:
            raise InputError("dataset", "is not inside the folder of data sets")
        try:
            there = folder.is_dir()
        except OSError:
            # A name that is too long for any file.
            there = False
        if not there:
            raise NotFoundError("there is no such data set")
        return folder

    def _judge(self, adapter: AdapterVersion, folder: Path, cases: int, watched: _Watched) -> bytes:
        # What evaluates is heavy, and most servers never do.
        from radimpress.server import steps
        from radimpress.server.recipe import EvalRecipe, Recipe

        try:
            parts, clusters = steps.load_split(folder), load_clusters(folder / "clusters.json")
        # What they say names folders of this server.
        except NotFoundError:
            raise NotFoundError("the data set is not whole: a part of it, or clusters.json, is missing") from None
        except (InputError, KeyError, TypeError, ValueError):
            raise InputError("dataset", "cannot be read") from None
        table = self._registry.table()
        if clusters.digest != table.clusters_digest:
            raise InputError("dataset", "its clinics are grouped otherwise than the route table's")
        bundles = [self._registry.bundle(one) for one in (adapter, *_serving(table, adapter))]
        recipe = Recipe(eval=EvalRecipe(cases=cases, few_shot=0, max_tokens=self._max_tokens))
        writer = EngineWriter(self._engine, ahead=1)
        try:
            # What is written stays in memory: reports' texts belong in no temporary file.
            done = steps.evaluate(parts, clusters, bundles, writer, None, recipe, watched)
        except GateError as error:
            raise InputError("dataset", f"cannot be judged on: {error}") from None
        except ConfigError as error:
            raise GateError(str(error)) from None
        watched.tell(Progress("judge", 0, 1))
        return steps.gate(done.scores, steps.system_names(bundles)[0], table, recipe.gate).encode()


class _Watched:
    """A `Track` on the evaluation's thread, whose newest word an event loop waits for; words between are lost."""

    def __init__(self, loop: asyncio.AbstractEventLoop, closing: Event) -> None:
        self._loop = loop
        self._closing = closing
        self._stopped = Event()
        self._changed = asyncio.Event()
        self._latest: Progress | None = None

    def __call__(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        for done, item in enumerate(items):
            self.tell(Progress(label, done, total))
            yield item
        self.tell(Progress(label, total, total))

    def tell(self, progress: Progress) -> None:
        """Says how far it is.

        Raises:
            EngineError: nobody wants to know any more.
        """
        if self._stopped.is_set() or self._closing.is_set():
            raise EngineError("the evaluation was broken off")
        # The loop may have ended meanwhile.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take, progress)

    def stop(self) -> None:
        """Ends the work at the next word."""
        self._stopped.set()

    async def until(self, work: asyncio.Future[bytes]) -> AsyncGenerator[Progress, None]:
        """The newest word whenever there is one, until the work is done."""
        work.add_done_callback(lambda _: self._changed.set())
        while not work.done():
            await self._changed.wait()
            self._changed.clear()
            latest, self._latest = self._latest, None
            if latest is not None:
                yield latest

    def _take(self, progress: Progress) -> None:
        self._latest = progress
        self._changed.set()


def _serving(table: RouteTable, adapter: AdapterVersion) -> list[AdapterVersion]:
    """The other adapters that serve a slice now, each once."""
    others = {entry.adapter.digest: entry.adapter for entry in table.entries.values() if entry.adapter}
    return [other for digest, other in sorted(others.items()) if digest != adapter.digest]

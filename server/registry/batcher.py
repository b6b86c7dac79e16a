"""Many small asks, done a batch at a time: what waits while one batch is worked on becomes the next.

So a transaction costs a server under load no more than an idle one, and nobody waits for company.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from radimpress.reports.errors import InputError, OverloadError, UnavailableError

A = TypeVar("A")
B = TypeVar("B")
_BATCH = 256
_WAITING = 4096


class Batcher(Generic[A, B]):
    """Works on a thread of its own, which the first ask starts.

    Args:
        name: of the thread.
        work: answers each of a batch, in order; an error among the answers is told to whom it belongs. An
            error that it raises is everybody's, but for an InputError: then each is worked on alone.
        waiting: asks that may wait; further ones are refused.
    """

    def __init__(
        self, name: str, work: Callable[[Sequence[A]], Sequence[B | Exception]], *, waiting: int = _WAITING
    ) -> None:
        self._work = work
        self._waiting = waiting
        self._queue: SimpleQueue[_Ask[A, B] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._started = False
        self._closed = False
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Asks that wait."""
        return self._queue.qsize()

    async def ask(self, item: A) -> B:
        """Waits until an item was worked on; it is, even if nobody waits for it any longer.

        Raises:
            OverloadError: too many wait already.
            UnavailableError: it was closed.
        """
        if self._queue.qsize() >= self._waiting:
            raise OverloadError(f"{self._waiting} wait for the registry already")
        asked: _Ask[A, B] = _Ask(item, asyncio.get_running_loop())
        with self._lock:
            if self._closed:
                raise UnavailableError("the server is stopping")
            if not self._started:
                self._started = True
                self._thread.start()
            self._queue.put(asked)
        return await asked.future

    def close(self) -> None:
        """Ends the thread once all that waits was worked on."""
        with self._lock:
            self._closed = True
            started = self._started
        if started:
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            batch: list[_Ask[A, B]] = []
            asked = self._queue.get()
            with suppress(Empty):
                while asked is not None:
                    batch.append(asked)
                    if len(batch) == _BATCH:
                        break
                    asked = self._queue.get_nowait()
                ended = asked is None
            if batch:
                _tell(batch, self._answers(batch))

    def _answers(self, batch: list[_Ask[A, B]]) -> Sequence[B | Exception]:
        try:
            return self._work([asked.item for asked in batch])
        except InputError as error:
            if len(batch) == 1:
                return [error]
            return [answer for asked in batch for answer in self._answers([asked])]
        except Exception as error:
            return [error] * len(batch)


class _Ask(Generic[A, B]):
    __slots__ = ("future", "item", "loop")

    def __init__(self, item: A, loop: asyncio.AbstractEventLoop) -> None:
        self.item = item
        self.loop = loop
        self.future: asyncio.Future[B] = loop.create_future()


def _tell(batch: list[_Ask[A, B]], answers: Sequence[B | Exception]) -> None:
    """One call a loop, however many were asked on it."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[B], B | Exception]]] = {}
    for asked, answer in zip(batch, answers, strict=True):
        by_loop.setdefault(asked.loop, []).append((asked.future, answer))
    for loop, told in by_loop.items():
        # The loop may be closed, and with it whoever asked gone.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_set, told)


def _set(told: list[tuple[asyncio.Future[B], B | Exception]]) -> None:
    for future, answer in told:
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

"""Generators that run ahead of whoever takes their values, and no further than there is room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")


@asynccontextmanager
async def running_ahead(values: AsyncGenerator[T, None]) -> AsyncIterator[AsyncGenerator[T, None]]:
    """Lets a generator run in a task of its own, however slowly its values are taken; it ends with the block.

    What waits to be taken is kept in memory: only for generators that give few values.
    """
    given: asyncio.Queue[T | None] = asyncio.Queue()

    async def run() -> None:
        try:
            async with aclosing(values):
                async for value in values:
                    given.put_nowait(value)
        finally:
            given.put_nowait(None)

    async def take() -> AsyncGenerator[T, None]:
        while (value := await given.get()) is not None:
            yield value
        # Raises what ended it.
        await task

    task = asyncio.create_task(run())
    try:
        async with aclosing(take()) as taken:
            yield taken
    finally:
        await _end([task])


async def as_done(items: AsyncIterable[S], work: Callable[[S], Awaitable[T]], room: int) -> AsyncGenerator[T, None]:
    """Works on items as they come, so many at a time, and gives what comes of each as soon as it is done.

    The next item is read only when there is room for it; a result that nobody took yet keeps its room.
    """
    results: asyncio.Queue[T | None] = asyncio.Queue()
    free = asyncio.Semaphore(room)
    tasks: set[asyncio.Task[None]] = set()

    async def one(item: S) -> None:
        results.put_nowait(await work(item))

    async def read() -> None:
        try:
            await free.acquire()
            async for item in items:
                task = asyncio.create_task(one(item))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                await free.acquire()
            await asyncio.gather(*tasks)
        finally:
            results.put_nowait(None)

    reader = asyncio.create_task(read())
    try:
        while (result := await results.get()) is not None:
            yield result
            free.release()
        # Raises what ended the reading.
        await reader
    finally:
        await _end([reader, *tasks])


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels tasks and waits until they have ended, whatever they raise."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)

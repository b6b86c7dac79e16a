from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from radimpress.reports.errors import InputError, OverloadError, UnavailableError
from radimpress.server.registry.batcher import Batcher


class Work:
    """Doubles numbers; waits for a sign before each batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Semaphore(0)

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.go.acquire()
        self.batches.append(list(batch))
        if any(number < 0 for number in batch):
            raise InputError("number", "is negative")
        if 13 in batch:
            raise UnavailableError("not now")
        return [2 * number for number in batch]


async def _asked(batcher: Batcher[int, int], numbers: Sequence[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.ask(number)) for number in numbers]
    await asyncio.sleep(0)
    return tasks


async def _first_taken(batcher: Batcher[int, int]) -> asyncio.Task[int]:
    """Has the thread at work on one item, so that all others wait."""
    (task,) = await _asked(batcher, [0])
    while batcher.waiting:
        await asyncio.sleep(0.001)
    return task


def test_what_waits_meanwhile_is_done_together_and_each_gets_its_own_answer() -> None:
    work = Work()
    batcher = Batcher("test", work)

    async def main() -> None:
        first = await _first_taken(batcher)
        tasks = await _asked(batcher, range(1, 6))
        work.go.release(2)
        assert await asyncio.gather(first, *tasks) == [0, 2, 4, 6, 8, 10]

    asyncio.run(main())
    assert work.batches == [[0], [1, 2, 3, 4, 5]]
    batcher.close()


def test_a_batch_has_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radimpress.server.registry.batcher._BATCH", 2)
    work = Work()
    batcher = Batcher("test", work)

    async def main() -> None:
        first = await _first_taken(batcher)
        tasks = await _asked(batcher, [1, 2, 3])
        work.go.release(3)
        await asyncio.gather(first, *tasks)

    asyncio.run(main())
    assert work.batches == [[0], [1, 2], [3]]
    batcher.close()


def test_a_wrong_item_is_told_to_whom_it_belongs_and_to_nobody_else() -> None:
    work = Work()
    batcher = Batcher("test", work)

    async def main() -> list[int | BaseException]:
        first = await _first_taken(batcher)
        tasks = await _asked(batcher, [1, -1, 2])
        work.go.release(5)
        await first
        return await asyncio.gather(*tasks, return_exceptions=True)

    one, wrong, two = asyncio.run(main())
    assert (one, two) == (2, 4)
    assert isinstance(wrong, InputError)
    batcher.close()


def test_an_error_of_the_work_is_everybodys_and_the_next_batch_goes_on() -> None:
    work = Work()
    batcher = Batcher("test", work)

    async def main() -> None:
        first = await _first_taken(batcher)
        tasks = await _asked(batcher, [1, 13])
        work.go.release(3)
        await first
        failed = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in failed] == [UnavailableError, UnavailableError]
        assert await batcher.ask(4) == 8

    asyncio.run(main())
    batcher.close()


def test_more_than_may_wait_are_refused_at_once() -> None:
    work = Work()
    batcher = Batcher("test", work, waiting=3)

    async def main() -> None:
        first = await _first_taken(batcher)
        tasks = await _asked(batcher, [1, 2, 3])
        with pytest.raises(OverloadError, match="3 wait"):
            await batcher.ask(4)
        work.go.release(2)
        await asyncio.gather(first, *tasks)

    asyncio.run(main())
    batcher.close()


def test_an_item_that_nobody_waits_for_any_longer_is_worked_on_all_the_same() -> None:
    work = Work()
    batcher = Batcher("test", work)

    async def main() -> None:
        first = await _first_taken(batcher)
        gone, stays = await _asked(batcher, [1, 2])
        gone.cancel()
        work.go.release(2)
        assert (await first, await stays) == (0, 4)

    asyncio.run(main())
    assert work.batches == [[0], [1, 2]]
    batcher.close()


def test_closing_waits_for_what_was_asked_and_refuses_what_comes_later() -> None:
    work = Work()
    batcher = Batcher("test", work)

    async def main() -> None:
        first = await _first_taken(batcher)
        tasks = await _asked(batcher, [1, 2])
        work.go.release(2)
        await asyncio.to_thread(batcher.close)
        assert await asyncio.gather(first, *tasks) == [0, 2, 4]
        with pytest.raises(UnavailableError, match="stopping"):
            await batcher.ask(3)

    asyncio.run(main())
    batcher.close()


def test_a_batcher_that_nobody_asked_has_no_thread() -> None:
    before = threading.active_count()
    batcher = Batcher("test", Work())
    assert threading.active_count() == before
    batcher.close()

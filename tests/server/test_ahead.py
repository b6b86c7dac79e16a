from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from radimpress.server.ahead import as_done, running_ahead


class Counting:
    """Counts up, and tells how far it came and whether it was ended."""

    def __init__(self, until: int, error: Exception | None = None) -> None:
        self.at = 0
        self.ended = False
        self._until = until
        self._error = error

    async def values(self) -> AsyncGenerator[int, None]:
        try:
            while self.at < self._until:
                self.at += 1
                yield self.at
                await asyncio.sleep(0)
            if self._error:
                raise self._error
        finally:
            self.ended = True


def test_it_runs_to_its_end_before_anything_is_taken() -> None:
    counting = Counting(5)

    async def main() -> list[int]:
        async with running_ahead(counting.values()) as taken:
            while not counting.ended:
                await asyncio.sleep(0)
            return [value async for value in taken]

    assert asyncio.run(main()) == [1, 2, 3, 4, 5]


def test_what_ends_it_is_raised_behind_its_last_value() -> None:
    seen = []

    async def main() -> None:
        async with running_ahead(Counting(2, KeyError("x")).values()) as taken:
            async for value in taken:
                seen.append(value)

    with pytest.raises(KeyError):
        asyncio.run(main())
    assert seen == [1, 2]


def test_it_ends_with_the_block() -> None:
    counting = Counting(10_000_000)

    async def main() -> None:
        async with running_ahead(counting.values()) as taken:
            async for value in taken:
                if value > 3:
                    break

    asyncio.run(main())
    assert counting.ended


def test_it_ends_when_whoever_takes_is_cancelled() -> None:
    counting = Counting(10_000_000)

    async def take() -> None:
        async with running_ahead(counting.values()) as taken:
            async for _ in taken:
                pass

    async def main() -> None:
        task = asyncio.create_task(take())
        while counting.at < 10:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert counting.ended


def _done(counting: Counting, room: int, seconds: dict[int, float], most: list[int]) -> list[int]:
    inside = 0

    async def work(item: int) -> int:
        nonlocal inside
        inside += 1
        most.append(inside)
        await asyncio.sleep(seconds.get(item, 0.0))
        inside -= 1
        return item

    async def main() -> list[int]:
        return [item async for item in as_done(counting.values(), work, room)]

    return asyncio.run(main())


def test_what_is_done_first_comes_first_and_everything_once() -> None:
    found = _done(Counting(5), 5, {1: 0.05}, [])
    assert (sorted(found), found[-1]) == ([1, 2, 3, 4, 5], 1)


def test_no_more_are_worked_on_than_there_is_room_for() -> None:
    most: list[int] = []
    assert sorted(_done(Counting(40), 3, dict.fromkeys(range(41), 0.001), most)) == list(range(1, 41))
    assert max(most) == 3


def test_it_reads_on_only_when_results_are_taken() -> None:
    counting = Counting(1000)

    async def work(item: int) -> int:
        return item

    async def main() -> None:
        results = as_done(counting.values(), work, 4)
        assert await anext(results) == 1
        for _ in range(100):
            await asyncio.sleep(0)
        assert counting.at <= 5
        await results.aclose()

    asyncio.run(main())
    assert counting.ended


def test_an_error_of_the_reading_ends_it_and_the_work_in_hand() -> None:
    cancelled = []

    async def work(item: int) -> int:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(item)
            raise
        return item

    async def main() -> None:
        async for _ in as_done(Counting(3, KeyError("x")).values(), work, 8):
            pass

    with pytest.raises(KeyError):
        asyncio.run(main())
    assert sorted(cancelled) == [1, 2, 3]

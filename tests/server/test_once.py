from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from radimpress.reports.errors import OverloadError
from radimpress.reports.report import Modality, Report
from radimpress.server.once import Once, fingerprint

REPORT = Report(id="r", findings="f", clinic="c", modality=Modality.CT, exam="e", indication="i", comparison="o")


def test_the_second_of_equal_keys_waits_for_the_first_and_others_do_not() -> None:
    said: list[str] = []

    async def one(once: Once, key: str, name: str, go: asyncio.Event) -> None:
        async with once.turn(key):
            said.append(f"{name} in")
            await go.wait()
        said.append(f"{name} out")

    async def main() -> int:
        once, go, open_ = Once(), asyncio.Event(), asyncio.Event()
        open_.set()
        tasks = [asyncio.create_task(one(once, "k", "first", go)), asyncio.create_task(one(once, "k", "second", go))]
        await asyncio.sleep(0)
        await one(once, "other", "other", open_)
        go.set()
        await asyncio.gather(*tasks)
        return len(once)

    assert asyncio.run(main()) == 0
    assert said == ["first in", "other in", "other out", "first out", "second in", "second out"]


@pytest.mark.parametrize("cancels", [0, 1])
def test_whoever_is_cancelled_bars_nobody(cancels: int) -> None:
    async def wait(once: Once) -> None:
        async with once.turn("k"):
            await asyncio.sleep(60)

    async def main() -> int:
        once = Once()
        tasks = [asyncio.create_task(wait(once)) for _ in range(2)]
        await asyncio.sleep(0.01)
        tasks[cancels].cancel()
        await asyncio.sleep(0.01)
        tasks[1 - cancels].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(1), once.turn("k"):
            pass
        return len(once)

    assert asyncio.run(main()) == 0


def test_too_many_of_the_same_are_refused() -> None:
    async def wait(once: Once) -> None:
        async with once.turn("k"):
            await asyncio.sleep(60)

    async def main() -> None:
        once = Once()
        tasks = [asyncio.create_task(wait(once)) for _ in range(17)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadError):
            async with once.turn("k"):
                pass
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(once) == 0

    asyncio.run(main())


@pytest.mark.parametrize("field", ["findings", "clinic", "exam", "indication", "comparison"])
def test_a_fingerprint_differs_with_every_field_that_is_asked(field: str) -> None:
    changed: dict[str, Any] = {field: "x"}
    assert fingerprint(replace(REPORT, **changed), b"key") != fingerprint(REPORT, b"key")


def test_a_fingerprint_differs_with_the_modality_and_the_key_alone_not_with_the_name() -> None:
    assert fingerprint(replace(REPORT, modality=Modality.MR), b"key") != fingerprint(REPORT, b"key")
    assert fingerprint(REPORT, b"other") != fingerprint(REPORT, b"key")
    assert fingerprint(replace(REPORT, id="other"), b"key") == fingerprint(REPORT, b"key")


def test_words_that_move_from_field_to_field_change_the_fingerprint() -> None:
    moved = replace(REPORT, exam="", indication="ei")
    assert fingerprint(moved, b"key") != fingerprint(REPORT, b"key")

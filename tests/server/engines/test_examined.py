from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from radimpress.reports.errors import BundleError
from radimpress.server.engines.examined import Examined
from radimpress.trainer.bundle import CONFIG, AdapterBundle
from tests.server.conftest import Site


class Eyes:
    """Counts what is examined, and refuses it on request."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.refuses = False
        self.go = threading.Event()
        self.go.set()

    def __call__(self, adapter: AdapterBundle) -> None:
        self.go.wait(10)
        self.seen.append(adapter.name)
        if self.refuses:
            raise BundleError("no")


def _run(work: Callable[[Examined], object], eyes: Eyes) -> None:
    async def main() -> None:
        examined = Examined(eyes)
        await work(examined)  # type: ignore[misc]
        examined.close()

    asyncio.run(main())


def test_it_is_examined_once_for_all_who_ask_at_once_and_once_for_all_who_ask_later(site: Site) -> None:
    eyes = Eyes()

    async def work(examined: Examined) -> None:
        await asyncio.gather(*(examined.check(site.first) for _ in range(5)))
        await examined.check(site.first)

    _run(work, eyes)
    assert eyes.seen == ["unified"]


def test_a_file_that_was_touched_and_a_digest_that_was_forgotten_are_examined_anew(site: Site) -> None:
    eyes = Eyes()

    async def work(examined: Examined) -> None:
        await examined.check(site.first)
        config = site.first.path / CONFIG
        config.write_bytes(config.read_bytes())
        await examined.check(site.first)
        examined.forget(site.first.digest)
        await examined.check(site.first)

    _run(work, eyes)
    assert len(eyes.seen) == 3


def test_what_is_refused_is_refused_to_all_and_tried_anew(site: Site) -> None:
    eyes = Eyes()
    eyes.refuses = True

    async def work(examined: Examined) -> None:
        told = await asyncio.gather(*(examined.check(site.first) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(one, BundleError) for one in told)
        eyes.refuses = False
        await examined.check(site.first)

    _run(work, eyes)
    assert len(eyes.seen) == 2


def test_whoever_leaves_takes_nobody_along(site: Site) -> None:
    eyes = Eyes()
    eyes.go.clear()

    async def work(examined: Examined) -> None:
        leaving = asyncio.create_task(examined.check(site.first))
        staying = asyncio.create_task(examined.check(site.first))
        await asyncio.sleep(0)
        leaving.cancel()
        eyes.go.set()
        await staying
        with pytest.raises(asyncio.CancelledError):
            await leaving

    _run(work, eyes)
    assert len(eyes.seen) == 1

"""Bundles that lie elsewhere: nobody waits for a store that is slow or down, but whoever needs what it holds."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from radimpress.reports.errors import DigestError, UnavailableError
from radimpress.server.registry import Registry, shelf, view
from radimpress.server.registry.store import Store
from radimpress.server.routes import AdapterVersion
from tests.server.conftest import CT_LIST, certificate, clusters


class Place:
    """A store elsewhere, which can be made to hang or to fail; and what two servers know of it."""

    def __init__(self, bundles: Path, folder: Path) -> None:
        self.open = threading.Event()
        self.down = False
        self.asked = 0
        self._url, self._folder = f"sqlite:///{folder / 'registry.db'}", folder
        self._remote = f"file://{folder / 'remote'}"
        self.changing = self.another("one")
        self.changing.adopt(clusters())
        self.adapter: AdapterVersion = self.changing.register(
            self.changing.store.add(next((bundles / "unified").iterdir()))
        )

    def another(self, name: str) -> Registry:
        return Registry(self._url, self._remote, cache=self._folder / name)

    def promote(self) -> None:
        self.changing.promote(self.adapter, certificate(self.adapter, CT_LIST))


@pytest.fixture
def place(fake_bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(fake_bundles, tmp_path)
    fetch = Store.fetch

    def slow(self: Store, path: str, manifest_digest: str = "", *, anew: bool = False) -> Path:
        made.asked += 1
        made.open.wait(10)
        if made.down:
            raise UnavailableError("the store of bundles cannot be used now")
        return fetch(self, path, manifest_digest, anew=anew)

    monkeypatch.setattr(Store, "fetch", slow)
    with closing(made.changing):
        yield made
    made.open.set()


def _until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_server_answers_by_its_last_table_while_bundles_of_the_next_are_brought(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radimpress.server.registry.watch._PATIENCE_SECONDS", 0.1)
    with closing(place.another("two")) as other:
        other.watch(0.01)
        place.promote()
        _until(lambda: place.asked == 1)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            other.check()
            assert other.current().number == 1
            time.sleep(0.01)
        place.open.set()
        _until(lambda: other.current().number == 2)
        assert place.asked == 1


def test_going_back_does_not_wait_for_what_is_being_brought(place: Place) -> None:
    with closing(place.another("two")) as other:
        other.watch(0.01)
        place.promote()
        _until(lambda: place.asked == 1)
        place.changing.rollback()
        _until(lambda: other.current().number == 3)


def test_a_table_is_taken_up_without_what_does_not_come(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "_PATIENCE", 0.3)
    place.promote()
    with closing(place.another("two")) as other:
        assert other.current().number == 2


def test_one_look_at_a_store_that_is_down_is_enough_for_all_who_ask(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.down = True
    monkeypatch.setattr(shelf, "_AGAIN", 0.5)

    async def ask(registry: Registry) -> list[object]:
        asked = [asyncio.create_task(registry.brought(place.adapter)) for _ in range(20)]
        # The loop goes on while the store hangs.
        while place.asked == 0:
            await asyncio.sleep(0.01)
        place.open.set()
        told: list[object] = list(await asyncio.gather(*asked, return_exceptions=True))
        with pytest.raises(UnavailableError):
            await registry.brought(place.adapter)
        return told

    with closing(place.another("two")) as other:
        assert {type(one) for one in asyncio.run(ask(other))} == {UnavailableError}
        assert place.asked == 1
        place.down = False
        _until(lambda: _brought(other, place.adapter))
        assert asyncio.run(other.brought(place.adapter)) == other.bundle(place.adapter)


def _brought(registry: Registry, adapter: AdapterVersion) -> bool:
    try:
        registry.bundle(adapter)
    except UnavailableError:
        return False
    return True


def test_whoever_stops_waiting_does_not_end_what_others_wait_for(place: Place) -> None:
    async def ask(registry: Registry) -> object:
        first, second = (asyncio.create_task(registry.brought(place.adapter)) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.sleep(0.05)
        place.open.set()
        return await second

    with closing(place.another("two")) as other:
        assert asyncio.run(ask(other)) == other.bundle(place.adapter)
        assert place.asked == 1


def test_a_bundle_that_is_gone_elsewhere_is_told(place: Place, tmp_path: Path) -> None:
    place.open.set()
    shutil.rmtree(tmp_path / "remote")
    with closing(place.another("two")) as other, pytest.raises(DigestError, match="not the one that was registered"):
        other.bundle(place.adapter)

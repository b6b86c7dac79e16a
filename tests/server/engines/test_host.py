from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from radimpress.reports.errors import BundleError
from radimpress.server.engines.host import Host
from radimpress.server.engines.slots import Packed


@dataclass
class Named:
    """All that a host asks of a bundle."""

    digest: str


class Loading:
    """Loads by name, and remembers what was loaded."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.told = threading.Semaphore(0)
        self.host = Host(self._load, 2, self.told.release)

    def _load(self, adapter: Any) -> Packed:
        self.loads.append(adapter.digest)
        if adapter.digest == "broken":
            raise BundleError("broken: does nothing")
        return Packed(1, ())

    def want(self, digest: str) -> Packed:
        return self.host.want(cast(Any, Named(digest))).result(10)


@pytest.fixture
def loading() -> Iterator[Loading]:
    made = Loading()
    yield made
    made.host.close()


def test_an_adapter_is_loaded_once_and_its_loading_told(loading: Loading) -> None:
    assert loading.want("a") is loading.want("a")
    assert loading.loads == ["a"]
    assert loading.told.acquire(timeout=10)
    assert not loading.told.acquire(timeout=0.05)


def test_the_one_not_wanted_for_longest_leaves(loading: Loading) -> None:
    for digest in ("a", "b", "a", "c", "a", "b"):
        loading.want(digest)
    assert loading.loads == ["a", "b", "c", "b"]


def test_a_refused_one_is_tried_anew_only_when_forgotten(loading: Loading) -> None:
    for _ in range(2):
        with pytest.raises(BundleError, match="does nothing"):
            loading.want("broken")
    loading.host.forget("broken")
    with pytest.raises(BundleError, match="does nothing"):
        loading.want("broken")
    assert loading.loads == ["broken", "broken"]

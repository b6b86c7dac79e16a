from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from radimpress.reports.errors import DigestError
from radimpress.server.engines.verified import Verified
from radimpress.trainer.bundle import WEIGHTS, AdapterBundle
from tests.server.conftest import FAKE_BASE, Site, change_byte


def test_an_adapter_is_read_once_whoever_asks(site: Site) -> None:
    read: list[str] = []

    def counted(adapter: AdapterBundle) -> None:
        read.append(adapter.digest)
        adapter.verify(FAKE_BASE)

    verified = Verified(counted)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(verified.check, [site.first] * 16))
    assert read == [site.first.digest]
    assert verified.held() == {site.first.digest}
    verified.forget(site.first.digest)
    assert verified.held() == frozenset()
    verified.check(site.first)
    assert len(read) == 2


def test_one_that_was_touched_is_read_again(site: Site) -> None:
    verified = Verified(lambda adapter: adapter.verify(FAKE_BASE))
    verified.check(site.first)
    change_byte(site.first.path / WEIGHTS)
    with pytest.raises(DigestError):
        verified.check(site.first)

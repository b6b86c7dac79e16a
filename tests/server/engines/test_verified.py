from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from radimpress.reports.errors import BundleError, DigestError
from radimpress.server.engines.verified import Verified
from radimpress.trainer.bundle import WEIGHTS, AdapterBundle
from tests.conftest import TINY
from tests.server.conftest import FAKE_BASE, Site, change_byte


def test_an_adapter_is_read_once_whoever_asks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    plain = AdapterBundle.read

    def counted(adapter: AdapterBundle, *given: object) -> object:
        read.append(adapter.digest)
        return plain(adapter, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(AdapterBundle, "read", counted)
    verified = Verified(FAKE_BASE)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(verified.check, [site.first] * 16))
    assert read == [site.first.digest]
    assert verified.held() == {site.first.digest}
    verified.forget(site.first.digest)
    assert verified.held() == frozenset()
    verified.check(site.first)
    assert len(read) == 2


def test_one_that_was_touched_is_read_again(site: Site) -> None:
    verified = Verified(FAKE_BASE, TINY.targets)
    verified.check(site.first)
    change_byte(site.first.path / WEIGHTS)
    with pytest.raises(DigestError):
        verified.check(site.first)


def test_another_base_and_other_modules_are_refused(site: Site) -> None:
    with pytest.raises(BundleError, match="fitted on base"):
        Verified("e" * 64).check(site.first)
    with pytest.raises(BundleError, match="target_modules"):
        Verified(FAKE_BASE, ("o_proj",)).check(site.first)

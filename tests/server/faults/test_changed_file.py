"""An adapter's file that changes under a running server: not one answer of it, and back again once it is restored."""

from __future__ import annotations

import threading
from collections import Counter

import grpc
import pytest

from radimpress.trainer.bundle import CONFIG, MANIFEST, WEIGHTS
from tests.server.conftest import CT_LIST, MR_LIST, Site
from tests.server.processes import Asker


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, MANIFEST])
def test_a_file_that_changes_under_traffic_is_data_loss_until_it_is_restored(site: Site, name: str) -> None:
    first, second = site.promote(site.first, CT_LIST), site.promote(site.second, MR_LIST)
    file = site.first.path / name
    right = file.read_bytes()
    changed = bytearray(right)
    changed[len(changed) // 2] ^= 1
    stop = threading.Event()
    others = Counter[str]()

    def ask_others() -> None:
        with Asker(address) as asker:
            while not stop.is_set():
                others[asker.generate(modality="MR").provenance.digest] += 1

    with site.serving() as address, Asker(address) as asker:
        thread = threading.Thread(target=ask_others)
        thread.start()
        try:
            assert asker.generate().provenance.digest == first.digest
            for _ in range(3):
                file.write_bytes(changed)
                assert {asker.code() for _ in range(10)} == {grpc.StatusCode.DATA_LOSS}
                file.write_bytes(right)
                asker.until(grpc.StatusCode.OK, 5)
                assert asker.generate().text == f"Fake impression by {first.digest}."
        finally:
            stop.set()
            thread.join(30)
    # The other slice never noticed.
    assert set(others) == {second.digest}


def test_a_request_that_was_answered_before_the_change_is_answered_the_same_after_it(site: Site) -> None:
    site.promote(site.first, CT_LIST)
    with site.serving() as address, Asker(address) as asker:
        answer = asker.generate("mine")
        (site.first.path / WEIGHTS).write_bytes(b"something else")
        assert asker.code("another") is grpc.StatusCode.DATA_LOSS
        assert asker.generate("mine") == answer

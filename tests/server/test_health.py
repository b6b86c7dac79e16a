"""Health while the registry goes and comes back, and while the server stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from tests.server.conftest import Site
from tests.server.peer import Held, Peer, refused

READY = ("", "radimpress.v1.ImpressionService", "radimpress.v1.AdapterService", "radimpress.readiness")


def _until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_without_its_registry_a_server_is_alive_and_not_ready_and_comes_back_by_itself(site: Site, peer: Peer) -> None:
    assert all(map(peer.serving, READY))
    database = Path(site.url.removeprefix("sqlite:///"))
    hidden = [path for path in site.root.iterdir() if path.name.startswith(database.name)]
    kept = {path: path.read_bytes() for path in hidden}
    for path in hidden:
        path.unlink()
    database.mkdir()
    _until(lambda: not any(map(peer.serving, READY)))
    assert peer.serving("radimpress.liveness")
    with pytest.raises(grpc.RpcError) as caught:
        peer.generate(modality="CT", clinic="alder")
    refused(grpc.StatusCode.UNAVAILABLE, caught)
    database.rmdir()
    for path, data in kept.items():
        path.write_bytes(data)
    _until(lambda: all(map(peer.serving, READY)))
    assert peer.generate(modality="CT", clinic="alder").text


def test_a_server_that_stops_says_so_while_running_requests_end(site: Site) -> None:
    engine = Held()
    answers = []
    with site.serving(engine, drain_seconds=20.0) as address:
        peer = Peer(address)
        asking = threading.Thread(target=lambda: answers.append(peer.generate(modality="CT", clinic="alder")))
        asking.start()
        _until(lambda: engine.inside == 1)
        # The block's end is what stops the server: it must wait for the request, which ends when it is let go.
        threading.Timer(0.5, lambda: setattr(engine, "go", True)).start()
    asking.join()
    peer.channel.close()
    assert [answer.text for answer in answers] == ["Begun, but not yet ended."]


def test_a_request_that_does_not_end_in_time_is_broken_off(site: Site) -> None:
    engine = Held()
    ended = []

    def ask(peer: Peer) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            peer.generate(modality="CT", clinic="alder")
        ended.append(caught.value.code())

    began = time.monotonic()
    with site.serving(engine, drain_seconds=0.3) as address:
        peer = Peer(address)
        asking = threading.Thread(target=ask, args=(peer,))
        asking.start()
        _until(lambda: engine.inside == 1)
    asking.join()
    peer.channel.close()
    assert time.monotonic() - began < 10
    assert ended[0] in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}

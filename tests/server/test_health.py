"""Health while the registry goes and comes back, and while the server stops."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from radimpress.server.engines.fake import FakeEngine
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.trainer.load import load_base
from tests.conftest import TINY
from tests.server.conftest import FAKE_BASE, Site
from tests.server.peer import Held, Peer, refused
from tests.server.processes import free_port


class Away(FakeEngine):
    """An engine on other machines."""

    missing = "nobody there"


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


def _page(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_server_whose_engine_has_ended_is_neither_ready_nor_alive_and_says_why(site: Site) -> None:
    engine, shown = FakeEngine(FAKE_BASE), f"127.0.0.1:{free_port()}"
    with site.serving(engine, metrics_listen=shown) as address, Peer(address) as peer:
        assert (_page(shown, "/readyz"), _page(shown, "/livez")) == ((200, "OK\n"), (200, "OK\n"))
        engine.close()
        _until(lambda: not any(map(peer.serving, (*READY, "radimpress.liveness"))))
        assert _page(shown, "/readyz") == (503, "the engine has ended\n")
        assert _page(shown, "/livez")[0] == 503
        with pytest.raises(grpc.RpcError) as caught:
            peer.generate(modality="CT", clinic="alder")
        # Another server may answer it.
        refused(grpc.StatusCode.UNAVAILABLE, caught)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_model_whose_thread_ended_leaves_no_server_that_says_that_it_serves(
    site: Site, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = InProcessEngine(load_base(TINY, tiny_folder))
    try:
        with site.serving(engine) as address, Peer(address) as peer:
            assert all(map(peer.serving, READY))
            # As a defect in what stands between two steps would: nothing there is tried again.
            monkeypatch.setattr(engine._scheduler, "step", None)
            with pytest.raises(grpc.RpcError) as caught:
                peer.generate(modality="CT", clinic="alder")
            refused(grpc.StatusCode.UNAVAILABLE, caught)
            _until(lambda: not any(map(peer.serving, READY)))
    finally:
        engine.close()


def test_a_registry_that_fails_as_nobody_thought_is_one_that_is_not_there(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        raise LookupError("of what nobody thought")

    with site.serving() as address, Peer(address) as peer:
        with monkeypatch.context() as patch:
            patch.setattr(site.registry, "check", check)
            _until(lambda: not any(map(peer.serving, READY)))
            assert peer.serving("radimpress.liveness")
        _until(lambda: all(map(peer.serving, READY)))


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


def test_without_its_engines_machines_a_server_is_alive_and_not_ready(site: Site) -> None:
    engine, shown = Away(FAKE_BASE), f"127.0.0.1:{free_port()}"
    with site.serving(engine, metrics_listen=shown) as address, Peer(address) as peer:
        assert not any(map(peer.serving, READY))
        assert peer.serving("radimpress.liveness")
        # Nobody may ask it now, so that no failed call would tell of it.
        assert "\nradimpress_ready 0.0\n" in _page(shown, "/metrics")[1]
        engine.missing = ""
        _until(lambda: all(map(peer.serving, READY)))
        assert "\nradimpress_ready 1.0\n" in _page(shown, "/metrics")[1]

"""The engine dies and comes back: what it could not write is told, never recorded, and asked again it is written."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import grpc
import pytest

from radimpress.reports.errors import EngineError
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.registry import Registry
from radimpress.trainer.bundle import AdapterBundle
from radimpress.v1 import adapter_pb2, adapter_pb2_grpc, impression_pb2
from tests.server.conftest import CT_LIST, FAKE_BASE, Site, certificate, clusters
from tests.server.processes import Asker, code_of, free_port, started


class Mortal(FakeEngine):
    """Writes while it lives; `words` are still written when it is dead."""

    def __init__(self) -> None:
        super().__init__(FAKE_BASE)
        self.dead = False
        self.words = 0

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        written = 0
        async for piece in super().generate(prompt, adapter, limits):
            if self.dead and written >= self.words:
                raise EngineError("the engine ended")
            written += 1
            yield piece


@pytest.mark.parametrize("words", [0, 2])
def test_an_engine_that_died_is_told_and_once_it_is_back_the_same_request_is_answered(site: Site, words: int) -> None:
    engine = Mortal()
    with site.serving(engine) as address, Asker(address) as asker:
        before = asker.generate("before")
        engine.dead, engine.words = True, words
        assert [asker.code("mine") for _ in range(3)] == [grpc.StatusCode.INTERNAL] * 3
        # What the engine has no part in goes on.
        assert asker.generate("before") == before
        tables = adapter_pb2_grpc.AdapterServiceStub(asker.channel)
        assert tables.GetRouteTable(adapter_pb2.GetRouteTableRequest(), timeout=30).route_table.number == 1
        engine.dead = False
        assert asker.generate("mine").text == "Fake impression by base."


def test_a_server_killed_and_started_again_has_lost_nothing_that_it_answered(
    fake_bundles: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    registry = Registry(url, fake_bundles)
    registry.adopt(clusters())
    adapter = registry.register(next((fake_bundles / "unified").iterdir()).relative_to(fake_bundles).as_posix())
    settings = {"registry": url, "bundles": fake_bundles, "audit": tmp_path / "audit"}
    port = free_port()
    answered: dict[str, impression_pb2.Impression] = {}
    stop = threading.Event()

    def ask() -> None:
        # While nobody listens it sends the same request again, as any client should.
        with Asker(f"127.0.0.1:{port}") as asker:
            while not stop.is_set():
                request_id = f"r-{len(answered)}"
                try:
                    answered[request_id] = asker.generate(request_id, timeout=60)
                except grpc.RpcError as error:
                    codes.add(code_of(error))
                    time.sleep(0.05)

    codes = set[grpc.StatusCode]()
    with started(tmp_path, port, **settings) as running:  # type: ignore[arg-type]
        thread = threading.Thread(target=ask)
        thread.start()
        _wait_for(lambda: len(answered) > 50)
        running.kill()
    registry.promote(adapter, certificate(adapter, CT_LIST))
    before = len(answered)
    with started(tmp_path, port, **settings) as running, Asker(running.address) as asker:  # type: ignore[arg-type]
        _wait_for(lambda: len(answered) > before + 50)
        stop.set()
        thread.join(60)
        # The request that was under way may have been kept or not; none was answered by anything else.
        assert codes == {grpc.StatusCode.UNAVAILABLE}
        assert answered[f"r-{len(answered) - 1}"].provenance.digest == adapter.digest
        # The adapter would answer now: what base answered before the kill comes from the journal.
        for request_id, answer in list(answered.items())[:before]:
            assert asker.generate(request_id) == answer
    registry.check_chain()
    registry.close()


def _wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)

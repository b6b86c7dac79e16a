"""Three servers over one PostgreSQL: promotions under load, one server killed, and nobody hears of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from radimpress.server.client import Client
from radimpress.server.registry import Registry
from radimpress.v1 import impression_pb2
from tests.server.conftest import CT_LIST, FINDINGS, MR_LIST, certificate, clusters
from tests.server.processes import Running, started

_THREADS = 8
_AGREE = 1.0


@dataclass(slots=True)
class Load:
    """Clients that ask without a pause, and what they were told.

    Attributes:
        answers: when a request was sent, by time.monotonic, and its answer, by request id.
        failed: what a client was told in place of an answer.
        stop: ends them.
    """

    answers: dict[str, tuple[float, impression_pb2.Impression]] = field(default_factory=dict)
    failed: list[Exception] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, client: Client, name: str) -> None:
        """Asks for one impression after the other, in two slices in turn."""
        number = 0
        while not self.stop.is_set():
            number += 1
            request_id, began = f"{name}-{number}", time.monotonic()
            modality = "CT" if number % 2 else "MR"
            try:
                answer = client.generate(request_id=request_id, findings=FINDINGS, modality=modality, clinic="alder")
            except Exception as error:
                self.failed.append(error)
                return
            self.answers[request_id] = began, answer

    def wait_for_more(self, count: int) -> None:
        """Waits until so many more are answered."""
        wanted, until = len(self.answers) + count, time.monotonic() + 60
        while len(self.answers) < wanted and not self.failed:
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.fixture
def servers(postgres_url: str, fake_bundles: Path, tmp_path: Path) -> Iterator[list[Running]]:
    """Three processes that serve from one database."""
    registry = Registry(postgres_url, fake_bundles)
    registry.adopt(clusters())
    registry.close()
    with ExitStack() as stack:
        running = []
        for number in range(3):
            given: dict[str, Any] = {
                "registry": postgres_url,
                "bundles": fake_bundles,
                "server_name": f"server-{number}",
                "audit": tmp_path / f"audit-{number}",
            }
            running.append(stack.enter_context(started(tmp_path, wait=False, **given)))
        for one in running:
            one.wait_ready()
        yield running


def test_under_promotions_and_a_kill_no_request_fails_no_answer_mixes_tables_and_none_is_lost(
    servers: list[Running], postgres_url: str, fake_bundles: Path
) -> None:
    registry = Registry(postgres_url, fake_bundles)
    paths = {path.parent.name: path.relative_to(fake_bundles).as_posix() for path in fake_bundles.glob("*/*")}
    first, second = (registry.register(paths[name]) for name in ("unified", "cluster-list"))
    load, changed = Load(), dict[int, float]()
    with Client([running.address for running in servers], timeout=30) as client:
        threads = [threading.Thread(target=load.run, args=(client, f"client-{at}")) for at in range(_THREADS)]
        for thread in threads:
            thread.start()
        try:
            load.wait_for_more(200)
            for adapter, cells, against in (
                (first, (CT_LIST, MR_LIST), None),
                (second, (CT_LIST,), first),
                (second, (MR_LIST,), first),
            ):
                made = registry.promote(adapter, certificate(adapter, *cells, incumbent=against))
                changed[made.number] = time.monotonic()
                time.sleep(_AGREE + 0.3)
                load.wait_for_more(50)
            changed[registry.rollback().number] = time.monotonic()
            time.sleep(_AGREE + 0.3)
            killed = time.monotonic()
            servers[0].kill()
            load.wait_for_more(200)
            made = registry.promote(second, certificate(second, MR_LIST, incumbent=first))
            changed[made.number] = time.monotonic()
            time.sleep(_AGREE + 0.3)
            load.wait_for_more(50)
        finally:
            load.stop.set()
            for thread in threads:
                thread.join(60)
        assert not load.failed
        _check_tables(load, registry)
        _check_agreement(load, changed)
        # What the killed server answered, the others know: asked again it is the same, table and all. Most could
        # be lost of what it answered last.
        last = [(key, answer) for key, (began, answer) in load.answers.items() if killed - 1 < began < killed]
        assert len(last) > 20
        for request_id, answer in [*last, *((key, answer) for key, (_, answer) in [*load.answers.items()][::10])]:
            modality = impression_pb2.Modality.Name(answer.provenance.cell.modality).removeprefix("MODALITY_")
            again = client.generate(request_id=request_id, findings=FINDINGS, modality=modality, clinic="alder")
            assert again == answer
    registry.check_chain()
    registry.close()


def _check_tables(load: Load, registry: Registry) -> None:
    """Each answer is by whom its own table gives the slice to, and says so itself."""
    seen = Counter[int]()
    cells = {impression_pb2.MODALITY_CT: CT_LIST, impression_pb2.MODALITY_MR: MR_LIST}
    for _, answer in load.answers.values():
        who = answer.provenance
        entry = registry.table(who.route_table).entries.get(cells[who.cell.modality])
        digest = entry.adapter.digest if entry and entry.adapter else ""
        assert (who.digest, answer.text) == (digest, f"Fake impression by {digest or 'base'}.")
        seen[who.route_table] += 1
    # Every table served, or this would be about less than it says.
    assert set(seen) == set(range(1, registry.table().number + 1))


def _check_agreement(load: Load, changed: dict[int, float]) -> None:
    """A second after a change no server answers from the table before it."""
    for began, answer in load.answers.values():
        due = max((number for number, when in changed.items() if began > when + _AGREE), default=1)
        assert answer.provenance.route_table >= due

"""A clock that steps, by an hour or by years, to and fro: deadlines, order and what was promised stay as they are."""

from __future__ import annotations

import datetime
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Self

import grpc
import pytest

from radimpress.server.engines.fake import FakeEngine
from radimpress.v1 import adapter_pb2, adapter_pb2_grpc
from tests.server.conftest import CT_LIST, FAKE_BASE, MR_LIST, Site, certificate
from tests.server.processes import Asker, code_of

_STEPS = (3600.0, -7200.0, 20 * 365 * 86400.0, -15 * 365 * 86400.0)
# A certificate that is in force whatever the clock says.
_ALWAYS = {"issued": "1990-01-01T00:00:00+00:00", "expires": "2090-01-01T00:00:00+00:00"}
Step = Callable[[float], None]


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Step:
    """Sets the wall clock of everything of ours that tells the time, off by so many seconds from the true one."""
    off = [0.0]
    true = time.time

    class Stepped(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Self:
            return cls.fromtimestamp(true() + off[0], tz)

    # Of ours alone: the client in this process takes its deadlines from the same clock.
    stepped = SimpleNamespace(
        **{**vars(time), "time": lambda: true() + off[0], "time_ns": lambda: int((true() + off[0]) * 1e9)}
    )
    for name, module in list(sys.modules.items()):
        if name.startswith("radimpress."):
            for known, mine in ((datetime.datetime, Stepped), (time, stepped)):
                for key in [key for key, value in vars(module).items() if value is known]:
                    monkeypatch.setattr(module, key, mine)

    def set_to(seconds: float) -> None:
        off[0] = seconds

    return set_to


def test_the_clock_that_the_tests_step_is_the_one_that_the_server_reads(site: Site, step: Step) -> None:
    adapter = site.registry.register(site.path(site.first))
    step(10 * 86400.0)
    made = site.registry.promote(adapter, certificate(adapter, CT_LIST, **_ALWAYS))  # type: ignore[arg-type]
    assert made.created - adapter.created > datetime.timedelta(days=9)


def test_requests_and_changes_go_on_over_every_step(site: Site, step: Step) -> None:
    adapter = site.registry.register(site.path(site.first))
    given = certificate(adapter, CT_LIST, **_ALWAYS)  # type: ignore[arg-type]
    with site.serving() as address, Asker(address) as asker:
        stub = adapter_pb2_grpc.AdapterServiceStub(asker.channel)
        kept = {}
        for number, seconds in enumerate(_STEPS):
            step(seconds)
            answer = kept[f"r-{number}"] = asker.generate(f"r-{number}")
            assert 0 <= answer.latency_micros < 10e6
            table = stub.PromoteAdapter(
                adapter_pb2.PromoteAdapterRequest(name=adapter.name, certificate=given), timeout=30
            ).route_table
            assert table.number == 2 + 2 * number
            assert asker.generate().provenance.route_table == table.number
            back = stub.RollbackRouteTable(adapter_pb2.RollbackRouteTableRequest(), timeout=30).route_table
            assert back.number == table.number + 1
        # Newest first is by number, whatever the clock said when each was made.
        listed = stub.ListRouteTables(adapter_pb2.ListRouteTablesRequest(), timeout=30).route_tables
        assert [table.number for table in listed] == list(range(1 + 2 * len(_STEPS), 0, -1))
        for request_id, answer in kept.items():
            assert asker.generate(request_id) == answer
    assert site.registry.check_chain() >= 2 * len(_STEPS)


def test_a_step_neither_shortens_nor_prolongs_a_deadline(site: Site, step: Step) -> None:
    # Four words, so that an impression takes two seconds.
    with site.serving(FakeEngine(FAKE_BASE, delay=0.5)) as address, Asker(address) as asker:
        for seconds in _STEPS[:2]:
            timer = threading.Timer(0.3, step, (seconds,))
            timer.start()
            assert asker.generate(timeout=30).text
            timer.join()
            step(0)
            began = time.monotonic()
            timer = threading.Timer(0.3, step, (seconds,))
            timer.start()
            assert asker.code(timeout=1) is grpc.StatusCode.DEADLINE_EXCEEDED
            assert time.monotonic() - began < 2
            timer.join()
            step(0)


def test_what_expires_is_judged_by_the_clock_as_it_stands(site: Site, step: Step) -> None:
    adapter = site.registry.register(site.path(site.first))
    given = certificate(adapter, CT_LIST)
    with site.serving() as address, grpc.insecure_channel(address) as channel:
        stub = adapter_pb2_grpc.AdapterServiceStub(channel)
        for seconds in (100 * 86400.0, -3600.0):
            step(seconds)
            with pytest.raises(grpc.RpcError) as caught:
                stub.PromoteAdapter(adapter_pb2.PromoteAdapterRequest(name=adapter.name, certificate=given), timeout=30)
            assert code_of(caught.value) is grpc.StatusCode.FAILED_PRECONDITION
        step(0)
        table = stub.PromoteAdapter(
            adapter_pb2.PromoteAdapterRequest(name=adapter.name, certificate=given), timeout=30
        ).route_table
    assert table.number == 2
    assert MR_LIST not in site.registry.table().entries

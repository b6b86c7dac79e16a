from __future__ import annotations

import asyncio
import itertools
from functools import partial
from pathlib import Path

import pytest

from radimpress.reports.errors import EngineError
from radimpress.server.bench import server
from radimpress.server.bench.asking import GENERATE, ask, requests
from radimpress.server.bench.hosting import ECHO, hosted
from radimpress.server.bench.server import GROUPS, ServerBench, measure
from radimpress.server.bench.site import CLINICS, TOKEN, fake_site
from radimpress.server.registry import Registry
from radimpress.server.security import trail
from radimpress.v1 import impression_pb2
from tests.conftest import TINY


def test_every_figure_is_measured_on_any_base(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "base_folder", lambda base, track: tiny_folder)
    bench = ServerBench(base=TINY, folder=tmp_path, rounds=1, requests=8, many=100)
    figures = measure(bench)
    assert set(figures) == {"throughput_ratio", "p50_added_ms", "fake_engine_rps", "echo_rps"}
    assert all(figure.low <= figure.value <= figure.high for figure in figures.values())
    assert figures["throughput_ratio"].low > 0
    assert 0 < figures["fake_engine_rps"].value < figures["echo_rps"].value


def test_every_group_has_a_name_that_can_be_asked_for() -> None:
    assert list(GROUPS) == ["throughput", "fake", "canary", "overload"]


def test_findings_are_of_the_length_that_is_promised_and_differ() -> None:
    made = [
        impression_pb2.GenerateImpressionRequest.FromString(data) for data in itertools.islice(requests(CLINICS), 2000)
    ]
    findings = {request.report.findings for request in made}
    assert len(findings) == len({request.request_id for request in made}) == 2000
    assert all(300 <= len(text) <= 800 for text in findings)
    assert {request.report.clinic for request in made} == set(CLINICS)


def test_what_is_measured_keeps_all_that_production_keeps(tmp_path: Path) -> None:
    asked = list(itertools.islice(requests(CLINICS), 64))
    with hosted(partial(fake_site, tmp_path), tmp_path / "server.log") as host:
        load = asyncio.run(ask(host.address, GENERATE, asked, 8, TOKEN))
        again = asyncio.run(ask(host.address, GENERATE, asked, 8, TOKEN))
        direct = host.direct(asked, 8)
    assert len(load.answers) == len(load.latencies) == len(direct.latencies) == 64
    # Answered from the journal: the latency of the first time stands in them.
    assert set(again.answers) == set(load.answers)
    lines = sum(trail.verify(file).lines for file in (tmp_path / "audit").glob("*.jsonl"))
    assert lines >= 64
    registry = Registry(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "bundles")
    assert len(registry.table().entries) == len(CLINICS)
    registry.close()


def test_an_echo_gives_back_what_it_gets(tmp_path: Path) -> None:
    with hosted(None, tmp_path / "echo.log") as host:
        load = asyncio.run(ask(host.address, ECHO, [b"a", b"b", b"c"], 2))
    assert sorted(load.answers) == [b"a", b"b", b"c"]


def test_a_process_that_ends_before_it_serves_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    made = hosted(partial(fake_site, tmp_path / "file"), tmp_path / "server.log")
    with pytest.raises(EngineError, match=r"see server\.log"), made:
        pass

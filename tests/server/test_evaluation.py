"""EvaluateAdapter: a certificate that promotes, from this server's own engine, beside live requests."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from radimpress.clustering.clusters import Clusters
from radimpress.clustering.features import NAMES, style
from radimpress.eval.certificate import decode_certificate
from radimpress.reports.files import write_reports
from radimpress.reports.prompt import render
from radimpress.reports.split import split
from radimpress.reports.synthetic import synthesize
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.registry import Registry
from radimpress.trainer.bundle import AdapterBundle
from radimpress.v1 import adapter_pb2
from tests.server.conftest import FAKE_BASE, Site, make_bundle
from tests.server.peer import Peer, fields, refused

REPORTS = [report for report in synthesize(700, 0, 0.0) if len(report.findings) > 100]
PARTS = split(REPORTS, seed=0)
CLINICS = {clinic: "list" if clinic in {"alder", "birch"} else "text" for clinic in {r.clinic for r in REPORTS}}
PROFILES = {
    clinic: dict(zip(NAMES, style(next(r.impression for r in REPORTS if r.clinic == clinic)).tolist(), strict=True))
    for clinic in CLINICS
}
CLUSTERS = Clusters(clinics=CLINICS, profiles=PROFILES, embedder="none", data="", why="made up")
KNOWN = {render(report): report.impression for report in REPORTS}


class Knowing(FakeEngine):
    """Writes the reference; the base model without its last words. Counts how many are asked at once."""

    def __init__(self) -> None:
        super().__init__(FAKE_BASE)
        self.asked = 0
        self.inside = 0
        self.most = 0
        self.seconds = 0.0

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        del limits
        self.asked += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await asyncio.sleep(self.seconds)
            words = KNOWN.get(prompt, "Nothing is known of this.").split(" ")
            yield Piece(" ".join(words if adapter else words[:-2]), "stop", 1, len(words))
        finally:
            self.inside -= 1


@pytest.fixture(scope="module")
def place(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle folder with one adapter for these clusters, and a folder of data sets."""
    root = tmp_path_factory.mktemp("place")
    make_bundle(tiny_folder, root / "bundles", base=FAKE_BASE, manifest={"clusters": CLUSTERS.digest, "cluster": None})
    for name in ("train", "validation", "test"):
        write_reports(root / "datasets" / "good" / f"{name}.jsonl", getattr(PARTS, name))
        write_reports(root / "datasets" / "leaky" / f"{name}.jsonl", PARTS.test)
    for name in ("good", "leaky"):
        CLUSTERS.save(root / "datasets" / name / "clusters.json")
    other = dict.fromkeys(CLINICS, "one")
    write_reports(root / "datasets" / "other" / "train.jsonl", PARTS.train)
    write_reports(root / "datasets" / "other" / "validation.jsonl", PARTS.validation)
    write_reports(root / "datasets" / "other" / "test.jsonl", PARTS.test)
    replace(CLUSTERS, clinics=other).save(root / "datasets" / "other" / "clusters.json")
    (root / "secret").mkdir()
    return root


@pytest.fixture
def registry(place: Path, tmp_path: Path) -> Iterator[Registry]:
    made = Registry(f"sqlite:///{tmp_path / 'registry.db'}", place / "bundles")
    made.adopt(CLUSTERS)
    (manifest,) = (place / "bundles").rglob("manifest.json")
    made.register(manifest.parent.relative_to(place / "bundles").as_posix())
    yield made
    made.close()


def _site(registry: Registry, place: Path) -> Site:
    bundle = registry.bundle(registry.adapter("unified"))
    return Site(place, registry, bundle, bundle)


def _evaluate(peer: Peer, dataset: str = "good", **more: Any) -> list[adapter_pb2.EvaluateAdapterResponse]:
    request = adapter_pb2.EvaluateAdapterRequest(**{"name": "unified", "dataset": dataset, **more})
    return list(peer.adapters.EvaluateAdapter(request, timeout=240))


def test_an_evaluation_ends_with_a_certificate_that_promotes(registry: Registry, place: Path) -> None:
    engine = Knowing()
    with _site(registry, place).serving(engine, datasets=place / "datasets") as address, Peer(address) as peer:
        *progress, last = _evaluate(peer)
        judged = decode_certificate(last.certificate)
        assert judged.digest == registry.adapter("unified").digest
        assert judged.passed
        made = peer.promote("unified", last.certificate)
    assert len(made.entries) == len(judged.opened)
    assert engine.most == 1
    steps = {event.progress.step for event in progress}
    assert {"evaluate base", "evaluate unified"} <= steps
    assert all(0 <= event.progress.done <= event.progress.total for event in progress)


def test_no_text_of_an_evaluation_is_written_down_anywhere(
    registry: Registry, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    class Looking(Knowing):
        def __init__(self) -> None:
            super().__init__()
            self.found: set[str] = set()

        async def generate(
            self, prompt: str, adapter: AdapterBundle | None, limits: Limits
        ) -> AsyncGenerator[Piece, None]:
            self.found |= {path.name for path in temporary.rglob("*")}
            async for piece in super().generate(prompt, adapter, limits):
                yield piece

    engine = Looking()
    with _site(registry, place).serving(engine, datasets=place / "datasets") as address, Peer(address) as peer:
        _evaluate(peer, cases=20)
    assert engine.asked
    assert engine.found == set()


def test_fewer_cases_are_asked_about_when_fewer_are_wanted(registry: Registry, place: Path) -> None:
    engine = Knowing()
    with _site(registry, place).serving(engine, datasets=place / "datasets") as address, Peer(address) as peer:
        _evaluate(peer, cases=20)
    assert 0 < engine.asked <= 40


def test_requests_are_answered_while_an_evaluation_runs_and_a_second_one_is_refused(
    registry: Registry, place: Path
) -> None:
    engine = Knowing()
    engine.seconds = 0.02
    with _site(registry, place).serving(engine, datasets=place / "datasets") as address, Peer(address) as peer:
        request = adapter_pb2.EvaluateAdapterRequest(name="unified", dataset="good")
        running = peer.adapters.EvaluateAdapter(request, timeout=240)
        next(iter(running))
        assert peer.generate(modality="CT", clinic="alder").text == "Nothing is known"
        with pytest.raises(grpc.RpcError) as caught:
            _evaluate(peer)
        refused(grpc.StatusCode.FAILED_PRECONDITION, caught)
        running.cancel()  # type: ignore[no-untyped-call]
        until = time.monotonic() + 30
        while engine.inside:
            assert time.monotonic() < until
            time.sleep(0.02)
        asked = engine.asked
        time.sleep(0.2)
        assert engine.asked <= asked + 1
        engine.seconds = 0.0
        # The thread may take a moment to see that nobody waits.
        while True:
            try:
                assert _evaluate(peer, cases=12)[-1].certificate
                break
            except grpc.RpcError:
                assert time.monotonic() < until
                time.sleep(0.05)


@pytest.mark.parametrize("dataset", ["", ".", "..", "../secret", "/etc", "a\0b", "x" * 600])
def test_a_data_set_out_of_its_folder_is_refused_by_name(registry: Registry, place: Path, dataset: str) -> None:
    with _site(registry, place).serving(Knowing(), datasets=place / "datasets") as address, Peer(address) as peer:
        with pytest.raises(grpc.RpcError) as caught:
            _evaluate(peer, dataset)
        refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
        assert fields(caught) == ["dataset"]


@pytest.mark.parametrize(
    ("dataset", "told"), [("leaky", "stand in training"), ("other", "are grouped otherwise than the route table's")]
)
def test_a_data_set_that_nobody_can_be_judged_on_is_refused(
    registry: Registry, place: Path, dataset: str, told: str
) -> None:
    with _site(registry, place).serving(Knowing(), datasets=place / "datasets") as address, Peer(address) as peer:
        with pytest.raises(grpc.RpcError) as caught:
            _evaluate(peer, dataset)
        assert told in refused(grpc.StatusCode.INVALID_ARGUMENT, caught)


def test_what_is_not_there_is_not_found(registry: Registry, place: Path) -> None:
    with _site(registry, place).serving(Knowing(), datasets=place / "datasets") as address, Peer(address) as peer:
        for given in ({"dataset": "nothing"}, {"name": "nobody"}, {"version": 7}):
            with pytest.raises(grpc.RpcError) as caught:
                _evaluate(peer, **given)
            assert str(place) not in refused(grpc.StatusCode.NOT_FOUND, caught)


def test_a_server_without_data_sets_says_so(registry: Registry, place: Path) -> None:
    with _site(registry, place).serving(Knowing()) as address, Peer(address) as peer:
        with pytest.raises(grpc.RpcError) as caught:
            _evaluate(peer)
        assert "datasets" in refused(grpc.StatusCode.FAILED_PRECONDITION, caught)


def test_a_negative_number_of_cases_is_refused_by_name(registry: Registry, place: Path) -> None:
    with _site(registry, place).serving(Knowing(), datasets=place / "datasets") as address, Peer(address) as peer:
        with pytest.raises(grpc.RpcError) as caught:
            _evaluate(peer, cases=-1)
        assert fields(caught) == ["cases"]

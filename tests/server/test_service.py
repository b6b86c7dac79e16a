"""The services over a real server on loopback, as any client would meet them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from grpc_reflection.v1alpha import reflection_pb2

from radimpress.clustering.cell import Cell
from radimpress.eval.certificate import decode_certificate
from radimpress.eval.gate import Outcome
from radimpress.eval.waiver import make_waiver
from radimpress.reports.report import Modality
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.server.registry import Registry
from radimpress.trainer.bundle import CONFIG, MANIFEST, WEIGHTS, AdapterBundle
from radimpress.trainer.load import load_base
from radimpress.v1 import adapter_pb2, impression_pb2
from tests.conftest import TINY
from tests.server.conftest import (
    CT_ANY,
    CT_LIST,
    FAKE_BASE,
    MR_LIST,
    Site,
    certificate,
    change_byte,
    clusters,
    make_bundle,
)
from tests.server.peer import Peer, Saying, fields, refused

SECRET = "The spleen is lacerated."


def test_base_answers_where_nobody_was_judged(peer: Peer) -> None:
    answer = peer.generate(modality="CT", clinic="alder")
    assert answer.text == "Fake impression by base."
    who = answer.provenance
    assert (who.adapter, who.version, who.digest, who.base_model) == ("base", 0, "", "fake")
    assert (who.base_digest, who.route_table, who.prompt_version) == (FAKE_BASE, 1, "1")
    assert who.reason == impression_pb2.ROUTE_REASON_NOT_JUDGED


def test_the_promoted_adapter_answers_and_its_digest_is_that_of_the_file(site: Site, peer: Peer) -> None:
    site.promote(site.first, CT_LIST)
    answer = peer.generate(modality="CT", clinic="alder")
    digest = hashlib.sha256((site.first.path / WEIGHTS).read_bytes()).hexdigest()
    who = answer.provenance
    assert answer.text == f"Fake impression by {digest}."
    assert (who.adapter, who.version, who.digest, who.route_table) == ("unified", 1, digest, 2)
    assert who.reason == impression_pb2.ROUTE_REASON_CELL
    assert (who.cell.modality, who.cell.cluster) == (impression_pb2.MODALITY_CT, "list")


def test_an_answer_says_how_it_came_about(peer: Peer) -> None:
    answer = peer.generate(request_id="mine", modality="CT")
    assert (answer.request_id, answer.finish_reason) == ("mine", impression_pb2.FINISH_REASON_STOP)
    assert (answer.impression_tokens, answer.prompt_tokens > 0, answer.latency_micros > 0) == (4, True, True)
    assert not answer.check_findings


def test_a_request_without_a_name_gets_one_of_its_own(peer: Peer) -> None:
    names = {peer.generate().request_id for _ in range(3)}
    assert len(names - {""}) == 3


def test_a_request_name_of_128_characters_comes_back(peer: Peer) -> None:
    assert peer.generate(request_id="é" * 128).request_id == "é" * 128


def test_an_answer_that_was_cut_says_so(site: Site) -> None:
    with site.serving(max_tokens=2) as address:
        peer = Peer(address)
        answer = peer.generate()
        peer.channel.close()
    assert (answer.text, answer.finish_reason) == ("Fake impression", impression_pb2.FINISH_REASON_LENGTH)


def test_what_the_checks_noticed_comes_with_the_answer_in_no_report_words(site: Site) -> None:
    with site.serving(Saying("Intact right knee measuring 5 mm.")) as address:
        peer = Peer(address)
        noticed = peer.generate(findings="The left knee is intact.").check_findings
        peer.channel.close()
    assert [finding.check for finding in noticed] == ["laterality", "measurement"]
    assert not any("knee" in finding.message for finding in noticed)


@pytest.mark.parametrize("clinic", ["willow", ""])
def test_an_unknown_clinic_is_answered_by_the_adapter_judged_over_all(site: Site, peer: Peer, clinic: str) -> None:
    site.promote(site.first, CT_ANY)
    who = peer.generate(modality="CT", clinic=clinic).provenance
    assert who.reason == impression_pb2.ROUTE_REASON_CLINIC_UNKNOWN
    assert (who.digest, who.cell.cluster) == (site.first.digest, "any")


def test_without_a_modality_base_answers(site: Site, peer: Peer) -> None:
    site.promote(site.first, CT_ANY, CT_LIST)
    who = peer.generate(clinic="alder").provenance
    assert (who.adapter, who.reason) == ("base", impression_pb2.ROUTE_REASON_MODALITY_UNSPECIFIED)


@pytest.mark.parametrize("spelling", ["CT", "ct", "CAT scan", "C.T."])
def test_spellings_of_a_modality_are_one(site: Site, peer: Peer, spelling: str) -> None:
    site.promote(site.first, CT_LIST)
    assert peer.generate(modality=spelling, clinic="birch").provenance.digest == site.first.digest


@pytest.mark.parametrize("modality", Modality)
def test_every_modality_has_a_name_on_the_wire(peer: Peer, modality: Modality) -> None:
    cell = peer.generate(modality=modality.value).provenance.cell
    assert impression_pb2.Modality.Name(cell.modality) == f"MODALITY_{modality.value}"


def test_a_stream_tells_who_writes_then_pieces_then_the_whole(site: Site, peer: Peer) -> None:
    site.promote(site.first, CT_LIST)
    events = peer.stream(modality="CT", clinic="alder")
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds == ["started", *["piece"] * (len(kinds) - 2), "completed"]
    assert len(kinds) > 2
    last = events[-1].completed
    assert "".join(event.piece for event in events[1:-1]) == last.text
    assert events[0].started == last.provenance


def test_a_stream_ends_as_the_single_answer_does(site: Site, peer: Peer) -> None:
    site.promote(site.first, CT_LIST)
    whole = peer.generate(modality="CT", clinic="alder")
    streamed = peer.stream(modality="CT", clinic="alder")[-1].completed
    assert (streamed.text, streamed.provenance) == (whole.text, whole.provenance)


@pytest.mark.parametrize("findings", ["", "   \n", "<|end|>", " <|user|> <|assistant|> "])
def test_empty_findings_are_refused_by_name(peer: Peer, findings: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        peer.generate(findings=findings)
    refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    assert fields(caught) == ["findings"]


@pytest.mark.parametrize("length", [20_001, 100_000])
def test_findings_that_are_too_long_are_refused_and_not_quoted(peer: Peer, length: int) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        peer.generate(findings=(SECRET * length)[:length])
    message = refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    assert fields(caught) == ["findings"]
    assert "spleen" not in message


def test_findings_of_the_greatest_length_are_answered(peer: Peer) -> None:
    assert peer.generate(findings="x" * 20_000).text


@pytest.mark.parametrize("field", ["exam", "indication", "comparison"])
def test_no_field_may_be_without_end(peer: Peer, field: str) -> None:
    given: dict[str, Any] = {field: "x" * 1_000_000}
    with pytest.raises(grpc.RpcError) as caught:
        peer.generate(**given)
    refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    assert fields(caught) == [field]


@pytest.mark.parametrize("modality", ["telepathy", "CT chest", "?", "5"])
def test_a_modality_that_is_not_known_is_refused_by_name(peer: Peer, modality: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        peer.generate(modality=modality, findings=SECRET)
    message = refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    assert fields(caught) == ["modality"]
    assert "spleen" not in message


def test_a_request_name_that_is_too_long_is_refused_by_name(peer: Peer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        peer.generate(request_id="x" * 129)
    refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    assert fields(caught) == ["request_id"]


def test_a_stream_refuses_as_the_single_answer_does(peer: Peer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        peer.stream(modality="telepathy")
    refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    assert fields(caught) == ["modality"]


def test_a_request_without_a_report_isrefused(peer: Peer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        peer.impressions.GenerateImpression(impression_pb2.GenerateImpressionRequest(), timeout=60)
    refused(grpc.StatusCode.INVALID_ARGUMENT, caught)


@pytest.mark.parametrize("file", [WEIGHTS, CONFIG])
def test_a_promoted_adapter_with_a_changed_file_is_not_answered_for(site: Site, peer: Peer, file: str) -> None:
    site.promote(site.first, CT_LIST)
    change_byte(site.first.path / file)
    with pytest.raises(grpc.RpcError) as caught:
        peer.generate(modality="CT", clinic="alder")
    refused(grpc.StatusCode.DATA_LOSS, caught)
    with pytest.raises(grpc.RpcError) as caught:
        peer.stream(modality="CT", clinic="alder")
    refused(grpc.StatusCode.DATA_LOSS, caught)


def test_other_slices_go_on_when_one_adapter_is_broken(site: Site, peer: Peer) -> None:
    site.promote(site.first, CT_LIST)
    site.promote(site.second, MR_LIST)
    change_byte(site.first.path / WEIGHTS)
    assert peer.generate(modality="MR", clinic="alder").provenance.digest == site.second.digest


def _reword(site: Site) -> None:
    manifest = {**site.first.manifest, "note": "later"}
    (site.first.path / MANIFEST).write_text(json.dumps(manifest), "utf-8")


def _spoil(site: Site) -> None:
    (site.first.path / MANIFEST).write_text("{", "utf-8")


def _remove(site: Site) -> None:
    site.first.path.rename(site.root / "away")


@pytest.mark.parametrize("harm", [_reword, _spoil, _remove])
def test_a_promoted_adapter_whose_bundle_is_not_the_registered_one_is_data_loss(
    site: Site, peer: Peer, harm: Any
) -> None:
    site.promote(site.first, CT_LIST)
    harm(site)
    with pytest.raises(grpc.RpcError) as caught:
        peer.generate(modality="CT", clinic="alder")
    refused(grpc.StatusCode.DATA_LOSS, caught)


def test_a_refusal_tells_no_folder_of_the_server(site: Site, peer: Peer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        peer.register("nothing")
    assert str(site.root) not in refused(grpc.StatusCode.NOT_FOUND, caught)


def test_a_deadline_that_passes_is_told(site: Site) -> None:
    with site.serving(FakeEngine(FAKE_BASE, delay=0.5)) as address:
        peer = Peer(address)
        with pytest.raises(grpc.RpcError) as caught:
            peer.generate(timeout=0.2)
        peer.channel.close()
    refused(grpc.StatusCode.DEADLINE_EXCEEDED, caught)


def test_a_model_that_writes_nothing_is_an_error(site: Site) -> None:
    with site.serving(Saying(" \n")) as address:
        peer = Peer(address)
        with pytest.raises(grpc.RpcError) as caught:
            peer.generate()
        peer.channel.close()
    assert refused(grpc.StatusCode.INTERNAL, caught) == "the model wrote nothing"


def test_an_engine_that_breaks_says_nothing_of_the_report(site: Site) -> None:
    class Broken(FakeEngine):
        async def generate(
            self, prompt: str, adapter: AdapterBundle | None, limits: Limits
        ) -> AsyncGenerator[Piece, None]:
            del adapter, limits
            raise ValueError(prompt)
            yield

    with site.serving(Broken(FAKE_BASE)) as address:
        peer = Peer(address)
        with pytest.raises(grpc.RpcError) as caught:
            peer.generate(findings=SECRET)
        peer.channel.close()
    assert refused(grpc.StatusCode.INTERNAL, caught) == "internal error"
    assert "spleen" not in str(caught.value)


@pytest.mark.parametrize(
    "service",
    [
        "",
        "radimpress.v1.ImpressionService",
        "radimpress.v1.AdapterService",
        "radimpress.liveness",
        "radimpress.readiness",
    ],
)
def test_health_is_serving(peer: Peer, service: str) -> None:
    assert peer.serving(service)


def test_reflection_names_every_service(peer: Peer) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(iter(peer.reflection.ServerReflectionInfo(iter([request]), timeout=60)))
    assert {service.name for service in answer.list_services_response.service} == {
        "radimpress.v1.ImpressionService",
        "radimpress.v1.AdapterService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


def test_registering_and_promoting_over_the_wire_changes_who_answers(site: Site, peer: Peer) -> None:
    made = peer.register(site.path(site.first))
    assert (made.name, made.version, made.digest, made.rank) == ("unified", 1, site.first.digest, 2)
    table = peer.promote("unified", certificate(site.registry.adapter("unified"), CT_LIST), expected=1)
    assert (table.number, table.cause, [entry.digest for entry in table.entries]) == (
        2,
        "promote unified@1",
        [site.first.digest],
    )
    assert peer.generate(modality="CT", clinic="alder").provenance.digest == site.first.digest


def test_a_waiver_shows_wherever_its_adapter_does(site: Site, peer: Peer) -> None:
    site.promote(site.second, CT_LIST)
    adapter = site.registry.register(site.path(site.first))
    judged = decode_certificate(certificate(adapter, MR_LIST, outcome=Outcome.INSUFFICIENT))
    key = Ed25519PrivateKey.generate()
    waiver = make_waiver(MR_LIST, "Dr A. Alder", "rare, and read twice", judged.judgement, key, days=30)
    made = peer.promote("unified", judged.waived(waiver).encode())
    assert [entry.waiver for entry in made.entries] == ["", str(waiver)]
    one = peer.adapters.GetRouteTable(adapter_pb2.GetRouteTableRequest(), timeout=60).route_table
    every = peer.adapters.ListRouteTables(adapter_pb2.ListRouteTablesRequest(), timeout=60).route_tables
    assert one == every[0] == made
    assert peer.generate(modality="MR", clinic="alder").provenance.waiver == str(waiver)
    assert peer.stream(modality="MR", clinic="alder")[0].started.waiver == str(waiver)
    assert peer.generate(modality="CT", clinic="alder").provenance.waiver == ""
    assert peer.generate(modality="MR", clinic="elm").provenance.waiver == ""


def test_registered_adapters_can_be_asked_for(site: Site, peer: Peer) -> None:
    made = peer.register(site.path(site.first))
    assert peer.adapters.GetAdapter(adapter_pb2.GetAdapterRequest(name="unified"), timeout=60).adapter == made
    with pytest.raises(grpc.RpcError) as caught:
        peer.adapters.GetAdapter(adapter_pb2.GetAdapterRequest(name="unified", version=2), timeout=60)
    refused(grpc.StatusCode.NOT_FOUND, caught)


@pytest.mark.parametrize("path", ["", "../x", "/etc", "unified/../../x", "a\0b"])
def test_a_path_out_of_the_bundle_folder_is_refused_by_name(peer: Peer, path: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        peer.register(path)
    refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    assert fields(caught) == ["path"]


def test_a_bundle_with_a_changed_file_is_not_registered(site: Site, peer: Peer) -> None:
    change_byte(site.first.path / WEIGHTS)
    with pytest.raises(grpc.RpcError) as caught:
        peer.register(site.path(site.first))
    refused(grpc.StatusCode.DATA_LOSS, caught)


def test_a_bundle_of_another_base_is_not_registered(site: Site, peer: Peer, tiny_folder: Path) -> None:
    other = make_bundle(tiny_folder, site.bundles, name="other", base="e" * 64)
    with pytest.raises(grpc.RpcError) as caught:
        peer.register(site.path(other))
    refused(grpc.StatusCode.FAILED_PRECONDITION, caught)


def test_a_stale_table_is_aborted(site: Site, peer: Peer) -> None:
    adapter = site.promote(site.first, CT_LIST)
    with pytest.raises(grpc.RpcError) as caught:
        peer.promote("unified", certificate(adapter, MR_LIST), expected=1)
    refused(grpc.StatusCode.ABORTED, caught)
    with pytest.raises(grpc.RpcError) as caught:
        peer.adapters.RollbackRouteTable(adapter_pb2.RollbackRouteTableRequest(expected_route_table=1), timeout=60)
    refused(grpc.StatusCode.ABORTED, caught)


def test_a_certificate_of_another_adapter_or_of_other_clusters_isrefused(site: Site, peer: Peer) -> None:
    first, second = (site.registry.register(site.path(bundle)) for bundle in (site.first, site.second))
    for given in (certificate(second, CT_LIST), certificate(first, CT_LIST, clusters_digest="e" * 64)):
        with pytest.raises(grpc.RpcError) as caught:
            peer.promote("unified", given)
        refused(grpc.StatusCode.FAILED_PRECONDITION, caught)


def test_a_certificate_against_a_stale_incumbent_isrefused(site: Site, peer: Peer) -> None:
    site.promote(site.first, CT_LIST)
    second = site.registry.register(site.path(site.second))
    with pytest.raises(grpc.RpcError) as caught:
        peer.promote("cluster-list", certificate(second, CT_LIST))
    refused(grpc.StatusCode.FAILED_PRECONDITION, caught)


@pytest.mark.parametrize("data", [b"", b"x", b"{}", b"[" * 200_000])
def test_a_certificate_that_cannot_be_read_is_refused_by_name(site: Site, peer: Peer, data: bytes) -> None:
    site.registry.register(site.path(site.first))
    with pytest.raises(grpc.RpcError) as caught:
        peer.promote("unified", data)
    refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    assert fields(caught) == ["certificate"]


def test_a_certificate_with_a_changed_byte_promotes_nothing(site: Site, peer: Peer) -> None:
    given = bytearray(certificate(site.registry.register(site.path(site.first)), CT_LIST))
    at = given.index(b'"cases":40')
    given[at + len(b'"cases":')] = ord("5")
    given.append(ord(" "))
    with pytest.raises(grpc.RpcError) as caught:
        peer.promote("unified", bytes(given))
    refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    assert site.registry.table().number == 1


def test_promoting_what_nobody_registered_is_not_found(peer: Peer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        peer.promote("nobody", b"{}")
    refused(grpc.StatusCode.NOT_FOUND, caught)


def test_after_going_back_the_answers_are_those_of_before(site: Site, peer: Peer) -> None:
    site.promote(site.first, CT_LIST)
    before = peer.generate(modality="CT", clinic="alder")
    first = site.registry.adapter("unified")
    second = site.registry.register(site.path(site.second))
    site.registry.promote(second, certificate(second, CT_LIST, incumbent=first))
    between = peer.generate(modality="CT", clinic="alder")
    made = peer.adapters.RollbackRouteTable(adapter_pb2.RollbackRouteTableRequest(), timeout=60).route_table
    after = peer.generate(modality="CT", clinic="alder")
    assert made.number == 4
    assert between.provenance.digest == site.second.digest
    assert (after.text, after.provenance.digest) == (before.text, before.provenance.digest)
    assert after.provenance.route_table == 4


def test_there_is_nothing_before_the_first_table(peer: Peer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        peer.adapters.RollbackRouteTable(adapter_pb2.RollbackRouteTableRequest(), timeout=60)
    refused(grpc.StatusCode.FAILED_PRECONDITION, caught)
    with pytest.raises(grpc.RpcError) as caught:
        peer.adapters.GetRouteTable(adapter_pb2.GetRouteTableRequest(number=2), timeout=60)
    refused(grpc.StatusCode.NOT_FOUND, caught)


def test_a_table_made_by_another_process_serves_within_a_second(site: Site, peer: Peer) -> None:
    assert peer.generate(modality="CT", clinic="alder").provenance.adapter == "base"
    elsewhere = Registry(site.url, site.bundles)
    adapter = elsewhere.register(site.path(site.first))
    elsewhere.promote(adapter, certificate(adapter, CT_LIST))
    elsewhere.close()
    until = time.monotonic() + 1
    while peer.generate(modality="CT", clinic="alder").provenance.digest != site.first.digest:
        assert time.monotonic() < until
        time.sleep(0.02)


def _tables(peer: Peer, size: int) -> list[list[int]]:
    pages, token = [], ""
    while True:
        request = adapter_pb2.ListRouteTablesRequest(page_size=size, page_token=token)
        page = peer.adapters.ListRouteTables(request, timeout=60)
        pages.append([table.number for table in page.route_tables])
        token = page.next_page_token
        if not token:
            return pages


@pytest.mark.parametrize(
    ("size", "pages"),
    [(0, [[3, 2, 1]]), (1, [[3], [2], [1]]), (2, [[3, 2], [1]]), (3, [[3, 2, 1]]), (501, [[3, 2, 1]])],
)
def test_pages_of_tables_hold_each_once_newest_first(site: Site, peer: Peer, size: int, pages: list[list[int]]) -> None:
    site.promote(site.first, CT_LIST)
    site.promote(site.second, MR_LIST)
    assert _tables(peer, size) == pages


def test_pages_of_adapters_hold_each_once(site: Site, peer: Peer) -> None:
    site.registry.register(site.path(site.first))
    site.registry.register(site.path(site.second))
    first = peer.adapters.ListAdapters(adapter_pb2.ListAdaptersRequest(page_size=1), timeout=60)
    rest = peer.adapters.ListAdapters(adapter_pb2.ListAdaptersRequest(page_token=first.next_page_token), timeout=60)
    assert [adapter.name for adapter in (*first.adapters, *rest.adapters)] == ["cluster-list", "unified"]
    assert (bool(first.next_page_token), rest.next_page_token) == (True, "")


@pytest.mark.parametrize("token", ["x", "-1", "1.5", "9" * 10, " "])
def test_a_page_token_of_somebody_else_is_refused_by_name(peer: Peer, token: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        peer.adapters.ListAdapters(adapter_pb2.ListAdaptersRequest(page_token=token), timeout=60)
    refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    assert fields(caught) == ["page_token"]


def test_a_negative_page_size_is_refused_by_name(peer: Peer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        peer.adapters.ListRouteTables(adapter_pb2.ListRouteTablesRequest(page_size=-1), timeout=60)
    assert fields(caught) == ["page_size"]


def test_a_real_model_answers_with_the_adapter_that_was_judged(tiny_folder: Path, tmp_path: Path) -> None:
    bundle = make_bundle(tiny_folder, tmp_path / "bundles", seed=4)
    registry = Registry(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "bundles")
    registry.adopt(clusters())
    site = Site(tmp_path, registry, bundle, bundle)
    engine = InProcessEngine(load_base(TINY, tiny_folder))
    try:
        with site.serving(engine, max_tokens=24) as address:
            peer = Peer(address)
            base = peer.generate(modality="CT", clinic="alder")
            site.promote(bundle, CT_LIST, Cell(Modality.CT, "any"))
            adapted = peer.generate(modality="CT", clinic="alder")
            events = peer.stream(modality="CT", clinic="alder")
            registry.rollback()
            after = peer.generate(modality="CT", clinic="alder")
            peer.channel.close()
    finally:
        engine.close()
        registry.close()
    assert adapted.provenance.digest == hashlib.sha256((bundle.path / WEIGHTS).read_bytes()).hexdigest()
    assert adapted.text != base.text
    assert after.text == base.text
    assert "".join(event.piece for event in events) == events[-1].completed.text == adapted.text

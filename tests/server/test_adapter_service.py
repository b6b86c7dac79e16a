"""The rpcs of AdapterService that try, end, retire, explain and tell; registering and promoting are in test_service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from radimpress.server.routes import AdapterVersion
from radimpress.trainer.bundle import WEIGHTS
from radimpress.v1 import adapter_pb2, impression_pb2
from tests.server.conftest import CT_LIST, CT_TELEGRAPHIC, MR_LIST, Site, certificate, change_byte
from tests.server.peer import Peer, fields, refused

CANARY = adapter_pb2.TrialPlan(kind=adapter_pb2.TRIAL_KIND_CANARY, percent=100)


@pytest.fixture
def adapter(site: Site) -> AdapterVersion:
    return site.registry.register(site.path(site.first))


def _promote(peer: Peer, given: bytes, **more: Any) -> adapter_pb2.PromoteAdapterResponse:
    request = adapter_pb2.PromoteAdapterRequest(name="unified", certificate=given, **more)
    return peer.adapters.PromoteAdapter(request, timeout=60)


def _explain(peer: Peer, **given: Any) -> adapter_pb2.ExplainRouteResponse:
    request = adapter_pb2.ExplainRouteRequest(**{"clinic": "alder", "modality": "CT", **given})
    return peer.adapters.ExplainRoute(request, timeout=60)


def test_a_dry_run_says_what_would_change_and_changes_nothing(site: Site, peer: Peer, adapter: AdapterVersion) -> None:
    said = _promote(peer, certificate(adapter, CT_LIST), dry_run=True)
    assert (said.route_table.number, site.registry.table().number) == (2, 1)
    assert [(one.before, one.after, one.trial) for one in said.changes] == [("base", "unified@1", "")]
    made = _promote(peer, certificate(adapter, CT_LIST))
    assert made.changes == said.changes
    assert made.route_table.entries == said.route_table.entries
    assert site.registry.table().number == 2


def test_a_dry_run_refuses_what_a_promotion_would(peer: Peer, adapter: AdapterVersion) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        _promote(peer, certificate(adapter, CT_LIST, clusters_digest="e" * 64), dry_run=True)
    refused(grpc.StatusCode.FAILED_PRECONDITION, caught)


def test_a_canary_answers_and_says_that_it_is_one_until_its_trial_ends(peer: Peer, adapter: AdapterVersion) -> None:
    made = _promote(peer, certificate(adapter, CT_LIST), trial=CANARY)
    (entry,) = made.route_table.entries
    assert (entry.adapter, entry.trial.adapter, entry.trial.plan, entry.trial.since) == ("", "unified", CANARY, 2)
    who = peer.generate("mine", modality="CT", clinic="alder").provenance
    assert (who.digest, who.arm) == (adapter.digest, impression_pb2.ARM_CANARY)
    assert who.reason == impression_pb2.ROUTE_REASON_CANARY
    request = adapter_pb2.EndTrialRequest(name="unified")
    assert peer.adapters.EndTrial(request, timeout=60).route_table.number == 3
    who = peer.generate(modality="CT", clinic="alder").provenance
    assert (who.digest, who.arm) == ("", impression_pb2.ARM_INCUMBENT)
    with pytest.raises(grpc.RpcError) as caught:
        peer.adapters.EndTrial(request, timeout=60)
    refused(grpc.StatusCode.NOT_FOUND, caught)


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        ({"percent": 10}, "trial.kind"),
        ({"kind": adapter_pb2.TRIAL_KIND_CANARY}, "trial.percent"),
        ({"kind": adapter_pb2.TRIAL_KIND_SHADOW, "percent": 101}, "trial.percent"),
        ({"kind": adapter_pb2.TRIAL_KIND_CANARY, "percent": float("nan")}, "trial.percent"),
        ({"kind": adapter_pb2.TRIAL_KIND_CANARY, "percent": 5, "clinics": ["nobody"]}, "trial.clinics"),
    ],
)
def test_a_trial_that_is_none_is_refused_by_name(
    peer: Peer, adapter: AdapterVersion, plan: dict[str, Any], field: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        _promote(peer, certificate(adapter, CT_LIST), trial=adapter_pb2.TrialPlan(**plan))
    refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    assert fields(caught) == [field]


def test_a_version_is_verified_from_its_files(site: Site, peer: Peer, adapter: AdapterVersion) -> None:
    request = adapter_pb2.VerifyAdapterRequest(name="unified")
    assert peer.adapters.VerifyAdapter(request, timeout=60).adapter.digest == adapter.digest
    change_byte(site.first.path / WEIGHTS)
    with pytest.raises(grpc.RpcError) as caught:
        peer.adapters.VerifyAdapter(request, timeout=60)
    refused(grpc.StatusCode.DATA_LOSS, caught)


def test_what_is_retired_serves_no_more(site: Site, peer: Peer) -> None:
    adapter = site.promote(site.first, CT_LIST)
    request = adapter_pb2.RetireAdapterRequest(name="unified", version=1)
    with pytest.raises(grpc.RpcError) as caught:
        peer.adapters.RetireAdapter(request, timeout=60)
    refused(grpc.StatusCode.FAILED_PRECONDITION, caught)
    peer.adapters.RollbackRouteTable(adapter_pb2.RollbackRouteTableRequest(), timeout=60)
    assert peer.adapters.RetireAdapter(request, timeout=60).adapter.HasField("retire_time")
    for ask in (
        lambda: _promote(peer, certificate(adapter, CT_LIST)),
        lambda: peer.adapters.RollbackRouteTable(adapter_pb2.RollbackRouteTableRequest(number=2), timeout=60),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            ask()
        refused(grpc.StatusCode.FAILED_PRECONDITION, caught)


@pytest.mark.parametrize("version", [0, -1])
def test_what_is_retired_must_be_named_in_full(peer: Peer, adapter: AdapterVersion, version: int) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        peer.adapters.RetireAdapter(adapter_pb2.RetireAdapterRequest(name="unified", version=version), timeout=60)
    assert fields(caught) == ["version"]


def test_a_route_is_explained_as_an_answer_would_say_it(site: Site, peer: Peer) -> None:
    site.promote(site.first, CT_LIST)
    said = _explain(peer)
    assert said.provenance == peer.generate(modality="CT", clinic="alder").provenance
    assert said.steps[0] == "clinic 'alder' is of cluster 'list'"
    assert said.steps[-1].startswith("answered by unified@1")


def test_a_route_of_an_earlier_table_is_explained(site: Site, peer: Peer) -> None:
    site.promote(site.first, CT_LIST)
    assert _explain(peer, route_table=1).provenance.adapter == "base"
    with pytest.raises(grpc.RpcError) as caught:
        _explain(peer, route_table=9)
    refused(grpc.StatusCode.NOT_FOUND, caught)


def test_a_route_of_a_trial_is_explained_for_a_request(peer: Peer, adapter: AdapterVersion) -> None:
    _promote(peer, certificate(adapter, CT_LIST), trial=CANARY)
    assert _explain(peer).provenance.adapter == "base"
    assert (
        _explain(peer, request_id="mine").provenance == peer.generate("mine", modality="CT", clinic="alder").provenance
    )


@pytest.mark.parametrize(("length", "adapter_answers"), [(0, True), (99, False), (100, True)])
def test_short_findings_are_explained(site: Site, peer: Peer, length: int, adapter_answers: bool) -> None:
    site.promote(site.first, CT_LIST)
    who = _explain(peer, findings_length=length).provenance
    assert (who.adapter == "unified") is adapter_answers
    if not adapter_answers:
        assert who == peer.generate(findings="x" * length, modality="CT", clinic="alder").provenance


@pytest.mark.parametrize(
    ("given", "field"), [({"modality": "x"}, "modality"), ({"findings_length": -1}, "findings_length")]
)
def test_a_route_of_nothing_is_refused_by_name(peer: Peer, given: dict[str, Any], field: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        _explain(peer, **given)
    assert fields(caught) == [field]


def test_every_change_is_told_with_who_made_it_newest_first(peer: Peer, adapter: AdapterVersion) -> None:
    _promote(peer, certificate(adapter, CT_LIST))
    pages, token = [], ""
    while True:
        request = adapter_pb2.ListEventsRequest(page_size=2, page_token=token)
        page = peer.adapters.ListEvents(request, timeout=60)
        pages.append([(event.number, event.action, event.route_table) for event in page.events])
        assert {event.actor for event in page.events} == {"local"}
        assert all(len(event.chain) == 64 for event in page.events)
        token = page.next_page_token
        if not token:
            break
    assert pages == [[(3, "promote", 2), (2, "register", 0)], [(1, "adopt", 1)]]


def test_quality_is_told_slice_by_slice_and_from_a_moment_on(site: Site, peer: Peer) -> None:
    site.promote(site.first, CT_LIST, MR_LIST)
    for modality, clinic in (("CT", "alder"), ("CT", "birch"), ("MR", "alder"), ("CT", "elm")):
        peer.generate(modality=modality, clinic=clinic)
    rows = peer.adapters.GetLiveQuality(adapter_pb2.GetLiveQualityRequest(), timeout=60).rows
    found = {(row.adapter, row.cell.modality, row.cell.cluster): row.answers for row in rows}
    assert found == {
        ("unified", impression_pb2.MODALITY_CT, CT_LIST.cluster): 2,
        ("unified", impression_pb2.MODALITY_MR, MR_LIST.cluster): 1,
        ("base", impression_pb2.MODALITY_CT, CT_TELEGRAPHIC.cluster): 1,
    }
    later = Timestamp()
    later.FromDatetime(datetime(2200, 1, 1, tzinfo=UTC))
    assert not peer.adapters.GetLiveQuality(adapter_pb2.GetLiveQualityRequest(since=later), timeout=60).rows


def test_a_moment_that_is_none_is_refused_by_name(peer: Peer) -> None:
    request = adapter_pb2.GetLiveQualityRequest(since=Timestamp(seconds=2**60))
    with pytest.raises(grpc.RpcError) as caught:
        peer.adapters.GetLiveQuality(request, timeout=60)
    assert fields(caught) == ["since"]

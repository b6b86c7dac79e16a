"""A request that is sent again is answered as it was, and worked on once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from radimpress.server.registry import Registry
from radimpress.v1 import impression_pb2
from tests.server.conftest import CT_LIST, FINDINGS, Site
from tests.server.peer import Held, Peer, Saying, refused

ASKED: dict[str, Any] = {"modality": "CT", "clinic": "alder"}


def test_the_same_request_is_answered_as_it_was_whatever_happened_to_the_routes(site: Site, peer: Peer) -> None:
    before = peer.generate("mine", **ASKED)
    site.promote(site.first, CT_LIST)
    assert peer.generate("mine", **ASKED) == before
    assert peer.generate("other", **ASKED).provenance.digest == site.first.digest


def test_a_request_that_differs_in_spelling_alone_is_the_same(peer: Peer) -> None:
    before = peer.generate("mine", **ASKED)
    assert peer.generate("mine", modality="cat scan", clinic="alder") == before


def test_a_stream_of_the_same_request_says_what_was_said(peer: Peer) -> None:
    before = peer.generate("mine", **ASKED)
    started, piece, completed = peer.stream("mine", **ASKED)
    assert (started.started, piece.piece, completed.completed) == (before.provenance, before.text, before)


def test_a_batch_with_the_same_request_says_what_was_said(peer: Peer) -> None:
    before = peer.generate("mine", **ASKED)
    assert peer.batch(mine=ASKED)["mine"].impression == before


@pytest.mark.parametrize("field", ["findings", "exam", "indication", "comparison"])
def test_the_same_name_for_another_report_is_refused(peer: Peer, field: str) -> None:
    peer.generate("mine", **ASKED)
    with pytest.raises(grpc.RpcError) as caught:
        peer.generate("mine", **{**ASKED, field: f"{FINDINGS} And more."})
    refused(grpc.StatusCode.ALREADY_EXISTS, caught)


def test_names_are_each_clinics_own(peer: Peer) -> None:
    peer.generate("mine", **ASKED)
    other = peer.generate("mine", modality="CT", clinic="birch", findings=f"{FINDINGS} And more.")
    assert other.request_id == "mine"


def test_a_request_that_failed_may_be_sent_again(site: Site) -> None:
    engine = Saying(" ")
    with site.serving(engine) as address, Peer(address) as peer:
        with pytest.raises(grpc.RpcError) as caught:
            peer.generate("mine", **ASKED)
        refused(grpc.StatusCode.INTERNAL, caught)
        engine.words = "No fracture."
        assert peer.generate("mine", **ASKED).text == "No fracture."


def test_two_at_once_are_worked_on_once(site: Site) -> None:
    engine = Held()
    with site.serving(engine) as address, Peer(address) as peer, ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(peer.generate, "mine", **ASKED) for _ in range(4)]
        while not engine.inside:
            time.sleep(0.005)
        time.sleep(0.1)
        engine.go = True
        answers = [one.result() for one in asked]
    assert (engine.most, engine.ended) == (1, 1)
    assert all(answer == answers[0] for answer in answers)


def test_when_the_first_of_two_leaves_the_second_is_answered(site: Site) -> None:
    engine = Held()
    with site.serving(engine) as address, Peer(address) as peer:
        request = impression_pb2.GenerateImpressionRequest(
            request_id="mine", report=impression_pb2.ReportInput(findings=FINDINGS, **ASKED)
        )
        first = peer.impressions.GenerateImpression.future(request, timeout=60)
        while not engine.inside:
            time.sleep(0.005)
        second = peer.impressions.GenerateImpression.future(request, timeout=60)
        time.sleep(0.1)
        first.cancel()  # type: ignore[no-untyped-call]
        while not engine.ended or not engine.inside:
            time.sleep(0.005)
        engine.go = True
        assert second.result().impression.request_id == "mine"
    assert engine.ended == 2


def test_another_server_of_the_registry_answers_as_the_first_did(site: Site) -> None:
    with site.serving(Saying("The first one's words.")) as address, Peer(address) as peer:
        before = peer.generate("mine", **ASKED)
    registry = Registry(site.url, site.bundles)
    other = Site(site.root, registry, site.first, site.second)
    with other.serving(Saying("Other words.")) as address, Peer(address) as peer:
        assert peer.generate("mine", **ASKED) == before
    registry.close()


def test_of_two_servers_asked_at_once_both_give_the_answer_that_was_first(site: Site) -> None:
    """The same request in flight at two servers with different routes: one answer is the answer."""
    registry = Registry(site.url, site.bundles)
    other = Site(site.root, registry, site.first, site.second)
    slow, quick = Held(), Saying("The quick one's words.")
    with (
        site.serving(slow) as one,
        other.serving(quick) as two,
        Peer(one) as first,
        Peer(two) as second,
        ThreadPoolExecutor(2) as threads,
    ):
        whole = threads.submit(first.generate, "mine", **ASKED)
        streamed = threads.submit(first.stream, "streamed", **ASKED)
        while slow.inside < 2:
            time.sleep(0.005)
        answers = {name: second.generate(name, **ASKED) for name in ("mine", "streamed")}
        slow.go = True
        assert whole.result() == answers["mine"]
        # Its pieces were another answer's, so that the stream cannot be completed.
        with pytest.raises(grpc.RpcError) as caught:
            streamed.result()
        refused(grpc.StatusCode.ABORTED, caught)
        assert first.stream("streamed", **ASKED)[-1].completed == answers["streamed"]
    registry.close()

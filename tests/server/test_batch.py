"""BatchImpressions: each report has its answer or its failure, in any order, and none waits for a slow reader."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from radimpress.server.engines.fake import FakeEngine
from radimpress.server.security.caller import Role
from radimpress.server.security.tokens import entry, make_token
from radimpress.v1 import impression_pb2
from tests.server.conftest import CT_LIST, FAKE_BASE, Site
from tests.server.peer import Held, Peer, fields, refused, report_input

ASKED: dict[str, Any] = {"modality": "CT", "clinic": "alder"}


def _requests(names: Iterator[str] | list[str]) -> Iterator[impression_pb2.BatchImpressionsRequest]:
    for name in names:
        yield impression_pb2.BatchImpressionsRequest(request_id=name, report=report_input(**ASKED))


def test_every_report_is_answered_once_as_a_single_one_would_be(site: Site, peer: Peer) -> None:
    site.promote(site.first, CT_LIST)
    names = [f"r{at}" for at in range(60)]
    answers = peer.batch(**dict.fromkeys(names, ASKED))
    assert sorted(answers) == sorted(names)
    assert {answer.impression.provenance.digest for answer in answers.values()} == {site.first.digest}
    assert all(answers[name].impression.request_id == name for name in names)


def test_an_empty_batch_ends_at_once(peer: Peer) -> None:
    assert peer.batch() == {}


def test_one_reports_error_is_its_own_answer(peer: Peer) -> None:
    answers = peer.batch(good=ASKED, empty={"findings": ""}, odd={"modality": "telepathy"}, also=ASKED)
    assert answers["good"].impression.text == answers["also"].impression.text == "Fake impression by base."
    empty, odd = answers["empty"].failure, answers["odd"].failure
    assert (empty.code, empty.reason, empty.field) == (3, "FINDINGS_INVALID", "findings")
    assert (odd.code, odd.reason, odd.field) == (3, "MODALITY_UNKNOWN", "modality")
    assert not odd.HasField("retry_delay")


def test_an_engine_that_breaks_fails_a_report_without_its_text(site: Site) -> None:
    class Broken(FakeEngine):
        async def generate(self, prompt: str, *_: Any) -> Any:
            raise ValueError(prompt)
            yield

    with site.serving(Broken(FAKE_BASE)) as address, Peer(address) as peer:
        failure = peer.batch(one=ASKED)["one"].failure
    assert (failure.code, failure.message) == (13, "internal error")


@pytest.mark.parametrize("names", [["a", ""], ["a", "b", "a"]])
def test_a_name_that_is_empty_or_stands_twice_ends_the_batch(peer: Peer, names: list[str]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(peer.impressions.BatchImpressions(_requests(names), timeout=60))
    refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    assert fields(caught) == ["request_id"]


def test_an_answer_comes_while_the_sender_still_thinks(peer: Peer) -> None:
    names: queue.Queue[str | None] = queue.Queue()
    answers: Any = peer.impressions.BatchImpressions(_requests(iter(names.get, None)), timeout=60)
    for name in ("a", "b"):
        names.put(name)
        assert next(answers).request_id == name
    names.put(None)
    assert list(answers) == []


def test_a_sender_who_is_too_fast_is_held_up_and_not_refused(site: Site) -> None:
    engine = FakeEngine(FAKE_BASE, delay=0.002)
    with site.serving(engine, batch=2, waiting=1) as address, Peer(address) as peer:
        answers = peer.batch(**dict.fromkeys((f"r{at}" for at in range(40)), ASKED))
    assert len(answers) == 40
    assert all(answer.HasField("impression") for answer in answers.values())


def test_it_reads_no_further_ahead_than_there_is_room(site: Site) -> None:
    sent = []

    def sending() -> Iterator[impression_pb2.BatchImpressionsRequest]:
        for request in _requests([f"r{at}" for at in range(100_000)]):
            sent.append(request.request_id)
            yield impression_pb2.BatchImpressionsRequest(
                request_id=request.request_id, report=report_input(**ASKED, indication="x" * 2000)
            )

    engine = Held()
    with site.serving(engine, batch=4) as address, Peer(address) as peer:
        call = peer.impressions.BatchImpressions(sending(), timeout=60)
        until = time.monotonic() + 30
        while engine.inside < 4:
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.5)
        held = len(sent)
        call.cancel()  # type: ignore[no-untyped-call]
        engine.go = True
    # What gRPC's windows hold is sent, though nobody reads it.
    assert (engine.most, held < 5000) == (4, True)


def test_two_batches_share_the_room(site: Site) -> None:
    engine = Held()
    with site.serving(engine, batch=3) as address, Peer(address) as peer:
        calls = [
            peer.impressions.BatchImpressions(_requests([f"{call}{at}" for at in range(9)]), timeout=60)
            for call in "ab"
        ]
        until = time.monotonic() + 30
        while engine.inside < 3:
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.2)
        engine.go = True
        assert [len(list(call)) for call in calls] == [9, 9]
    assert engine.most == 3


def test_a_batch_that_is_broken_off_leaves_nothing_in_the_engine(site: Site) -> None:
    engine = Held()
    with site.serving(engine, batch=4) as address, Peer(address) as peer:
        call = peer.impressions.BatchImpressions(_requests([f"r{at}" for at in range(20)]), timeout=60)
        until = time.monotonic() + 30
        while engine.inside < 4:
            assert time.monotonic() < until
            time.sleep(0.01)
        call.cancel()  # type: ignore[no-untyped-call]
        while engine.inside:
            assert time.monotonic() < until
            time.sleep(0.01)
        engine.go = True
        assert peer.generate(**ASKED).text


def test_another_clinics_report_in_a_batch_is_refused_and_stands_in_the_audit_trail(site: Site, tmp_path: Path) -> None:
    token, digest = make_token()
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(entry(digest, "ris", Role.CLINIC, ["alder"]), "utf-8")
    tokens.chmod(0o600)
    with site.serving(tokens=tokens, audit=tmp_path / "audit", server_name="one") as address, Peer(address) as peer:
        asked = impression_pb2.BatchImpressionsRequest(request_id="r", report=report_input(modality="CT", clinic="elm"))
        metadata = (("authorization", f"Bearer {token}"),)
        (answer,) = peer.impressions.BatchImpressions(iter([asked]), metadata=metadata)
    assert answer.failure.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
    (line,) = [json.loads(line) for line in (tmp_path / "audit" / "one.jsonl").read_bytes().splitlines()]
    assert (line["subject"], line["action"], line["outcome"]) == ("ris", "BatchImpressions", "PERMISSION_DENIED")

"""A client that nobody here wrote, which learns the contract from the server itself."""

from __future__ import annotations

from grpc_requests import Client

from tests.server.conftest import CT_LIST, FINDINGS, Site

SERVICE = "radimpress.v1.ImpressionService"
REPORT = {"findings": FINDINGS, "modality": "CT", "clinic": "alder"}
ASKED = {"request_id": "r1", "report": REPORT}


def test_it_gets_an_impression_through_reflection(site: Site) -> None:
    site.promote(site.first, CT_LIST)
    with site.serving() as address:
        answer = Client(address).request(SERVICE, "GenerateImpression", ASKED)["impression"]
    assert answer["text"] == f"Fake impression by {site.first.digest}."
    assert answer["provenance"]["digest"] == site.first.digest
    assert answer["provenance"]["reason"] == "ROUTE_REASON_CELL"


def test_it_reads_a_stream_through_reflection(site: Site) -> None:
    with site.serving() as address:
        events = list(Client(address).request(SERVICE, "StreamImpression", ASKED))
    assert "started" in events[0]
    assert "".join(event["piece"] for event in events[1:-1]) == events[-1]["completed"]["text"]


def test_it_sends_a_batch_through_reflection(site: Site) -> None:
    with site.serving() as address:
        asked = [{"request_id": name, "report": REPORT} for name in ("r1", "r2")]
        answers = list(Client(address).request(SERVICE, "BatchImpressions", asked))
    assert sorted(answer["request_id"] for answer in answers) == ["r1", "r2"]
    assert all(answer["impression"]["text"] for answer in answers)


def test_it_sends_what_was_signed_through_reflection(site: Site) -> None:
    with site.serving() as address:
        client = Client(address)
        answer = client.request(SERVICE, "GenerateImpression", ASKED)["impression"]
        signed = {**ASKED, "final_impression": answer["text"]}
        told = client.request(SERVICE, "RecordFinalImpression", signed)
    assert told["rouge_l"] == 1.0


def test_it_learns_every_method(site: Site) -> None:
    with site.serving() as address:
        client = Client(address)
        names = set(client.service(SERVICE).method_names)
        routes = set(client.service("radimpress.v1.AdapterService").method_names)
    assert names == {"GenerateImpression", "StreamImpression", "BatchImpressions", "RecordFinalImpression"}
    assert "PromoteAdapter" in routes

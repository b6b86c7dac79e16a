"""RecordFinalImpression, and the arithmetic behind it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from radimpress.reports.report import Report
from radimpress.server.registry import Journal, Registry
from radimpress.server.signed import compare, edits
from radimpress.v1 import adapter_pb2
from tests.server.conftest import CT_LIST, FINDINGS, Site
from tests.server.peer import Peer, Saying, fields, refused

ASKED: dict[str, Any] = {"modality": "CT", "clinic": "alder"}
REPORT = Report(id="r", findings="The left knee is intact.")


def _plain(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Levenshtein's table, place by place."""
    row = list(range(len(theirs) + 1))
    for at, word in enumerate(ours, start=1):
        before, row[0] = row[0], at
        for place, other in enumerate(theirs, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1]


@pytest.mark.parametrize(
    ("ours", "theirs", "distance"),
    [
        ("", "", 0),
        ("a b c", "", 3),
        ("", "a", 1),
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "b c", 1),
        ("a b c", "c b a", 2),
        ("a b", "b a b a", 2),
    ],
)
def test_words_to_change_are_counted(ours: str, theirs: str, distance: int) -> None:
    assert edits(ours.split(), theirs.split()) == distance


def test_words_to_change_are_those_of_the_plain_table() -> None:
    chance = random.Random(5)
    for _ in range(300):
        ours, theirs = (chance.choices("abcd", k=chance.randrange(12)) for _ in range(2))
        assert edits(ours, theirs) == _plain(ours, theirs)


def test_the_longest_texts_are_compared_in_a_moment() -> None:
    chance = random.Random(5)
    ours, theirs = (" ".join(chance.choices("abcdefgh", k=size)) for size in (600, 10_000))
    found = compare(REPORT, ours, theirs, ())
    assert 0.9 < found.edit_distance < 1


def test_signed_word_for_word_is_no_distance() -> None:
    found = compare(REPORT, "Intact left knee.", "Intact  left knee.\n", ())
    assert (found.edit_distance, found.rouge_l, found.unchanged) == (0.0, 1.0, True)


def test_the_distance_is_over_the_longer_text() -> None:
    found = compare(REPORT, "a b", "a b c d", ())
    assert (found.edit_distance, found.unchanged) == (0.5, False)


def test_a_check_was_right_where_the_signed_text_no_longer_shows_it() -> None:
    wrong = "Intact right knee measuring 5 mm."
    noticed = ("laterality", "measurement")
    assert compare(REPORT, wrong, "Intact left knee.", noticed).checks_right == dict.fromkeys(noticed, True)
    assert compare(REPORT, wrong, "Intact left knee measuring 5 mm.", noticed).checks_right == {
        "laterality": True,
        "measurement": False,
    }


def test_what_was_signed_is_compared_with_the_answer(site: Site, peer: Peer) -> None:
    site.promote(site.first, CT_LIST)
    answer = peer.generate("mine", **ASKED)
    told = peer.sign("mine", answer.text, **ASKED)
    assert (told.provenance, told.edit_distance, told.rouge_l) == (answer.provenance, 0.0, 1.0)
    other = peer.sign("mine", "Something else altogether.", **ASKED)
    assert (other.edit_distance, other.rouge_l) == (1.0, 0.0)


def test_checks_are_told_whether_they_were_right(site: Site) -> None:
    findings = f"{FINDINGS} There is no effusion of the left knee."
    with site.serving(Saying("Intact right knee.")) as address, Peer(address) as peer:
        assert [one.check for one in peer.generate("mine", findings=findings, **ASKED).check_findings] == ["laterality"]
        told = peer.sign("mine", "Intact left knee.", findings=findings, **ASKED).check_outcomes
    assert [(one.check, one.right) for one in told] == [("laterality", True)]


def test_what_was_signed_counts_for_the_adapter_and_is_there_for_the_next_training(site: Site, peer: Peer) -> None:
    site.promote(site.first, CT_LIST)
    answer = peer.generate("mine", exam="CT knee", **ASKED)
    peer.generate("unsigned", **ASKED)
    peer.sign("mine", "Intact knee.", exam="CT knee", **ASKED)
    peer.sign("mine", answer.text, exam="CT knee", **ASKED)
    (row,) = peer.adapters.GetLiveQuality(adapter_pb2.GetLiveQualityRequest(), timeout=60).rows
    assert (row.adapter, row.version, row.digest) == ("unified", 1, site.first.digest)
    assert (row.answers, row.signed, row.unchanged, row.edit_distance, row.rouge_l) == (2, 1, 1, 0.0, 1.0)
    registry = Registry(site.url, site.bundles)
    journal = Journal(registry, None, 30)
    (report,) = journal.export()
    journal.close()
    registry.close()
    assert (report.findings, report.impression, report.exam, report.clinic) == (
        FINDINGS,
        answer.text,
        "CT knee",
        "alder",
    )


def test_an_answer_that_nobody_was_given_is_not_found(peer: Peer) -> None:
    peer.generate("mine", **ASKED)
    for name, clinic in (("other", "alder"), ("mine", "birch")):
        with pytest.raises(grpc.RpcError) as caught:
            peer.sign(name, "Intact.", modality="CT", clinic=clinic)
        refused(grpc.StatusCode.NOT_FOUND, caught)


@pytest.mark.parametrize(
    ("name", "final", "report", "field"),
    [
        ("", "Intact.", {}, "request_id"),
        ("x" * 129, "Intact.", {}, "request_id"),
        ("mine", "", {}, "final_impression"),
        ("mine", " \n", {}, "final_impression"),
        ("mine", "x" * 20_001, {}, "final_impression"),
        ("mine", "Intact.", {"findings": "The spleen is lacerated."}, "report"),
        ("mine", "Intact.", {"exam": "CT"}, "report"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name_and_not_quoted(
    peer: Peer, name: str, final: str, report: dict[str, str], field: str
) -> None:
    peer.generate("mine", **ASKED)
    with pytest.raises(grpc.RpcError) as caught:
        peer.sign(name, final, **{**ASKED, **report})
    assert "spleen" not in refused(grpc.StatusCode.INVALID_ARGUMENT, caught)
    assert fields(caught) == [field]

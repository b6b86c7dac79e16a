from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.reports.modality import guess_modality
from radimpress.reports.sections import cut, read_sections

_DATA = Path(os.environ.get("TEST_REAL_REPORTS", "../shared/data"))


@pytest.mark.parametrize(
    "text",
    [
        "FINDINGS:\nThe lungs are clear.\n\nIMPRESSION:\nNormal chest.",
        "**FINDINGS: ** The lungs are clear.\n\n**IMPRESSION:** Normal chest.",
        "Findings: The lungs are clear.\nImpression: Normal chest.",
        "FINDINGS: The lungs are clear. IMPRESSION: Normal chest.",
        "RESULT: The lungs are clear.\nCONCLUSION: Normal chest.",
        "INTERPRETATION: The lungs are clear.\nIMP: Normal chest.",
        "FINDINGS: The lungs are clear.\nINTERPRETATION: Normal chest.",
        "FINDINGS\nThe lungs are clear.\nCONCLUSIONS\nNormal chest.",
        "EXAM: CT\nINDICATION: Cough.\nTECHNIQUE: Axial.\nFINDINGS: The lungs are clear.\nOPINION: Normal chest.",
        "FINDINGS: The lungs are clear.\r\n\r\nSUMMARY: Normal chest.\r\n",
    ],
)
def test_headings_that_people_use_are_found(text: str) -> None:
    found = read_sections(text)
    assert (found.findings, found.impression) == ("The lungs are clear.", "Normal chest.")


def test_sections_that_nothing_is_known_of_are_findings_under_their_headings() -> None:
    found = read_sections("A young woman.\nBIOMETRY:\nBPD: 8 cm\nFETAL ANATOMY: Normal.\nIMPRESSION: One fetus.")
    assert found.findings == "A young woman.\nBIOMETRY:\nBPD: 8 cm\nFETAL ANATOMY: Normal."
    assert not found.explicit


def test_a_subheading_does_not_end_the_findings_and_what_stands_before_them_is_left_out() -> None:
    found = read_sections("Dear colleague,\nFINDINGS: Clear.\nLIVER: Normal.\nIMPRESSION: Fine.\nDISCLAIMER: Text.")
    assert (found.findings, found.impression) == ("Clear.\nLIVER: Normal.", "Fine.")


def test_the_last_of_two_impressions_is_taken_with_its_addendum_and_both_are_counted() -> None:
    found = read_sections("FINDINGS: A.\nIMPRESSION: B.\nFINDINGS: C.\nIMPRESSION: 1. D.\n2. E.\nADDENDUM: F.")
    assert (found.findings, found.impression, found.impressions) == ("A.\nC.", "1. D.\n2. E.\nADDENDUM: F.", 2)


@pytest.mark.parametrize("text", ["", "No headings at all.", "FINDINGS: Clear.", "IMPRESSION:\nFINDINGS: Clear."])
def test_an_impression_that_is_missing_is_empty(text: str) -> None:
    assert read_sections(text).impression == ""


def test_a_clinical_note_is_told() -> None:
    assert read_sections("CC: Pain.\nPMH: None.\nMEDS: None.\nFHX: None.\nIMPRESSION: Well.").note


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_no_line_is_lost(text: str) -> None:
    words = [word for section in cut(text) for word in f"{section.name} {section.text}".split()]
    # Colons and stars belong to headings.
    assert "".join(words).translate(_GONE) == "".join(text.split()).translate(_GONE)


_GONE = str.maketrans("", "", ":*")


@pytest.mark.skipif(not _DATA.is_dir(), reason="the real reports are not at hand")
def test_at_least_90_of_95_real_transcriptions_are_cut_as_people_cut_them() -> None:
    def rows(name: str) -> dict[str, dict[str, str]]:
        return {row["id"]: row for row in map(json.loads, (_DATA / name).read_text("utf-8").splitlines())}

    def plain(text: str) -> str:
        return " ".join(text.split())

    raw, right = rows("mtsamples_raw.jsonl"), 0
    for name, wanted in rows("mtsamples_train.jsonl").items():
        found = read_sections(raw[name]["text"])
        modality = guess_modality(found.exam, raw[name]["sample_name"], raw[name]["description"])
        texts = (
            plain(found.findings) == plain(wanted["findings"]),
            plain(found.impression) == plain(wanted["impression"]),
        )
        right += all(texts) and modality == wanted["modality"]
    assert right >= 90

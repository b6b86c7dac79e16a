from __future__ import annotations

import json
import os
from pathlib import Path
from time import process_time

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
        "EXAM:,  Chest x-ray.,INDICATION:,  Cough.,FINDINGS:,  The lungs are clear.,IMPRESSION:,  Normal chest.",
        "EXAM: , Chest x-ray.,FINDINGS: , The lungs are clear.,IMPRESSION: , Normal chest.,",
        "FINDINGS: The lungs are clear.\\r\\n\\r\\nIMPRESSION: Normal chest.",
        "FINDINGS - The lungs are clear.\nIMPRESSION - Normal chest.",
        "Findings \u2014 The lungs are clear.\nImpression \u2014 Normal chest.",
        "## Findings\nThe lungs are clear.\n\n## Impression\nNormal chest.",
        "**Findings**\nThe lungs are clear.\n\n**Impression**\nNormal chest.",
        "__FINDINGS:__ The lungs are clear.\n__IMPRESSION:__ Normal chest.",
        "1. FINDINGS: The lungs are clear.\n2. IMPRESSION: Normal chest.",
        "I. FINDINGS\nThe lungs are clear.\nII. IMPRESSION\nNormal chest.",
        "[FINDINGS]\nThe lungs are clear.\n[IMPRESSION]\nNormal chest.",
        "Findings\nThe lungs are clear.\nImpression\nNormal chest.",
        "FINDINGS\n========\nThe lungs are clear.\nIMPRESSION:\n__________\nNormal chest.",
        "FINDINGS\uff1a The lungs are clear.\nIMPRESSION\uff1a Normal chest.",
        "\ufeffFINDINGS:\xa0The lungs are clear.\n\xa0IMPRESSION:\xa0Normal chest.",
        "* FINDINGS: The lungs are clear.\n* IMPRESSION: Normal chest.",
        "Findings: The lungs are clear. Impression: Normal chest.",
        "FINDINGS: The lungs are clear. IMP: Normal chest.",
        "EXAM: CT. HISTORY: Cough. COMPARISON: None. FINDINGS: The lungs are clear. IMPRESSION: Normal chest.",
        "EXAM: Chest. COMPARISON: None FINDINGS: The lungs are clear. IMPRESSION: Normal chest.",
        "FINDINGS: The lungs are clear.\nIN SUMMARY: Normal chest.",
        "INTERPRETATION: The lungs are clear.\nIN SUMMARY: Normal chest.",
        "FINDINGS: The lungs are clear.\nRADIOLOGIC DIAGNOSIS: Normal chest.",
        "INTERPRETATION: The lungs are clear.\nECHOCARDIOGRAPHIC DIAGNOSES:\nNormal chest.",
        "FINDINGS: The lungs are clear.\nOVERALL IMPRESSION: Normal chest.",
        "FINDINGS/INTERPRETATION: The lungs are clear.\nIMPRESSION: Normal chest.",
        "IMPRESSION: Normal chest.\nFINDINGS: The lungs are clear.",
        "CLINICAL HISTORY: Cough.\n\nThe lungs are clear.\n\nCONCLUSION: Normal chest.",
        "EXAM: Chest x-ray\n\nThe lungs are clear.\n\nIMPRESSION: Normal chest.",
        "FINDINGS: The lungs are clear.\nIMPRESSION: Normal chest.\nElectronically signed by: Nobody\nDictated: noon",
        "FINDINGS: The lungs are clear.\nIMPRESSION: Normal chest.\n\nEND OF REPORT",
        "FINDINGS: The lungs are clear.\nIMPRESSION: Normal chest.\nRECOMMENDATION: Follow-up.",
        "**FINDINGS:** The lungs are clear. **IMPRESSION:** Normal chest.",
        "***FINDINGS***\nThe lungs are clear.\n***IMPRESSION:*** Normal chest.",
        "FINDINGS.\nThe lungs are clear.\nImpression;\nNormal chest.",
        "FINDINGS--The lungs are clear.\nIMPRESSION = Normal chest.",
        "FINDINGS, CT CHEST: The lungs are clear.\nIMPRESSION - CT CHEST: Normal chest.",
        "FINDINGS: The lungs are clear.\nIMPRESSION: Normal chest.\nJane B. Doe, M.D.\nD: 01/02/2009\nT: 01/02/2009",
        "FINDINGS: The lungs are clear.\nSUMMARY OF FINDINGS: Normal chest.",
        "FINDINGS: The lungs are clear.\nASSESSMENT/PLAN: Normal chest.",
        "FINDINGS: The lungs are clear.\nRADIOLOGIST'S INTERPRETATION: Normal chest.",
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


@pytest.mark.parametrize(
    ("text", "impression"),
    [
        ("IMPRESSION:\nCT HEAD: No bleed.\nCT C-SPINE: Fracture.", "CT HEAD: No bleed.\nCT C-SPINE: Fracture."),
        ("IMPRESSION: Two.\nLEFT BREAST: Mass.\nDISCLAIMER: Text.", "Two.\nLEFT BREAST: Mass."),
        ("IMPRESSION: Two.\nDIFFERENTIAL DIAGNOSIS: Mass.", "Two.\nDIFFERENTIAL DIAGNOSIS: Mass."),
        ("Impression: Two.\nIn Summary: Mass.", "Two.\nIn Summary: Mass."),
        ("Overall Impression: Two.\nDifferential Diagnosis: Mass.", "Two.\nDifferential Diagnosis: Mass."),
        ("IMPRESSION: Two.\nCT SPINE: " + "Vertebrae. " * 50, "Two."),
        ("**IMPRESSION:**\n1. Pneumonia.\n**2. A nodule.**\n**Effusion.**", "1. Pneumonia.\n2. A nodule.\nEffusion."),
        ("**IMPRESSION: A nodule.**", "A nodule."),
    ],
)
def test_a_conclusion_keeps_its_subheadings_and_what_is_bold(text: str, impression: str) -> None:
    found = read_sections(f"FINDINGS: Clear.\n{text}")
    assert (found.findings, found.impression) == ("Clear.", impression)


@pytest.mark.parametrize(
    "name", ["OVERALL IMPRESSION", "MAMMOGRAPHIC IMPRESSION", "SUMMARY/IMPRESSION", "IN CONCLUSION"]
)
def test_a_conclusion_under_another_name_ends_findings_under_other_headings(name: str) -> None:
    found = read_sections(f"SYMPTOM: Cough.\nCHEST: Clear.\n{name}: Normal.")
    assert (found.findings, found.impression) == ("SYMPTOM: Cough.\nCHEST: Clear.", "Normal.")
    assert read_sections("SYMPTOM: Cough.\nFINDINGS AND IMPRESSION: Clear.").impression == ""


def test_the_last_of_two_impressions_is_taken_with_its_addendum_and_both_are_counted() -> None:
    found = read_sections("FINDINGS: A.\nIMPRESSION: B.\nFINDINGS: C.\nIMPRESSION: 1. D.\n2. E.\nADDENDUM: F.")
    assert (found.findings, found.impression, found.impressions) == ("A.\nC.", "1. D.\n2. E.\nADDENDUM: F.", 2)


@pytest.mark.parametrize("text", ["", "No headings at all.", "FINDINGS: Clear.", "IMPRESSION:\nFINDINGS: Clear."])
def test_an_impression_that_is_missing_is_empty(text: str) -> None:
    assert read_sections(text).impression == ""


def test_what_was_known_beforehand_is_no_conclusion() -> None:
    for text in (
        "DIAGNOSIS: Back pain.\nFINDINGS: The lungs are clear.",
        "FINDINGS: The lungs are clear.\nCLINICAL IMPRESSION: Pneumonia.",
        "FINDINGS: The lungs are clear. The diagnosis: none.",
    ):
        assert read_sections(text).impression == ""


def test_a_paragraph_below_a_technique_is_no_findings_as_it_may_be_a_part_of_them() -> None:
    found = read_sections("TECHNIQUE: Axial. The aorta is wide.\n\nThe lungs are clear.\n\nIMPRESSION: Wide aorta.")
    assert (found.findings, found.impression) == ("", "Wide aorta.")


def test_the_history_keeps_its_paragraphs_where_something_says_findings() -> None:
    found = read_sections("HISTORY: Cough.\n\nFever too.\n\nFINDINGS: Clear.\n\nIMPRESSION: Normal.")
    assert (found.indication, found.findings) == ("Cough. Fever too.", "Clear.")
    found = read_sections("HISTORY: Cough.\n\nThe lungs are clear.\n\nIMPRESSION: Normal.")
    assert found.indication == "Cough."


@pytest.mark.parametrize("text", ["CHEST X-RAY\n\n", "**CHEST X-RAY**\n\n"])
def test_a_line_above_all_headings_is_the_title(text: str) -> None:
    found = read_sections(text + "FINDINGS: Clear.\nIMPRESSION: Normal.")
    assert (found.title, found.exam) == ("CHEST X-RAY", "")
    assert read_sections("A sentence that goes on. " * 9 + "\nFINDINGS: Clear.").title == ""


@pytest.mark.parametrize(
    "text",
    [
        "FINDINGS: 1. Clear, no mass, no fluid.,2. Heart normal.",
        "FINDINGS: Result of the previous study: stable. Impression of the left kidney by the spleen.",
        "FINDINGS: Contrast - given. Study - good. Test - none.",
    ],
)
def test_words_that_are_no_headings_stay_where_they_are(text: str) -> None:
    found = read_sections(text + "\nIMPRESSION: Normal.")
    assert (found.findings, found.impression) == (text.removeprefix("FINDINGS: "), "Normal.")


@pytest.mark.parametrize(
    "text",
    [
        "PATIENT NAME: JOHN DOE",
        "Patient's name: John Doe",
        "MRN: 123\nDATE OF BIRTH: 01/02/1950\nACCESSION NUMBER: 7",
        "DATE OF EXAM: 01/02/2009\nREFERRING PHYSICIAN: DR. X",
        "REASON FOR CT SCAN: Cough.",
        "CLINICAL HISTORY/INDICATION: Cough.\nCLINICAL NOTES: Cough.",
        "PREVIOUS EXAMS: None.\nPRIOR STUDY: None.",
        "CT SCAN TECHNIQUE: Axial.\nTECHNICAL DATA: 5 mm.",
        "IV CONTRAST: 100 mL.\nFLUOROSCOPY TIME: 3 min.",
        "EXAMINATION PERFORMED: CT.\nEXAM/TECHNIQUE: CT, axial.",
    ],
)
def test_what_is_known_besides_is_no_findings(text: str) -> None:
    found = read_sections(f"{text}\nFINDINGS: The lungs are clear.\nIMPRESSION: Normal chest.")
    assert (found.findings, found.impression) == ("The lungs are clear.", "Normal chest.")


def test_a_line_of_administration_takes_nothing_along() -> None:
    found = read_sections("PATIENT NAME: JOHN DOE\nMRN: 3\nThe lungs are clear.\nIMPRESSION: Normal.\nDATE: 1/2/09\nX.")
    assert (found.findings, found.impression) == ("The lungs are clear.", "Normal.")
    found = read_sections("FINDINGS: Clear.\nDATE: 1/2/09\nA nodule.\nIMPRESSION: A nodule.")
    assert found.findings == "Clear.\nA nodule."


def test_sentences_that_begin_like_headings_stay_findings() -> None:
    lines = (
        "Prior study: 4 mm, now 6 mm.\nHistory of granuloma: calcified.\nRecommendation: none.\nReason for pain: rib."
    )
    assert read_sections(f"FINDINGS: Clear.\n{lines}\nIMPRESSION: Normal.").findings == f"Clear.\n{lines}"


def test_recommendations_make_no_clinical_note_and_joined_headings_count() -> None:
    text = "DATE OF BIRTH: 1/2\nFINDINGS: Clear.\nIMPRESSION: Normal.\nRECOMMENDATIONS: CT.\nFOLLOW-UP: None."
    assert not read_sections(text).note
    assert read_sections("CC: Pain.\nPMH/FHX/SHX: None.\nMEDS: None.\nCOURSE: Well.\nIMPRESSION: Well.").note


def test_a_clinical_note_is_told() -> None:
    assert read_sections("CC: Pain.\nPMH: None.\nMEDS: None.\nFHX: None.\nIMPRESSION: Well.").note


@pytest.mark.parametrize("filling", [" ", "(", "A ", "a*", "**", "** ", "- ", ": ", ",", "A:,", "\\n"])
@pytest.mark.parametrize("around", ["**", "** x", "FINDINGS: ", "A", ""])
def test_a_line_of_anything_takes_no_time(filling: str, around: str) -> None:
    begin = process_time()
    read_sections(f"FINDINGS: Clear.\n{around}{filling * 20_000}{around}\nIMPRESSION: Normal.")
    read_sections(around + filling * 20_000)
    assert process_time() - begin < 5


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_no_line_is_lost(text: str) -> None:
    words = [word for section in cut(text) for word in f"{section.name} {section.text}".split()]
    # What belongs to headings, and rules.
    assert "".join(words).translate(_GONE) == "".join(text.split()).translate(_GONE)


_GONE = str.maketrans("", "", ":*\uff1a#<>[]_-=~\u2013\u2014\ufeff")


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


@pytest.mark.parametrize(
    ("text", "findings", "impression"),
    [
        # A side stays with what it is said of.
        (
            "FINDINGS RIGHT BREAST: Mass of 2 cm.\nFINDINGS LEFT BREAST: Normal.\nIMPRESSION: Mass.",
            "FINDINGS RIGHT BREAST: Mass of 2 cm.\nFINDINGS LEFT BREAST: Normal.",
            "Mass.",
        ),
        # What stands below a date is no second conclusion.
        (
            "FINDINGS: Clear.\nSUMMARY: Normal chest.\nDATE: 1/2/09\nThis text was made by a machine.",
            "Clear.",
            "Normal chest.",
        ),
        # An empty field takes no line of findings.
        (
            "PATIENT NAME:\nDATE OF BIRTH:\n\nThere is a mass.\nThe heart is normal.\nIMPRESSION: Mass.",
            "There is a mass.\nThe heart is normal.",
            "Mass.",
        ),
        # Nor does whoever asked.
        (
            "FINDINGS: Clear.\nREFERRING PHYSICIAN:\nJohn Smith, M.D.\nThere is a mass.\nIMPRESSION: Mass.",
            "Clear.\nThere is a mass.",
            "Mass.",
        ),
        # An impression in parts is whole.
        (
            "FINDINGS: Seen.\nIMPRESSION:\nLIVER: Mass.\nPANCREAS: Mass.\nKIDNEYS: Normal.",
            "Seen.",
            "LIVER: Mass.\nPANCREAS: Mass.\nKIDNEYS: Normal.",
        ),
        # Numbered stations are findings.
        ("FINDINGS: Seen.\nSTATION 7: Node of 20 mm.\nIMPRESSION: Node.", "Seen.\nSTATION 7: Node of 20 mm.", "Node."),
        (
            "FINDINGS: Clear.\nFLUORO TIME: 2 min.\nThere was reflux.\nIMPRESSION: Reflux.",
            "Clear.\nThere was reflux.",
            "Reflux.",
        ),
        ("FINDINGS: Seen.\nIMPRESSION: Mass.\nCT TECHNOLOGIST: JANE DOE\nHEAD OF DEPARTMENT: DR. X", "Seen.", "Mass."),
        (
            "**Exam**\nCT.\n**Lungs**\nA mass.\n**HEART:**\nNormal.\n**Impression**\nMass.",
            "Lungs: A mass.\nHEART: Normal.",
            "Mass.",
        ),
    ],
)
def test_no_text_is_lost_to_a_line_of_administration_and_none_of_it_is_told(
    text: str, findings: str, impression: str
) -> None:
    found = read_sections(text)
    assert (found.findings, found.impression) == (findings, impression)

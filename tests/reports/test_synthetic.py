from __future__ import annotations

import re
from collections import Counter
from itertools import islice

import pytest

from radimpress.reports.anatomy import EXAMS
from radimpress.reports.errors import InputError
from radimpress.reports.funnel import Door, Thresholds, sift
from radimpress.reports.house_style import STYLES, Conclusion, HouseStyle, write_impression
from radimpress.reports.prompt import render
from radimpress.reports.read import Archive
from radimpress.reports.report import Report
from radimpress.reports.synthetic import FLAWED, SHARES, synthesize

_LENGTH = re.compile(r"\d+(?:\.\d+)? (?:mm|cm)")
_SIDE = re.compile(r"\b(?:left|right)\b")

# Doors that no flaw of the corpus leads to.
NEVER = {Door.UNREADABLE, Door.FINDINGS_LONG, Door.FIELD_LONG, Door.TEMPLATE, Door.COPIED, Door.LANGUAGE}


@pytest.fixture(scope="module")
def clean() -> list[Report]:
    return list(synthesize(3000, 0, 0.0))


@pytest.fixture(scope="module")
def flawed() -> list[Report]:
    return list(synthesize(3000, 0))


def test_the_same_seed_gives_the_same_reports() -> None:
    assert list(synthesize(200, 7)) == list(synthesize(200, 7))


def test_another_seed_gives_other_reports() -> None:
    assert list(synthesize(20, 7)) != list(synthesize(20, 8))


def test_fewer_reports_are_the_first_of_more() -> None:
    assert list(synthesize(50, 7)) == list(islice(synthesize(200, 7), 50))


def test_none_asked_for_gives_none() -> None:
    assert list(synthesize(0, 7)) == []


def test_ids_are_unique_whatever_the_flaws(flawed: list[Report]) -> None:
    assert len({report.id for report in flawed}) == 3000


def test_every_clinic_has_every_modality_at_3000(clean: list[Report]) -> None:
    assert {(report.clinic, report.modality) for report in clean} == {(c, m) for c in STYLES for m in SHARES}


def test_modalities_have_the_published_shares(clean: list[Report]) -> None:
    counted = Counter(report.modality for report in clean)
    assert all(counted[modality] / 3000 == pytest.approx(share, abs=0.03) for modality, share in SHARES.items())


def test_a_patient_has_one_clinic(clean: list[Report]) -> None:
    assert len({(report.patient, report.clinic) for report in clean}) == len({report.patient for report in clean})


def test_every_exam_occurs(clean: list[Report]) -> None:
    assert {report.exam for report in clean} == {exam.name for exam in EXAMS}


def test_no_slot_is_left_open(clean: list[Report]) -> None:
    assert not [report.id for report in clean if set("{}") & set(report.findings + report.impression)]


def test_measurements_of_the_impression_stand_in_the_findings(clean: list[Report]) -> None:
    foreign = [
        report.id
        for report in clean
        if set(_LENGTH.findall(report.impression.lower())) - set(_LENGTH.findall(report.findings.lower()))
    ]
    assert foreign == []


def test_sides_of_the_impression_stand_in_the_findings(clean: list[Report]) -> None:
    foreign = [
        report.id
        for report in clean
        if set(_SIDE.findall(report.impression.lower())) - set(_SIDE.findall(report.findings.lower()))
    ]
    assert foreign == []


def test_a_report_of_one_side_names_no_other(clean: list[Report]) -> None:
    one_sided = {exam.name for exam in EXAMS if exam.one_side}
    assert not [r.id for r in clean if r.exam in one_sided and len(set(_SIDE.findall(r.findings.lower()))) == 2]


def test_every_clean_report_can_be_asked_about(clean: list[Report]) -> None:
    assert all(report.findings in render(report) for report in clean)


def test_clean_reports_leave_the_funnel_kept_as_duplicates_or_as_naturally_short(clean: list[Report]) -> None:
    funnel = sift(Archive(tuple(clean), (), "clinic"), Thresholds())
    assert {door for _, door in funnel.set_aside} <= {Door.DUPLICATE, Door.FINDINGS_SHORT}
    assert len(funnel.kept) > 2800


def test_every_door_but_the_unreadable_one_is_used_by_the_flaws(flawed: list[Report]) -> None:
    funnel = sift(Archive(tuple(flawed), (), "clinic"), Thresholds())
    assert {door for door, count in funnel.funnel.counts.items() if not count} == NEVER


def test_about_as_many_are_set_aside_as_were_spoilt(clean: list[Report], flawed: list[Report]) -> None:
    natural = len(sift(Archive(tuple(clean), (), "clinic"), Thresholds()).set_aside)
    funnel = sift(Archive(tuple(flawed), (), "clinic"), Thresholds())
    assert (len(funnel.set_aside) - natural) / 3000 == pytest.approx(FLAWED, abs=0.02)


def test_a_wholly_flawed_corpus_leaves_nothing() -> None:
    with pytest.raises(InputError, match="none of 60 is left"):
        sift(Archive(tuple(synthesize(60, 0, 1.0)), (), "clinic"), Thresholds())


@pytest.mark.parametrize(("clinic", "style"), STYLES.items())
def test_a_clinic_writes_in_its_own_form(clean: list[Report], clinic: str, style: HouseStyle) -> None:
    texts = [report.impression for report in clean if report.clinic == clinic]
    lines = [line for text in texts for line in text.splitlines()]
    numbers = [bool(re.match(r"\d+\. \S", line)) for line in lines]
    bullets = [bool(re.match(r"- \S", line)) for line in lines]
    assert set(numbers) == {style.form == "numbered"}
    assert set(bullets) == {style.form == "bullets"}
    assert {text.startswith("There is ") for text in texts} == {style.form == "paragraph"}


@pytest.mark.parametrize(("clinic", "style"), STYLES.items())
def test_a_clinic_keeps_its_case_and_its_habit_of_recommending(
    clean: list[Report], clinic: str, style: HouseStyle
) -> None:
    texts = [report.impression for report in clean if report.clinic == clinic]
    assert {text.isupper() for text in texts} == {style.upper}
    assert any("recommend" in text.lower() for text in texts) == style.recommends


def test_telegraphic_clinics_write_no_small_words(clean: list[Report]) -> None:
    telegraphic = {clinic for clinic, style in STYLES.items() if style.form == "telegraphic"}
    small = re.compile(r"\b(?:a|an|the|is|are|of) ", re.IGNORECASE)
    assert not [report.id for report in clean if report.clinic in telegraphic and small.search(report.impression)]


def test_the_numbers_of_a_list_count_up_from_one(clean: list[Report]) -> None:
    for report in clean:
        if STYLES[report.clinic].form == "numbered":
            marks = [int(line.split(".")[0]) for line in report.impression.splitlines()]
            assert marks == list(range(1, len(marks) + 1))


_FOUND = [Conclusion("a small effusion", "chest CT"), Conclusion("the old fracture")]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("numbered", "1. Small effusion.\n2. Old fracture.\n3. No mass.\n4. Recommend chest CT."),
        ("bullets", "- Small effusion.\n- Old fracture.\n- No mass.\n- Recommend chest CT."),
        (
            "paragraph",
            "There is a small effusion. There is also the old fracture. There is no mass. We would recommend chest CT.",
        ),
        ("telegraphic", "Small effusion. Old fracture. No mass."),
    ],
)
def test_the_same_content_is_written_in_each_form(form: str, text: str) -> None:
    style = HouseStyle(form, upper=False, recommends=True, share=1.0)  # type: ignore[arg-type]
    assert write_impression(_FOUND, "no mass", style) == text


def test_without_conclusions_only_the_negative_is_written() -> None:
    style = HouseStyle("telegraphic", upper=True, recommends=True, share=1.0)
    assert write_impression([], "no acute fracture", style) == "NO ACUTE FRACTURE."

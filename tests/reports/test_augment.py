from __future__ import annotations

import random
from dataclasses import replace

import pytest

from radimpress.eval.checks import annotate
from radimpress.reports.augment import augment, form, is_made, measure, mirror, order, shape_of, synonym
from radimpress.reports.report import Modality, Report
from radimpress.reports.synthetic import synthesize

KNEE = Report(
    id="a",
    findings="There is a 12 mm tear of the left meniscus, and a 3.5 x 4.0 mm cyst. The Right knee is normal.",
    impression="1. 12 mm tear, LEFT meniscus.\n2. Cyst of 3.5 x 4.0 mm.",
    exam="MRI left knee",
    modality=Modality.MR,
    clinic="alder",
    patient="p",
)


def _chance(seed: int = 0) -> random.Random:
    return random.Random(seed)


def test_left_and_right_change_places_in_all_texts_as_they_were_written() -> None:
    made = mirror(KNEE, _chance())
    assert made is not None
    assert made.findings.startswith("There is a 12 mm tear of the right meniscus")
    assert "The Left knee" in made.findings
    assert "RIGHT meniscus" in made.impression
    assert made.exam == "MRI right knee"
    assert mirror(made, _chance()) == KNEE


@pytest.mark.parametrize(
    "findings",
    [
        "The left ventricle is large.",
        "The right lobe of the liver.",
        "Left hand dominant.",
        "A mass (L).",
        "No side.",
        "Tenderness in the left upper quadrant, LUQ pain.",
        "A nodule in the right lower lobe. RLL nodule.",
        "The right minor fissure is thick.",
    ],
)
def test_what_has_a_side_of_its_own_is_not_mirrored(findings: str) -> None:
    assert mirror(replace(KNEE, findings=findings, impression="x", exam=""), _chance()) is None


def test_a_measurement_changes_alike_wherever_it_stands_and_in_order() -> None:
    made = measure(KNEE, _chance(2))
    assert made is not None
    first = made.findings.split(" mm tear")[0].split()[-1]
    assert f"1. {first} mm tear" in made.impression
    assert first != "12"
    pair = made.findings.split("and a ")[1].split(" mm cyst")[0]
    assert f"Cyst of {pair} mm" in made.impression
    assert float(pair.split(" x ")[0]) < float(pair.split(" x ")[1])


@pytest.mark.parametrize(
    "findings", ["A nodule of less than 5 mm.", "5 mm, previously 3 mm.", "A 5 mm node, stable.", "No size.", "At T12."]
)
def test_a_measurement_that_decides_what_is_said_stays(findings: str) -> None:
    assert measure(replace(KNEE, findings=findings, impression="x"), _chance()) is None


def test_normal_sentences_change_places_and_others_stay() -> None:
    report = replace(
        KNEE, findings="A tear is seen. The ACL is intact. It is short. No effusion. The patella is normal."
    )
    made = order(report, _chance())
    assert made is not None
    assert made.findings == "A tear is seen. The ACL is intact. It is short. The patella is normal. No effusion."
    assert order(replace(KNEE, findings="A tear. This is normal. Otherwise clear."), _chance()) is None


def test_words_for_the_same_change_in_the_findings_alone() -> None:
    made = synonym(replace(KNEE, findings="There is no effusion."), _chance())
    assert made is not None
    assert (made.findings, made.impression) == ("No effusion.", KNEE.impression)
    assert synonym(replace(KNEE, findings="Clear."), _chance()) is None


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ("bulleted", "- 12 mm tear, LEFT meniscus.\n- Cyst of 3.5 x 4.0 mm."),
        ("paragraph", "12 mm tear, LEFT meniscus. Cyst of 3.5 x 4.0 mm."),
    ],
)
def test_items_are_written_in_another_form(shape: str, text: str) -> None:
    made = form(KNEE, shape)
    assert made is not None
    assert made.impression == text
    assert shape_of(made.impression) == shape
    assert form(KNEE, "numbered") is None


def _accept(made: Report, old: Report) -> bool:
    return set(annotate(made, made.impression, "stop")) <= set(annotate(old, old.impression, "stop"))


def test_rare_modalities_are_doubled_marked_and_contradict_nothing() -> None:
    reports = list(synthesize(3000, 7, 0.0))
    rare = {Modality.NM, Modality.OTHER}
    counts = {one: sum(report.modality is one for report in reports) for one in rare}
    made = list(augment(reports, {one: 2 * count for one, count in counts.items()}, _accept))
    assert {one: sum(report.modality is one for report in made) for one in rare} == counts
    by_id = {report.id: report for report in reports}
    for report in made:
        old = by_id[report.id.split("~")[0]]
        assert is_made(report)
        assert not is_made(old)
        assert (report.patient, report.clinic, report.modality) == (old.patient, old.clinic, old.modality)
        assert (report.findings, report.impression) != (old.findings, old.impression)
        assert _accept(report, old)
    assert len({report.id for report in made}) == len(made)
    assert made == list(augment(reports, {one: 2 * count for one, count in counts.items()}, _accept))


def test_a_report_is_used_no_more_often_than_the_cap_and_what_is_refused_is_left_out() -> None:
    made = list(augment([KNEE], {Modality.MR: 50}, lambda *_: True, cap=2))
    assert 1 <= len(made) <= 2
    assert list(augment([KNEE], {Modality.MR: 50}, lambda *_: False)) == []
    assert list(augment([], {Modality.MR: 50}, lambda *_: True)) == []

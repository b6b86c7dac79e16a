from __future__ import annotations

from dataclasses import replace

import pytest

from radimpress.clustering.cell import Cell
from radimpress.eval.baselines import CONSTANT, COPY, LEAD, NEAREST, ROOM, TRIVIAL, baselines, choose_examples
from radimpress.eval.cases import Case
from radimpress.eval.nearest import Nearest
from radimpress.eval.predict import Predictions
from radimpress.reports.prompt import render_with_examples
from radimpress.reports.report import Modality, Report

TRAIN = [
    Report(id="1", findings="Left pleural effusion is seen.", impression="Left effusion."),
    Report(id="2", findings="Fracture of the ankle.", impression="Ankle fracture."),
    Report(id="3", findings="Another old fracture of the wrist.", impression="Ankle fracture."),
]


def _case(name: str, findings: str) -> Case:
    report = Report(id=name, findings=findings, impression="Reference.", modality=Modality.CT)
    return Case(report, Cell(Modality.CT, "list"), name, 1.0)


CASES = [
    _case("a", "A large pleural effusion on the left. Heart size is 1.2 times normal."),
    _case("b", "Ankle fracture!"),
]


@pytest.fixture
def written() -> dict[str, Predictions]:
    return {predictions.system: predictions for predictions in baselines(CASES, TRAIN)}


def _texts(predictions: Predictions) -> list[str]:
    return [row.impression for row in predictions.rows]


def test_all_trivial_systems_answer_every_case(written: dict[str, Predictions]) -> None:
    assert tuple(written) == TRIVIAL
    assert all([row.case for row in predictions.rows] == ["a", "b"] for predictions in written.values())


def test_trivial_systems_carry_no_digests(written: dict[str, Predictions]) -> None:
    assert {(predictions.digest, predictions.base_digest) for predictions in written.values()} == {("", "")}


def test_constant_says_the_most_frequent_training_impression(written: dict[str, Predictions]) -> None:
    assert _texts(written[CONSTANT]) == ["Ankle fracture.", "Ankle fracture."]


def test_lead_says_the_first_sentence_of_the_findings(written: dict[str, Predictions]) -> None:
    assert _texts(written[LEAD]) == ["A large pleural effusion on the left.", "Ankle fracture!"]


def test_nearest_says_what_was_said_of_the_nearest_findings(written: dict[str, Predictions]) -> None:
    assert _texts(written[NEAREST]) == ["Left effusion.", "Ankle fracture."]


def test_no_trivial_system_sees_a_reference(written: dict[str, Predictions]) -> None:
    assert not [text for predictions in written.values() for text in _texts(predictions) if "Reference" in text]


def test_copy_says_the_findings(written: dict[str, Predictions]) -> None:
    assert _texts(written[COPY]) == [case.report.findings for case in CASES]


def test_nearest_never_finds_the_cases_own_patient() -> None:
    own = replace(TRAIN[1], patient="p", source="s")
    train = [own, TRAIN[0]]
    case = replace(CASES[1], group="1/s/p")
    found = {p.system: p for p in baselines([case], train)}
    assert _texts(found[NEAREST]) == ["Left effusion."]


def test_nearest_says_nothing_where_all_training_reports_are_the_patients_own() -> None:
    train = [replace(TRAIN[1], patient="p", source="s")]
    found = {p.system: p for p in baselines([replace(CASES[1], group="1/s/p")], train)}
    assert _texts(found[NEAREST]) == [""]


def _clinic(name: str, *reports: Report) -> list[Report]:
    return [replace(report, id=f"{name}{report.id}", clinic=name) for report in reports]


def test_examples_are_of_the_cases_clinic_the_nearest_last() -> None:
    train = [*_clinic("other", *TRAIN), *_clinic("own", *TRAIN)]
    case = replace(CASES[1], report=replace(CASES[1].report, clinic="own"))
    assert [[r.id for r in shown] for shown in choose_examples([case], Nearest(train), 2)] == [["own3", "own2"]]


def test_a_clinic_with_too_few_reports_borrows_examples() -> None:
    train = [*_clinic("other", *TRAIN), *_clinic("own", TRAIN[0])]
    case = replace(CASES[1], report=replace(CASES[1].report, clinic="own"))
    assert [[r.id for r in shown] for shown in choose_examples([case], Nearest(train), 2)] == [["other3", "other2"]]


def test_examples_that_do_not_fit_are_left_out_the_farthest_first() -> None:
    far = Report(id="far", findings="Ankle. " + "Nothing else. " * (ROOM // 14), impression="Far.")
    index = Nearest([far, TRAIN[1]])
    assert [[r.id for r in shown] for shown in choose_examples(CASES[1:], index, 2)] == [["2"]]

    def tokens(prompt: str) -> int:
        return len(prompt.split())

    room = tokens(render_with_examples(CASES[1].report, [TRAIN[1]]))
    assert len(choose_examples(CASES[1:], Nearest(TRAIN), 2, tokens, room)[0]) == 1
    assert choose_examples(CASES[1:], Nearest(TRAIN), 2, tokens, 3) == [()]


def test_no_example_is_of_the_cases_own_group() -> None:
    train = [replace(TRAIN[1], patient="p", source="s"), TRAIN[0]]
    case = replace(CASES[1], group="1/s/p")
    assert [[r.id for r in shown] for shown in choose_examples([case], Nearest(train), 2)] == [["1"]]

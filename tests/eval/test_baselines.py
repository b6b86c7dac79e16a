from __future__ import annotations

import pytest

from radimpress.clustering.cell import Cell
from radimpress.eval.baselines import CONSTANT, LEAD, NEAREST, TRIVIAL, baselines
from radimpress.eval.cases import Case
from radimpress.eval.predict import Predictions
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

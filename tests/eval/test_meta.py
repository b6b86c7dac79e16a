from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from radimpress.clustering.cell import Cell
from radimpress.eval.cases import Case
from radimpress.eval.meta import constant, empty_scores, leakage, prompt_inside, refuse, shuffled_alike, too_long
from radimpress.eval.predict import Prediction, Predictions
from radimpress.eval.score import METRICS, Judged, Scores, System
from radimpress.reports.errors import GateError
from radimpress.reports.prompt import SYSTEM, render
from radimpress.reports.report import Modality, Report

BONES = ("femur", "tibia", "fibula", "radius", "ulna", "humerus", "patella", "talus", "sacrum", "scapula")


def _report(number: int) -> Report:
    bone, place = BONES[number % 10], ("proximal", "distal", "middle")[number // 10]
    return Report(
        id=f"r{number}",
        source="made up",
        patient=f"p{number}",
        modality=Modality.CT,
        findings=f"There is a fracture of the {place} {bone}. The rest of the bones are intact and well aligned.",
        impression=f"Fracture of the {place} {bone}.",
    )


CASES = tuple(Case(_report(n), Cell(Modality.CT, "list"), f"g{n}", 1.0) for n in range(30))
GOOD = [case.report.impression for case in CASES]


def _predictions(texts: Sequence[str] = GOOD, base: str = "b" * 64) -> Predictions:
    rows = tuple(Prediction(case.report.id, text, "stop", 5) for case, text in zip(CASES, texts, strict=True))
    return Predictions("unified", "a" * 64, base, rows)


def _scores(values: Sequence[float] | None = None) -> Scores:
    values = values or [at / 100 for at in range(len(CASES))]
    rows = {c.report.id: dict.fromkeys(METRICS, value) for c, value in zip(CASES, values, strict=True)}
    judged = tuple(Judged(case.report.id, case.cell, case.group, 1.0) for case in CASES)
    return Scores(judged, {"unified": System("unified", "a" * 64, "b" * 64, rows)}, "c", "d", "1")


def _refuse(
    cases: Sequence[Case] = CASES, texts: Sequence[str] = GOOD, scores: Scores | None = None, train: object = ()
) -> None:
    refuse(cases, [_predictions(texts)], scores or _scores(), train, tokens=len, limit=500)  # type: ignore[arg-type]


def test_a_sound_evaluation_is_let_through() -> None:
    _refuse(train=[replace(_report(0), id="x", patient="y", findings="Other.")])


def test_an_impression_that_stands_in_training_too_is_life() -> None:
    assert leakage(CASES, [replace(_report(0), id="x", patient="y", findings="Something else.")]) is None


@pytest.mark.parametrize(
    ("report", "word"),
    [
        (replace(_report(3), patient="", findings="Else."), "1 of 30 test reports stand in training by id"),
        (replace(_report(3), id="x", findings="Else."), "by patient"),
        (
            replace(_report(3), id="x", patient="", impression="FRACTURE of the  proximal radius."),
            "by findings and imp",
        ),
    ],
)
def test_test_reports_that_stand_in_training_are_refused(report: Report, word: str) -> None:
    with pytest.raises(GateError, match=f"meta-gate leakage: .*{word}"):
        _refuse(train=[report])


def test_the_same_id_of_another_source_is_another_report() -> None:
    assert leakage(CASES, [replace(_report(3), source="other", findings="Else.")]) is None


def test_reports_beyond_the_models_length_are_refused() -> None:
    with pytest.raises(GateError, match="meta-gate length: 30 of 30 prompts are beyond 50 tokens"):
        refuse(CASES, [_predictions()], _scores(), (), tokens=len, limit=50)
    assert too_long(CASES, None, None) is None
    assert too_long(CASES, len, max(len(render(case.report)) for case in CASES)) is None


def test_a_prompt_within_what_is_scored_is_refused() -> None:
    for texts in (
        [f"{render(case.report)}\nImpression: {case.report.impression}" for case in CASES],
        [f"{SYSTEM} {case.report.impression}" for case in CASES],
    ):
        with pytest.raises(GateError, match="meta-gate prompt: 30 of 30 impressions of unified hold the prompt"):
            _refuse(texts=texts)


def test_references_that_hold_their_findings_are_refused() -> None:
    cases = [
        replace(case, report=replace(case.report, impression=f"{case.report.findings} {case.report.impression}"))
        for case in CASES
    ]
    with pytest.raises(GateError, match="meta-gate prompt: 30 of 30 references hold their own findings"):
        _refuse(cases=cases)


def test_one_models_rare_echo_is_its_own_fault() -> None:
    texts = [render(CASES[0].report), *GOOD[1:]]
    assert prompt_inside(CASES, [_predictions(texts)]) is None


def test_an_empty_impression_that_scores_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GateError, match=r"meta-gate empty: unified wrote nothing for a case that scores 0\.010"):
        _refuse(texts=["good words", "  ", *GOOD[2:]])
    assert empty_scores(CASES, [_predictions(["", *GOOD[1:]])], _scores()) is None
    monkeypatch.setattr("radimpress.eval.meta.rouge", lambda impression, reference: {"rougeL": 0.93})
    assert empty_scores(CASES, [], _scores()) == "an empty impression scores 0.930"


def test_a_metric_that_is_the_same_everywhere_is_refused() -> None:
    with pytest.raises(GateError, match=r"meta-gate constant: rouge1 is 0\.0000 in all 30 impressions"):
        _refuse(scores=_scores([0.0] * 30))
    assert constant(_scores()) is None


def test_shuffled_references_that_score_alike_are_refused() -> None:
    turned = [*GOOD[7:], *GOOD[:7]]
    for texts in (turned, ["The bones are intact."] * 30):
        with pytest.raises(GateError, match="meta-gate shuffled: own references score no higher"):
            _refuse(texts=texts)


def test_one_model_that_reads_its_reports_is_enough() -> None:
    models = [_predictions(["The bones are intact."] * 30), _predictions()]
    assert shuffled_alike(CASES, models) is None


def test_references_that_are_all_alike_tell_nothing() -> None:
    cases = [replace(case, report=replace(case.report, impression="Intact.")) for case in CASES]
    assert shuffled_alike(cases, [_predictions(["Intact."] * 30)]) is None

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.clustering.cell import ANY, Cell
from radimpress.clustering.clusters import Clusters
from radimpress.clustering.features import NAMES
from radimpress.eval.cases import Case, cases_digest, choose_cases
from radimpress.eval.predict import Prediction, Predictions
from radimpress.eval.score import METRICS, Scores, load_scores, score
from radimpress.reports.errors import GateError, InputError, NotFoundError
from radimpress.reports.report import Modality
from radimpress.reports.synthetic import synthesize

CLINICS = {"alder": "list", "birch": "list", "cedar": "paragraph", "dogwood": "paragraph", "elm": "list", "fir": "list"}
CLUSTERS = Clusters(
    clinics=CLINICS,
    profiles={clinic: dict.fromkeys(NAMES, 0.5) for clinic in CLINICS},
    silhouettes={},
    stability=1.0,
    embedder="",
    data="",
    why="",
)
REPORTS = list(synthesize(120, 0, 0.0))
CASES = choose_cases(REPORTS, CLUSTERS, limit=34, seed=0)


def _said(system: str, texts: list[str], cases: tuple[Case, ...] = CASES, base: str = "b") -> Predictions:
    rows = (Prediction(case.report.id, text, "stop", 1) for case, text in zip(cases, texts, strict=True))
    return Predictions(system, "d", base, tuple(rows))


@pytest.fixture(scope="module")
def scores() -> Scores:
    perfect = _said("perfect", [case.report.impression for case in CASES], base="")
    lead = _said("lead", [case.report.findings.split(".")[0] for case in CASES])
    return score(CASES, [perfect, lead], CLUSTERS, "1")


def test_at_most_so_many_cases_of_a_slice_are_chosen_and_their_weights_add_up_to_all() -> None:
    for cell in {case.cell for case in CASES}:
        weights = [case.weight for case in CASES if case.cell == cell]
        whole = [r for r in REPORTS if r.modality is cell.modality and CLINICS[r.clinic] == cell.cluster]
        assert len(weights) == min(3, len(whole))
        assert sum(weights) == pytest.approx(len(whole))


def test_zero_takes_every_case() -> None:
    assert len(choose_cases(REPORTS, CLUSTERS, limit=0, seed=0)) == len(REPORTS)


def test_choosing_is_seeded() -> None:
    assert choose_cases(REPORTS, CLUSTERS, limit=34, seed=0) == CASES
    assert choose_cases(REPORTS, CLUSTERS, limit=34, seed=1) != CASES


def test_no_reports_give_no_cases_and_are_refused() -> None:
    with pytest.raises(InputError, match="no report to judge on"):
        choose_cases([], CLUSTERS, limit=0, seed=0)


@pytest.mark.parametrize("field", ["findings", "impression", "indication", "exam", "comparison"])
def test_the_cases_digest_depends_on_all_that_a_model_is_asked_with(field: str) -> None:
    first = CASES[0]
    other = replace(first, report=replace(first.report, **{field: "other"}))  # type: ignore[arg-type]
    assert cases_digest([other, *CASES[1:]]) != cases_digest(CASES)


def test_a_reference_scores_one_on_rouge_and_fires_no_check(scores: Scores) -> None:
    for row in scores.systems["perfect"].scores.values():
        assert row["rouge1"] == row["rougeL"] == 1.0
        assert not [key for key, value in row.items() if key.startswith("check:") and value]


def test_every_case_has_every_metric(scores: Scores) -> None:
    for system in scores.systems.values():
        assert set(system.scores) == {case.report.id for case in CASES}
        assert all(set(METRICS) <= set(row) for row in system.scores.values())


def test_a_better_system_has_the_better_mean_and_a_positive_difference(scores: Scores) -> None:
    better, worse = scores.mean("perfect", "rougeL"), scores.mean("lead", "rougeL")
    gain = scores.difference("perfect", "lead", "rougeL")
    assert better is not None
    assert worse is not None
    assert gain is not None
    assert better.mean > worse.mean
    assert gain.mean == pytest.approx(better.mean - worse.mean)
    assert gain.low > 0


def test_any_is_all_clusters_of_a_modality_and_none_is_everything(scores: Scores) -> None:
    anyone = scores.within(Cell(Modality.MR, ANY))
    apart = [*scores.within(Cell(Modality.MR, "list")), *scores.within(Cell(Modality.MR, "paragraph"))]
    assert {case.id for case in anyone} == {case.id for case in apart}
    assert len(scores.within(None)) == len(CASES)


def test_a_slice_without_cases_has_no_mean_and_no_difference(scores: Scores) -> None:
    assert scores.mean("perfect", "rougeL", Cell(Modality.RF, ANY)) is None
    assert scores.difference("perfect", "lead", "rougeL", Cell(Modality.RF, ANY)) is None


def test_a_difference_is_over_the_cases_that_both_were_asked_for() -> None:
    few = CASES[:4]
    some = _said("some", [case.report.findings for case in few], few)
    everyone = _said("all", [case.report.impression for case in CASES], base="")
    found = score(CASES, [some, everyone], CLUSTERS, "1").difference("some", "all", "rougeL")
    assert found is not None
    assert found.cases == 4


def test_what_is_saved_is_loaded(tmp_path: Path, scores: Scores) -> None:
    scores.save(tmp_path / "scores.json")
    assert load_scores(tmp_path / "scores.json") == scores


def test_scores_json_holds_no_report_text(tmp_path: Path, scores: Scores) -> None:
    scores.save(tmp_path / "scores.json")
    text = (tmp_path / "scores.json").read_text("utf-8")
    assert not [case.report.id for case in CASES if case.report.impression[:30] in text]
    assert not [case.report.id for case in CASES if case.report.findings[:30] in text]


@pytest.mark.parametrize("value", [[], {}, {"format": 2}, {"format": 1}, {"format": 1, "cases": [[1]], "systems": []}])
def test_a_file_that_is_no_scores_file_is_refused(tmp_path: Path, value: object) -> None:
    (tmp_path / "s.json").write_text(json.dumps(value), "utf-8")
    with pytest.raises(InputError):
        load_scores(tmp_path / "s.json")


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        load_scores(tmp_path / "none.json")


@pytest.mark.parametrize("text", ["", "Zebra."])
def test_a_model_whose_metric_is_the_same_everywhere_measures_nothing(text: str) -> None:
    with pytest.raises(GateError, match="it measures nothing"):
        score(CASES, [_said("stuck", [text] * len(CASES))], CLUSTERS, "1")


def test_a_trivial_baseline_may_score_the_same_everywhere() -> None:
    assert "stuck" in score(CASES, [_said("stuck", [""] * len(CASES), base="")], CLUSTERS, "1").systems


def test_a_clinic_that_was_not_in_the_training_data_is_scored_under_any() -> None:
    new = [replace(report, clinic="newcomer") for report in REPORTS[:5]]
    cases = choose_cases(new, CLUSTERS, limit=0, seed=0)
    assert {case.cell.cluster for case in cases} == {ANY}
    said = _said("lead", [case.report.findings for case in cases], cases)
    assert len(score(cases, [said], CLUSTERS, "1").systems["lead"].scores) == 5

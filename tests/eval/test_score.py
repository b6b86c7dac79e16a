from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.clustering.cell import ANY, Cell
from radimpress.clustering.clusters import Clusters
from radimpress.clustering.features import NAMES
from radimpress.eval.cases import Case, cases_digest, choose_cases
from radimpress.eval.checks import CHECKS
from radimpress.eval.metrics.style import FORMS, STYLES, form, words
from radimpress.eval.predict import Prediction, Predictions
from radimpress.eval.score import METRICS, Scores, load_scores, score
from radimpress.reports.errors import InputError, NotFoundError
from radimpress.reports.report import Modality, Report
from radimpress.reports.synthetic import synthesize

CLINICS = {"alder": "list", "birch": "list", "cedar": "paragraph", "dogwood": "paragraph", "elm": "list", "fir": "list"}
CLUSTERS = Clusters(
    clinics=CLINICS,
    profiles={clinic: dict.fromkeys(NAMES, 0.5) for clinic in CLINICS},
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


@pytest.mark.parametrize("value", [[], {}, {"format": 1}, {"format": 2}, {"format": 2, "cases": [[1]], "systems": []}])
def test_a_file_that_is_no_scores_file_is_refused(tmp_path: Path, value: object) -> None:
    (tmp_path / "s.json").write_text(json.dumps(value), "utf-8")
    with pytest.raises(InputError):
        load_scores(tmp_path / "s.json")


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        load_scores(tmp_path / "none.json")


def test_a_trivial_baseline_may_score_the_same_everywhere() -> None:
    assert "stuck" in score(CASES, [_said("stuck", [""] * len(CASES), base="")], CLUSTERS, "1").systems


def test_a_clinic_that_was_not_in_the_training_data_is_scored_under_any() -> None:
    new = [replace(report, clinic="newcomer") for report in REPORTS[:5]]
    cases = choose_cases(new, CLUSTERS, limit=0, seed=0)
    assert {case.cell.cluster for case in cases} == {ANY}
    said = _said("lead", [case.report.findings for case in cases], cases)
    assert len(score(cases, [said], CLUSTERS, "1").systems["lead"].scores) == 5


def test_a_modality_gives_so_many_cases_and_each_stands_for_its_share() -> None:
    cases = choose_cases(REPORTS, CLUSTERS, limit=0, seed=3, per_modality=5)
    for modality in {report.modality for report in REPORTS}:
        own = [case for case in cases if case.cell.modality is modality]
        whole = sum(report.modality is modality for report in REPORTS)
        assert len(own) == min(5, whole)
        assert sum(case.weight for case in own) == pytest.approx(whole)


def test_sampling_by_modality_is_seeded_and_leaves_other_modalities_alone() -> None:
    def drawn(reports: list[Report], seed: int) -> set[str]:
        return {case.report.id for case in choose_cases(reports, CLUSTERS, limit=0, seed=seed, per_modality=4)}

    assert drawn(REPORTS, 1) == drawn(REPORTS, 1) != drawn(REPORTS, 2)
    without = [report for report in REPORTS if report.modality is not Modality.CT]
    assert drawn(without, 1) < drawn(REPORTS, 1)


def test_a_limit_and_a_number_a_modality_exclude_each_other() -> None:
    with pytest.raises(InputError, match="per_modality: is 2 where cases is 9"):
        choose_cases(REPORTS, CLUSTERS, limit=9, seed=0, per_modality=2)


def test_a_row_tells_length_form_latency_and_how_it_ended() -> None:
    few = CASES[:2]
    rows = (
        Prediction(few[0].report.id, "1. Stone.\n2. Cyst.", "length", 12, 0.5, copied=2),
        Prediction(few[1].report.id, "", "stop", 1, 0.25),
    )
    scores = score(few, [Predictions("base", "", "b", rows)], CLUSTERS, "1").systems["base"].scores
    first, second = (scores[case.report.id] for case in few)
    plain = ("words", "tokens", "seconds", "cut", "copied", "form:numbered", "form:bulleted", "form:paragraph")
    assert [first[name] for name in plain] == [4, 12, 0.5, 1, 1, 1, 0, 0]
    assert [second[name] for name in plain] == [0, 1, 0.25, 0, 0, 0, 0, 0]
    assert {*METRICS, *STYLES, *(f"check:{check.name}" for check in CHECKS)} <= set(first)


def test_a_case_keeps_what_its_reference_is_like_and_its_group(scores: Scores) -> None:
    for case, judged in zip(CASES, scores.cases, strict=True):
        said = case.report.impression
        assert (judged.words, judged.form) == (words(said), form(said))
        assert judged.group == case.group
        assert judged.form in FORMS
    assert {judged.abnormal for judged in scores.cases} == {True, False}


def test_neural_values_are_kept_beside_the_others_and_may_be_missing() -> None:
    few = CASES[:2]

    def neural(impressions: Sequence[str], references: Sequence[str]) -> list[dict[str, float]]:
        assert list(references) == [case.report.impression for case in few]
        return [{"neural:green": 0.25}, {}]

    said = _said("base", ["One.", "Two."], few)
    found = score(few, [said], CLUSTERS, "1", neural=neural)
    assert found.systems["base"].scores[few[0].report.id]["neural:green"] == 0.25
    mean = found.mean("base", "neural:green")
    assert mean is not None
    assert (mean.mean, mean.cases) == (0.25, 1)


def test_missing_values_are_missing_after_loading_too(tmp_path: Path) -> None:
    found = score(CASES[:2], [_said("base", ["One.", "Two."], CASES[:2])], CLUSTERS, "1", split="validation")
    rows = found.systems["base"].scores
    some = {case: dict(row) for case, row in rows.items()}
    del some[CASES[0].report.id]["tokens"]
    changed = replace(found, systems={"base": replace(found.systems["base"], scores=some)})
    changed.save(tmp_path / "s.json")
    assert load_scores(tmp_path / "s.json") == changed


def test_only_its_owner_may_read_scores_json(tmp_path: Path, scores: Scores) -> None:
    scores.save(tmp_path / "scores.json")
    assert (tmp_path / "scores.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("more", ["\n\n### Example 4\nModality: CT\nFindings: A stone.", "\nFindings: A stone."])
def test_an_answer_that_goes_on_with_the_examples_is_noticed(more: str) -> None:
    said = CASES[0].report.impression
    for text, leaks in ((said, 0.0), (said + more, 1.0)):
        rows = score(CASES[:1], [_said("base-few-shot", [text], CASES[:1])], CLUSTERS, "1").systems["base-few-shot"]
        assert rows.scores[CASES[0].report.id]["check:leak"] == leaks

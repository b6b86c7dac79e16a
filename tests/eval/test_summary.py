"""The summary's numbers, against a small example that was reckoned by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from radimpress.clustering.cell import Cell
from radimpress.eval.checks import CHECKS
from radimpress.eval.score import Judged, Scores, System
from radimpress.eval.summary import summarize
from radimpress.reports.report import Modality

CT_LIST, CT_PLAIN, MR_LIST = Cell(Modality.CT, "list"), Cell(Modality.CT, "plain"), Cell(Modality.MR, "list")
CASES = (
    Judged("a", CT_LIST, "p1", 1.0, abnormal=True, words=4, form="numbered"),
    Judged("b", CT_LIST, "p1", 1.0, abnormal=False, words=6, form="numbered"),
    Judged("c", CT_PLAIN, "p2", 4.0, abnormal=True, words=10, form="paragraph"),
    Judged("d", MR_LIST, "p3", 2.0, abnormal=True, words=20, form="bulleted"),
)


def _row(value: float, **more: float) -> dict[str, float]:
    checks = {f"check:{check.name}": 0.0 for check in CHECKS}
    return {"rougeL": value, "words": 8.0, "seconds": 1.0, "form:numbered": 1.0, **checks, **more}


SYSTEMS = {
    "base": System("base", "", "b", {"a": _row(0.1), "b": _row(0.2), "c": _row(0.3), "d": _row(0.4)}),
    "own": System(
        "own",
        "d",
        "b",
        {
            "a": _row(0.5, **{"check:leak": 1.0, "seconds": 3.0, "neural:green": 0.25}),
            "b": _row(0.7, cut=1.0, copied=1.0, words=0.0),
            "d": _row(0.9, **{"form:numbered": 0.0, "form:bulleted": 1.0}),
        },
        "list",
    ),
}


@pytest.fixture(scope="module")
def summary() -> dict[str, Any]:
    return summarize(Scores(CASES, SYSTEMS, "c" * 64, "k" * 64, "1"))


def _slice(summary: dict[str, Any], kind: str, name: str = "") -> dict[str, Any]:
    found: dict[str, Any] = next(s for s in summary["slices"] if s["kind"] == kind and s["name"] == (name or kind))
    return found


def test_every_slice_that_has_cases_is_there_once(summary: dict[str, Any]) -> None:
    assert [(one["kind"], one["name"], one["cases"]) for one in summary["slices"]] == [
        ("overall", "overall", 4),
        ("modality", "CT", 3),
        ("modality", "MR", 1),
        ("cluster", "list", 3),
        ("cluster", "plain", 1),
        ("cell", "CT/list", 2),
        ("cell", "CT/plain", 1),
        ("cell", "MR/list", 1),
        ("abnormal", "abnormal", 3),
        ("normal", "normal", 1),
    ]


def test_by_traffic_each_case_weighs_what_it_stands_for(summary: dict[str, Any]) -> None:
    found = _slice(summary, "overall")["systems"]["base"]["traffic"]["rougeL"]
    assert found["mean"] == pytest.approx((0.1 + 0.2 + 4 * 0.3 + 2 * 0.4) / 8)
    assert (found["cases"], found["groups"]) == (4, 3)
    assert found["low"] <= found["mean"] <= found["high"]


def test_macro_every_cell_weighs_the_same(summary: dict[str, Any]) -> None:
    systems = _slice(summary, "overall")["systems"]
    assert systems["base"]["macro"]["rougeL"]["mean"] == pytest.approx((0.15 + 0.3 + 0.4) / 3, abs=1e-6)
    assert systems["own"]["macro"]["rougeL"]["mean"] == pytest.approx((0.6 + 0.9) / 2)
    assert "macro" not in _slice(summary, "cell", "CT/list")["systems"]["base"]


def test_the_difference_to_base_is_over_the_cases_in_common(summary: dict[str, Any]) -> None:
    systems = _slice(summary, "overall")["systems"]
    assert systems["own"]["minus_base"]["rougeL"]["mean"] == pytest.approx((0.4 + 0.5 + 2 * 0.5) / 4)
    assert systems["own"]["minus_base"]["rougeL"]["cases"] == 3
    assert "minus_base" not in systems["base"]


def test_normal_and_abnormal_reports_stand_apart(summary: dict[str, Any]) -> None:
    assert _slice(summary, "normal")["systems"]["own"]["traffic"]["rougeL"]["mean"] == pytest.approx(0.7)
    abnormal = _slice(summary, "abnormal")["systems"]["own"]["traffic"]["rougeL"]["mean"]
    assert abnormal == pytest.approx((0.5 + 2 * 0.9) / 3)
    assert "normal when" in summary["abnormal_rule"]


def test_a_system_that_was_not_asked_in_a_slice_is_not_in_it(summary: dict[str, Any]) -> None:
    assert set(_slice(summary, "cluster", "plain")["systems"]) == {"base"}


def test_forms_and_lengths_stand_beside_the_references(summary: dict[str, Any]) -> None:
    overall = _slice(summary, "overall")
    assert overall["reference"]["forms"] == {"numbered": 2 / 8, "bulleted": 2 / 8, "paragraph": 4 / 8}
    assert overall["reference"]["words"] == {"mean": 10.0, "p50": 8.0, "p95": pytest.approx(18.5)}
    own = overall["systems"]["own"]
    assert own["forms"] == {"numbered": 2 / 4, "bulleted": 2 / 4, "paragraph": 0.0}
    assert own["words"]["mean"] == pytest.approx(16 / 3)
    assert own["words_to_reference"] == pytest.approx(16 / 30)


def test_latency_and_counts_are_told(summary: dict[str, Any]) -> None:
    own = _slice(summary, "overall")["systems"]["own"]
    assert own["seconds"] == {"mean": pytest.approx(5 / 3), "p50": 1.0, "p95": pytest.approx(2.8)}
    assert [own[key] for key in ("cases", "empty", "cut", "copied")] == [3, 1, 1, 1]
    assert own["checks"] == {check.name: int(check.name == "leak") for check in CHECKS}


def test_a_neural_metric_is_over_the_cases_that_have_it(summary: dict[str, Any]) -> None:
    systems = _slice(summary, "overall")["systems"]
    found = systems["own"]["traffic"]["neural:green"]
    assert (found["mean"], found["cases"]) == (0.25, 1)
    assert "neural:green" not in systems["base"]["traffic"]


def test_intervals_are_those_of_the_scores(summary: dict[str, Any]) -> None:
    many = tuple(Judged(str(at), CT_LIST, f"p{at // 2}", 1.0 + at % 3) for at in range(60))
    rows = {case.id: _row(int(case.id) % 7 / 7) for case in many}
    scores = Scores(many, {"base": System("base", "", "b", rows)}, "", "", "1")
    expected = scores.mean("base", "rougeL")
    found = summarize(scores)["slices"][0]["systems"]["base"]["traffic"]["rougeL"]
    assert expected is not None
    assert [found[key] for key in ("mean", "low", "high")] == pytest.approx(
        [expected.mean, expected.low, expected.high], abs=1e-6
    )


def test_the_summary_is_json(summary: dict[str, Any]) -> None:
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from radimpress.clustering.cell import ANY, Cell
from radimpress.eval.checks import CHECKS
from radimpress.eval.gate import Outcome, Rule, Verdict, judge, judge_overall
from radimpress.eval.score import Judged, Scores, System
from radimpress.reports.errors import ConfigError, GateError
from radimpress.reports.report import Modality

CT_LIST, CT_PROSE = Cell(Modality.CT, "list"), Cell(Modality.CT, "prose")
MR_LIST, MR_PROSE = Cell(Modality.MR, "list"), Cell(Modality.MR, "prose")
CELLS = (CT_LIST, CT_PROSE, MR_LIST, MR_PROSE)
CASES = tuple(Judged(f"{cell}-{at}", cell, f"{cell}-{at}", 1.0) for cell in CELLS for at in range(40))
RULE = Rule()


def _row(rouge: float, **checks: float) -> dict[str, float]:
    return {"rougeL": rouge, **{f"check:{check.name}": checks.get(check.name, 0.0) for check in CHECKS}}


def _system(
    name: str,
    shifts: Mapping[Cell, float],
    *,
    swing: float = 0.0,
    fired: Mapping[str, Mapping[str, float]] | None = None,
) -> System:
    rows = {}
    for at, case in enumerate(CASES):
        if case.cell in shifts:
            rouge = 0.5 + shifts[case.cell] + (swing if at % 2 else -swing)
            rows[case.id] = _row(rouge, **(fired or {}).get(case.id, {}))
    return System(name, f"digest of {name}", "base", rows)


def _everywhere(shift: float) -> dict[Cell, float]:
    return dict.fromkeys(CELLS, shift)


def _scores(*systems: System, cases: tuple[Judged, ...] = CASES) -> Scores:
    named = {
        system.name: system for system in (System("base", "", "base", _system("", _everywhere(0)).scores), *systems)
    }
    return Scores(cases, named, "cases", "clusters", "1")


def _judge(scores: Scores, incumbents: Mapping[Cell, str] | None = None, rule: Rule = RULE) -> dict[str, Verdict]:
    return {str(verdict.cell): verdict for verdict in judge(scores, "new", incumbents or {}, "base", rule)}


def _outcomes(scores: Scores, rule: Rule = RULE) -> set[Outcome]:
    return {verdict.outcome for verdict in _judge(scores, rule=rule).values()}


@pytest.mark.parametrize("shift", [0.3, 0.0, -0.049])
def test_better_equal_or_worse_within_the_margin_passes(shift: float) -> None:
    assert _outcomes(_scores(_system("new", _everywhere(shift)))) == {Outcome.PASS}


@pytest.mark.parametrize("shift", [-0.051, -0.3])
def test_worse_than_the_margin_is_a_regression(shift: float) -> None:
    assert _outcomes(_scores(_system("new", _everywhere(shift)))) == {Outcome.REGRESSION}


def test_a_wide_interval_that_leaves_it_open_is_insufficient_and_no_pass() -> None:
    scores = _scores(_system("new", {CT_LIST: 0.0}, swing=0.3))
    verdict = _judge(scores)["CT/list"]
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "does not exclude" in verdict.why


@pytest.mark.parametrize(("minimum", "outcome"), [(40, Outcome.PASS), (41, Outcome.INSUFFICIENT)])
def test_a_slice_needs_the_minimum_of_cases(minimum: int, outcome: Outcome) -> None:
    scores = _scores(_system("new", {CT_LIST: 0.3}))
    assert _judge(scores, rule=Rule(minimum=minimum))["CT/list"].outcome is outcome


def test_many_cases_of_a_single_patient_are_not_enough_to_pass() -> None:
    cases = tuple(Judged(case.id, case.cell, "one patient", 1.0) for case in CASES)
    scores = _scores(_system("new", {CT_LIST: 0.0}, swing=0.3), cases=cases)
    assert _judge(scores)["CT/list"].outcome is not Outcome.PASS


@pytest.mark.parametrize("check", [check.name for check in CHECKS if check.hard])
def test_a_hard_check_that_fires_once_is_a_regression_however_good_the_rest(check: str) -> None:
    scores = _scores(_system("new", _everywhere(0.4), fired={"CT/list-3": {check: 1.0}}))
    found = _judge(scores)
    assert found["CT/list"].outcome is found["CT/any"].outcome is Outcome.REGRESSION
    assert found["CT/list"].why == f"{check} fired on 1 of 40 cases; none is allowed"
    assert found["CT/prose"].outcome is found["MR/any"].outcome is Outcome.PASS


@pytest.mark.parametrize("check", [check.name for check in CHECKS if not check.hard])
def test_another_check_may_fire_as_often_as_before_and_no_more(check: str) -> None:
    once = {"CT/list-3": {check: 1.0}}
    often = {f"CT/list-{at}": {check: 1.0} for at in range(20)}
    new = _system("new", {CT_LIST: 0.4}, fired=often)
    assert _judge(_scores(_system("new", {CT_LIST: 0.4}, fired=once)))["CT/list"].outcome is Outcome.PASS
    assert _judge(_scores(new))["CT/list"].outcome is Outcome.REGRESSION
    old = _system("old", _everywhere(0.0), fired=often)
    assert _judge(_scores(new, old), {CT_LIST: "old"})["CT/list"].outcome is Outcome.PASS


def test_each_slice_is_compared_with_who_serves_it() -> None:
    scores = _scores(_system("new", _everywhere(0.1)), _system("old", _everywhere(0.4)))
    found = _judge(scores, {CT_LIST: "old"})
    assert (found["CT/list"].incumbent, found["CT/list"].incumbent_digest) == ("old", "digest of old")
    assert (found["CT/prose"].incumbent, found["CT/prose"].incumbent_digest) == ("base", "")
    assert found["CT/list"].outcome is Outcome.REGRESSION
    assert found["CT/prose"].outcome is Outcome.PASS


def test_all_clinics_of_a_modality_are_judged_only_when_asked_everywhere() -> None:
    assert set(_judge(_scores(_system("new", _everywhere(0.1))))) == {*map(str, CELLS), "CT/any", "MR/any"}
    part = {CT_LIST: 0.1, CT_PROSE: 0.1, MR_LIST: 0.1}
    assert set(_judge(_scores(_system("new", part)))) == {str(cell) for cell in part}


def test_a_modalitys_adapter_is_judged_for_clinics_that_nobody_knows_in_its_modality_alone() -> None:
    own = replace(_system("new", {CT_LIST: 0.1, CT_PROSE: 0.1}), modality=Modality.CT)
    assert set(_judge(_scores(own))) == {str(CT_LIST), str(CT_PROSE), "CT/any"}
    part = replace(_system("new", {CT_LIST: 0.1}), modality=Modality.CT)
    assert set(_judge(_scores(part))) == {str(CT_LIST)}


def test_a_clusters_adapter_is_not_judged_for_clinics_that_nobody_knows() -> None:
    unknown = Judged("new-clinic", Cell(Modality.CT, ANY), "new-clinic", 1.0)
    scores = _scores(_system("new", {CT_LIST: 0.1}), cases=(*CASES, unknown))
    assert set(_judge(scores)) == {"CT/list"}


def test_everything_together_has_its_own_margin() -> None:
    scores = _scores(_system("new", _everywhere(-0.03)))
    assert _outcomes(scores) == {Outcome.PASS}
    overall = judge_overall(scores, "new", "base", RULE)
    assert (overall.cell, overall.outcome, overall.cases) == (None, Outcome.REGRESSION, 160)


def test_a_verdict_carries_the_difference_it_rests_on() -> None:
    verdict = _judge(_scores(_system("new", {CT_LIST: 0.1})))["CT/list"]
    assert verdict.difference is not None
    assert verdict.difference.mean == pytest.approx(0.1)
    assert verdict.cases == verdict.difference.cases == 40


def test_no_cases_in_common_are_insufficient() -> None:
    scores = _scores(_system("new", {CT_LIST: 0.1}), _system("old", {MR_LIST: 0.1}))
    verdict = _judge(scores, {CT_LIST: "old"})["CT/list"]
    assert (verdict.outcome, verdict.cases, verdict.difference) == (Outcome.INSUFFICIENT, 0, None)


def test_a_candidate_that_was_not_evaluated_is_refused() -> None:
    with pytest.raises(GateError, match="new was not evaluated; scores are of base"):
        _judge(_scores())


def test_an_incumbent_that_was_not_evaluated_is_refused() -> None:
    with pytest.raises(GateError, match="CT/list: the incumbent gone was not evaluated beside new"):
        _judge(_scores(_system("new", {CT_LIST: 0.1})), {CT_LIST: "gone"})


def test_a_drop_within_the_margin_that_is_certain_is_a_regression_where_it_may_be_more() -> None:
    verdict = _judge(_scores(_system("new", {CT_LIST: -0.04}, swing=0.1)))["CT/list"]
    assert verdict.outcome is Outcome.REGRESSION
    assert verdict.difference is not None
    assert verdict.difference.low < -0.05 < verdict.difference.mean < verdict.difference.high < 0


def test_a_drop_beyond_the_margin_that_is_uncertain_is_open() -> None:
    verdict = _judge(_scores(_system("new", {CT_LIST: -0.06}, swing=0.4)))["CT/list"]
    assert verdict.outcome is Outcome.INSUFFICIENT


def test_too_few_patients_are_told_how_many_more_it_takes() -> None:
    verdict = _judge(_scores(_system("new", {CT_LIST: 0.0}, swing=0.3)))["CT/list"]
    assert verdict.need is not None
    assert verdict.need.observed
    assert verdict.need.more == verdict.need.patients - 40 > 0
    assert f"{verdict.need.more} more" in verdict.why


def test_an_improvement_is_claimed_only_where_it_stands_among_all_slices() -> None:
    found = _judge(_scores(_system("new", {**_everywhere(0.0), CT_LIST: 0.2}, swing=0.1)))
    assert found["CT/list"].improved
    assert "better than base" in found["CT/list"].why
    assert not found["CT/prose"].improved
    # One-sided p of about 0.03 in each of four slices: enough alone, not among four and their two sums.
    alone = _judge(_scores(_system("new", {CT_LIST: 0.06}, swing=0.2)))["CT/list"]
    among = _judge(_scores(_system("new", {**_everywhere(0.0), CT_LIST: 0.06}, swing=0.2)))["CT/list"]
    assert (alone.improved, among.improved) == (True, False)


def test_a_slice_may_have_a_rule_of_its_own() -> None:
    scores = _scores(_system("new", _everywhere(-0.049)))
    rule = Rule(slices={"CT/*": {"margin": 0.03}, "CT/prose": {"margin": 0.1}, "MR/list": {"minimum": 41}})  # type: ignore[dict-item]
    found = _judge(scores, rule=rule)
    assert {name: str(verdict.outcome) for name, verdict in found.items()} == {
        "CT/list": "REGRESSION",
        "CT/prose": "PASS",
        "CT/any": "REGRESSION",
        "MR/list": "INSUFFICIENT",
        "MR/prose": "PASS",
        "MR/any": "PASS",
    }


def test_a_rule_for_a_cluster_that_nobody_knows_is_refused() -> None:
    rule = Rule(slices={"CT/lists": {"margin": 0.1}})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match=r"gate\.slices: 'CT/lists' names no cluster"):
        _judge(_scores(_system("new", _everywhere(0.1))), rule=rule)


@pytest.mark.parametrize("key", ["CT", "ct/list", "XX/list", "/list", "CT/"])
def test_a_rule_for_what_is_no_slice_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match="is no slice"):
        Rule(slices={key: {"margin": 0.1}})  # type: ignore[dict-item]


def test_scores_of_the_training_part_are_refused() -> None:
    scores = replace(_scores(_system("new", _everywhere(0.1))), split="train")
    with pytest.raises(GateError, match="training part"):
        _judge(scores)


def test_the_same_scores_give_the_same_verdicts() -> None:
    scores = _scores(_system("new", _everywhere(0.01), swing=0.2))
    assert _judge(scores) == _judge(scores)
    assert _judge(scores) != _judge(scores, rule=Rule(seed=1))


@pytest.mark.parametrize(
    "setting",
    [{"slices": {"CT/any": {"margins": 0.1}}}, {"minimum": 1}, {"margin": 0}, {"margin": 1}, {"margins": 0.1}],
)
def test_a_rule_that_makes_no_sense_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rule(**setting)

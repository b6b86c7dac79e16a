from __future__ import annotations

from math import comb

import pytest

from radimpress.eval.checks import CHECKS
from radimpress.eval.safety import Split, hard_failure, significant, splits
from radimpress.reports.errors import GateError

SOFT = next(check.name for check in CHECKS if not check.hard)
HARD = next(check.name for check in CHECKS if check.hard)


def _row(**fired: float) -> dict[str, float]:
    return {f"check:{check.name}": fired.get(check.name, 0.0) for check in CHECKS}


def test_p_is_the_tail_of_a_fair_coin() -> None:
    assert Split(5, 0).p == 1 / 32
    assert Split(0, 0).p == Split(0, 7).p == 1.0
    assert Split(8, 2).p == sum(comb(10, at) for at in (8, 9, 10)) / 1024


def test_cases_of_one_patient_count_once() -> None:
    ours, theirs = [_row(**{SOFT: 1.0})] * 6, [_row()] * 6
    assert splits(ours, theirs, ["a", "a", "a", "a", "b", "b"])[SOFT] == Split(2, 0)
    assert splits(theirs, ours, ["a", "a", "a", "a", "b", "c"])[SOFT] == Split(0, 3)
    assert splits(ours, ours, list("abcdef"))[SOFT] == Split(0, 0)


def test_rare_checks_cost_the_common_ones_nothing() -> None:
    rare = {f"rare{at}": Split(1, 1) for at in range(1000)}
    assert significant({"worse": Split(6, 0), **rare}) == {"worse"}


def test_many_tests_that_could_be_significant_are_corrected_for() -> None:
    coins = {f"coin{at}": Split(10, 10) for at in range(100)}
    assert significant({"worse": Split(15, 5)}) == {"worse"}
    assert significant({"worse": Split(15, 5), **coins}) == set()
    assert significant({"worse": Split(20, 0), **coins}) == {"worse"}


def test_a_hard_check_counts_its_cases() -> None:
    assert hard_failure([_row(), _row(**{HARD: 1.0})]) == f"{HARD} fired on 1 of 2 cases; none is allowed"
    assert hard_failure([_row(**{SOFT: 1.0})]) is None


def test_scores_without_a_check_are_refused() -> None:
    with pytest.raises(GateError, match=f"know no check {HARD}"):
        hard_failure([{"rougeL": 1.0}])

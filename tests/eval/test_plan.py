from __future__ import annotations

import pytest

from radimpress.eval.plan import Need, need, needed


def test_the_usual_numbers_of_a_non_inferiority_test() -> None:
    assert needed(0.2, 0.05, 0.05, 0.80) == 99
    assert needed(0.2, 0.02, 0.05, 0.80) == 619


@pytest.mark.parametrize(("sd", "margin"), [(0.3, 0.05), (0.2, 0.03)])
def test_more_spread_or_less_margin_needs_more(sd: float, margin: float) -> None:
    assert needed(sd, margin, 0.03) > needed(0.2, 0.05, 0.03)


def test_a_slice_with_few_patients_is_planned_with_the_prior_and_another_with_its_own_spread() -> None:
    few = need(16, 0.1, margin=0.05, minimum=20, error=0.03, prior=0.2)
    assert few == Need(150, 134, 0.2, False)
    many = need(100, 0.01, margin=0.05, minimum=20, error=0.03, prior=0.2)
    assert (many.patients, many.more, many.observed) == (38, 0, True)
    assert many.sd == pytest.approx(0.1)


def test_no_slice_needs_less_than_the_minimum() -> None:
    told = need(40, 1e-6, margin=0.05, minimum=45, error=0.03, prior=0.2)
    assert (told.patients, told.more) == (45, 5)


def test_a_need_reads_as_a_sentence() -> None:
    told = str(Need(150, 134, 0.2, False))
    assert told == "needs 150 cases of as many patients for a verdict (sd 0.20 assumed): 134 more"

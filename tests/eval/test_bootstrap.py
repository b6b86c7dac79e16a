from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.eval.bootstrap import estimate

_VALUES = st.lists(st.floats(-1, 1), min_size=1, max_size=20)


@given(_VALUES)
def test_an_interval_lies_around_the_mean_and_within_what_scores_can_be(values: list[float]) -> None:
    found = estimate(values, [str(at) for at in range(len(values))])
    assert -1 <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= 1
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert found.cases == len(values)


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        estimate([], [])


def test_the_same_seed_gives_the_same_interval() -> None:
    values, groups = [at**0.5 for at in range(20)], [str(at) for at in range(20)]
    assert estimate(values, groups, seed=1) == estimate(values, groups, seed=1)
    assert estimate(values, groups, seed=1) != estimate(values, groups, seed=2)


def test_one_group_moves_together() -> None:
    found = estimate([0.0, 1.0, 0.5], ["p", "p", "p"])
    assert found.low == found.mean == found.high == 0.5


def test_cases_of_one_group_tell_less_than_as_many_apart() -> None:
    values = [0.0, 0.0, 1.0, 1.0] * 10
    apart = estimate(values, [str(at) for at in range(40)])
    together = estimate(values, [str(at // 10) + str(value) for at, value in enumerate(values)])
    assert together.high - together.low > apart.high - apart.low


def test_weights_move_the_mean() -> None:
    assert estimate([0.0, 1.0], ["a", "b"], [3.0, 1.0]).mean == 0.25


def test_a_weight_of_all_cases_alike_changes_nothing() -> None:
    values, groups = [0.1, 0.7, 0.4], ["a", "b", "b"]
    plain, weighted = estimate(values, groups), estimate(values, groups, [5.0] * 3)
    assert (weighted.low, weighted.mean, weighted.high) == pytest.approx((plain.low, plain.mean, plain.high))


def test_a_90_percent_interval_covers_the_mean_about_as_often() -> None:
    chance = np.random.default_rng(0)
    groups = [str(at) for at in range(40)]
    found = [estimate(chance.normal(0.3, 0.1, 40).tolist(), groups) for _ in range(200)]
    assert 0.8 < np.mean([one.low <= 0.3 <= one.high for one in found]) < 0.98

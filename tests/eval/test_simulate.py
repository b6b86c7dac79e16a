from __future__ import annotations

import numpy as np
import pytest

from radimpress.eval.gate import Rule
from radimpress.eval.simulate import SD, SHAPES, checks_stop_equals, simulate

RULE = Rule(resamples=1000)


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_has_the_mean_and_the_spread_that_it_says(name: str) -> None:
    drawn = SHAPES[name](np.random.default_rng(3), 1000, 400)
    assert drawn.mean() == pytest.approx(0, abs=0.002)
    assert drawn.std() == pytest.approx(SD, rel=0.02)


def test_a_worse_adapter_seldom_passes_and_an_equal_one_mostly() -> None:
    rates = list(simulate(400, RULE))
    assert {rate.truth for rate in rates} == {"worse", "equal"}
    # Three standard errors of 400 runs beyond what 2,000 runs are held to.
    assert all(rate.share <= 0.05 + 0.033 for rate in rates if rate.truth == "worse")
    assert all(rate.share >= 0.80 - 0.060 for rate in rates if rate.truth == "equal")
    worse = [rate for rate in rates if rate.truth == "worse"]
    assert sum(rate.passes for rate in worse) <= 0.05 * sum(rate.runs for rate in worse)


def test_a_margin_that_is_ignored_would_be_seen() -> None:
    generous = Rule(resamples=1000, error=0.2)
    shares = [rate.share for rate in simulate(100, generous) if rate.truth == "worse"]
    assert np.mean(shares) > 0.1


def test_checks_stop_an_equal_adapter_in_at_most_5_percent_of_judgements() -> None:
    assert checks_stop_equals(200) <= 0.05

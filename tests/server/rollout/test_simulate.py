from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from radimpress.server.rollout.simulate import WORLDS, Figures, Rate, Side, World, rouge, simulate

SHORT = tuple(
    replace(world, within={percent: min(within, 6000) for percent, within in world.within.items()})
    for world in WORLDS
    if world.slices == 1 and world.name != "equal"
)


def test_a_worse_adapter_is_sent_back_in_time_and_an_equal_one_seldom() -> None:
    figures = simulate(80, worlds=SHORT)
    # Four standard errors of 80 runs beyond what thousands of runs are held to.
    assert figures.worse >= 0.95 - 0.10
    assert figures.equal <= 0.05 + 0.10
    assert {rate.equal for rate in figures.rates} == {True, False}


def test_a_bound_that_is_ignored_would_be_seen() -> None:
    equal = World("equal", Side(noticed=0.3), Side(noticed=0.3), {50.0: 1000})
    assert simulate(80, alpha=0.9, worlds=(equal,)).equal > 0.3


def test_the_slice_that_is_worse_is_found_among_equal_ones() -> None:
    worse = World("worse in one", Side(noticed=0.5), Side(noticed=0.05), {50.0: 600}, slices=4)
    assert simulate(40, worlds=(worse,)).worse == 1


def test_the_same_seed_gives_the_same_figures() -> None:
    world = World("worse", Side(noticed=0.5), Side(), {50.0: 300})
    assert simulate(20, worlds=(world,)) == simulate(20, worlds=(world,))


@pytest.mark.parametrize("mean", [0.4, 0.5])
def test_scores_have_the_mean_and_the_spread_that_is_said(mean: float) -> None:
    drawn = rouge(np.random.default_rng(1), mean, 100_000)
    assert drawn.mean() == pytest.approx(mean, abs=0.005)
    assert drawn.std() == pytest.approx(0.2, abs=0.005)


def test_the_median_is_where_half_of_the_runs_were_ended() -> None:
    world = World("always worse", Side(noticed=1, hard=0), Side(noticed=0, hard=0), {50.0: 200})
    rate = simulate(21, worlds=(world,)).rates[0]
    assert 10 < rate.median < 60
    assert (rate.ended, rate.runs, rate.share) == (21, 21, 1)
    equal = World("equal", Side(), Side(), {50.0: 50})
    assert simulate(21, worlds=(equal,)).rates[0].median == 0


def test_figures_tell_the_worst_of_each() -> None:
    rates = [
        Rate("w", equal, 10.0, 100, ended, 10, 0) for equal, ended in ((False, 10), (False, 9), (True, 0), (True, 1))
    ]
    assert (Figures(tuple(rates)).worse, Figures(tuple(rates)).equal) == (0.9, 0.1)


def test_every_rate_is_told_in_words_as_soon_as_it_is_known() -> None:
    told: list[Rate] = []
    world = World("worse", Side(noticed=1, hard=0), Side(noticed=0, hard=0), {50.0: 100, 10.0: 500})
    figures = simulate(20, worlds=(world,), told=told.append)
    assert tuple(told) == figures.rates
    assert str(told[0]).startswith("worse, canary 50%: 1.0000 of 20 ended in 100, half of them by ")

from __future__ import annotations

import numpy as np
import pytest

from radimpress.clustering.placing import between, stretch, surprise

# Three styles that differ in the first of two named features; the third coordinate is of an embedding.
STYLES = between(np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.0, 0.0]]), 2)
CHANCE = np.diag([0.01, 0.02, 0.04])


def _at(*apart: float) -> float:
    return stretch(np.array(apart), CHANCE, STYLES)


def test_clinics_of_a_style_lie_1_from_it_as_a_root_mean_square() -> None:
    drawn = np.random.default_rng(0).multivariate_normal(np.zeros(3), CHANCE, 4000)
    squares = [_at(*apart) ** 2 for apart in drawn]
    assert np.sqrt(np.mean(squares)) == pytest.approx(1, abs=0.03)


def test_only_where_styles_differ_or_a_named_feature_might_is_anything_far() -> None:
    assert _at(0, 0, 5) == 0
    # So many standard errors in a feature in which no known styles differ are far too, and farther where they do.
    assert 1.5 < _at(0, 3 * np.sqrt(0.02), 0) < _at(3 * np.sqrt(0.01), 0, 0)
    assert _at(0, 0, 0) == 0
    assert _at(0.4, 0, 0) == pytest.approx(2 * _at(0.2, 0, 0))


def test_one_style_alone_is_held_against_what_might_differ() -> None:
    alone = between(np.zeros((1, 3)), 2)
    assert (np.diag(alone)[:2] > 0).all()
    assert stretch(np.array([1.0, 0, 0]), CHANCE, alone) > 3


def test_a_difference_is_as_surprising_as_it_is_rare() -> None:
    drawn = np.random.default_rng(1).multivariate_normal(np.zeros(3), CHANCE, 4000)
    share = np.mean([surprise(apart, CHANCE) > 2.33 for apart in drawn])
    assert 0.002 < share < 0.012
    # One coordinate that stands out, and a little everywhere.
    assert surprise(np.array([0.5, 0, 0]), CHANCE) > 3
    assert surprise(3 * np.sqrt(np.diag(CHANCE)), CHANCE) > 3

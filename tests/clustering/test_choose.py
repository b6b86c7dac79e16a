from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from radimpress.clustering.choose import choose, silhouette

WIDTH = 8


def _cloud(clinics: int, centres: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    truth = np.arange(clinics) % len(centres)
    places = centres[truth] + 0.7 * chance.standard_normal((clinics, WIDTH))
    return places, places + 0.3 * chance.standard_normal((10, clinics, WIDTH)), truth


@pytest.mark.parametrize("seed", range(5))
def test_clinics_of_one_style_are_one_cluster_even_where_they_vary_in_one_direction(seed: int) -> None:
    places, again, _ = _cloud(40, np.zeros((1, WIDTH)), seed)
    stretched = places * np.array([5.0] + [1.0] * (WIDTH - 1))
    assert choose(places, again, largest=8, seed=seed).labels.max() == 0
    assert choose(stretched, again, largest=8, seed=seed).labels.max() == 0


def test_a_fine_difference_beside_a_coarse_one_is_found() -> None:
    centres = np.zeros((3, WIDTH))
    centres[1, 0], centres[2, :2] = 30.0, (30.0, 6.0)
    places, again, truth = _cloud(60, centres, 1)
    choice = choose(places, again, largest=8, seed=0)
    assert adjusted_rand_score(truth, choice.labels) == 1.0
    assert sum(tried.chosen for tried in choice.tried) == 1


def test_what_only_the_embedding_tells_apart_is_not_parted() -> None:
    centres = np.zeros((2, WIDTH))
    centres[1, WIDTH - 1] = 12.0
    places, again, _ = _cloud(40, centres, 2)
    assert choose(places, again, largest=8, seed=0).labels.max() == 1
    assert choose(places, again, largest=8, seed=0, named=WIDTH - 1).labels.max() == 0


def test_the_silhouette_is_scikit_learns() -> None:
    from sklearn.metrics import silhouette_score

    places, _, truth = _cloud(20, np.eye(3, WIDTH) * 4, 0)
    assert silhouette(places, truth) == pytest.approx(silhouette_score(places, truth), abs=1e-4)

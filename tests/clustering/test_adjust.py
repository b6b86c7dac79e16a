from __future__ import annotations

import numpy as np
import pytest

from radimpress.clustering.adjust import clinic_means, make_cells, mixing_of, noise_of, solve


def _confounded(clinics: int = 40, each: int = 40) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """Clinics of style +1 scan mostly MR, which adds 2; clinics of style -1 mostly CT, which adds nothing."""
    chance = np.random.default_rng(3)
    owners, modalities, values, styles = [], [], [], []
    for clinic in range(clinics):
        style = 1.0 if clinic % 2 else -1.0
        styles.append(style)
        for _ in range(each):
            mr = chance.random() < (0.85 if style > 0 else 0.15)
            owners.append(f"c{clinic:02d}")
            modalities.append("MR" if mr else "CT")
            values.append(style + 2.0 * mr + 0.5 * chance.standard_normal())
    return owners, modalities, np.array(values)[:, None], np.array(styles)


def test_what_a_modality_does_is_told_from_the_style_of_those_who_scan_it() -> None:
    owners, modalities, vectors, styles = _confounded()
    cells = make_cells(owners, modalities, [""] * len(owners))
    counts, sums = cells.sums(vectors)
    effects = solve(cells, counts, sums, np.diag(noise_of(cells, vectors)))
    assert effects.modality[1, 0] - effects.modality[0, 0] == pytest.approx(2.0, abs=0.15)
    of_mr = np.array(modalities) == "MR"
    # The modality's plain mean takes the style with it.
    assert vectors[of_mr].mean() - vectors[~of_mr].mean() > 3
    _, means = clinic_means(cells, counts, sums - counts[:, None] * effects.of(cells))
    assert means[styles > 0].mean() - means[styles < 0].mean() == pytest.approx(2.0, abs=0.15)


def test_clinics_that_share_no_modality_lie_on_islands() -> None:
    cells = make_cells(["a", "b", "b", "c"], ["MR", "MR", "CT", "US"], [""] * 4)
    islands = cells.islands.tolist()
    assert islands[0] == islands[1] != islands[2]


def test_exams_too_rare_to_tell_count_as_their_modality() -> None:
    exams = ["brain"] * 30 + ["knee"] * 30 + ["toe"] * 3
    cells = make_cells(["a", "b", "c"] * 21, ["MR"] * 63, exams)
    assert cells.exams == ("MR/brain", "MR/knee")


def test_mixing_is_what_clinics_do_their_own_way_in_one_modality_beyond_noise() -> None:
    chance = np.random.default_rng(0)
    owners = [f"c{at // 60:02d}" for at in range(60 * 60)]
    modalities = ["MR" if at % 2 else "CT" for at in range(len(owners))]
    own_way = {pair: chance.normal(0, 0.5) for pair in sorted(set(zip(owners, modalities, strict=True)))}
    for sd, expected in ((0.0, 0.0), (1.0, 0.25)):
        added = [sd * own_way[pair] for pair in zip(owners, modalities, strict=True)]
        vectors = (chance.standard_normal(len(owners)) + np.array(added))[:, None]
        cells = make_cells(owners, modalities, [""] * len(owners))
        counts, sums = cells.sums(vectors)
        assert mixing_of(cells, counts, sums, noise_of(cells, vectors))[0, 0] == pytest.approx(expected, abs=0.08)

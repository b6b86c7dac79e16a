"""The benchmark of time and memory, as small as it can be."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from radimpress.server.bench.scale import Words, corpus_of, measure_scale


@pytest.mark.parametrize("size", [1, 999, 2000])
def test_a_corpus_has_just_as_many_reports_of_all_clinics(size: int) -> None:
    reports = corpus_of(size)
    assert len({report.id for report in reports}) == size
    clinics = Counter(report.clinic for report in reports)
    assert len(clinics) >= min(size, 190)


def test_hashed_words_are_unit_vectors_that_equal_texts_share() -> None:
    one, two, same = Words().embed(["Left effusion.", "Ankle fracture.", "Left effusion."])
    assert np.linalg.norm([one, two], axis=1) == pytest.approx([1, 1])
    assert (one == same).all()
    assert (one != two).any()


def test_each_size_is_fitted_and_the_second_fit_is_told_beside_the_first() -> None:
    told: list[str] = []
    figures = measure_scale(Words.name, told.append, (1700,), 400)
    assert [line.partition(" reports")[0] for line in told] == ["first_fit: 400", "second_fit: 400", "1700: 1700"]
    fits = ("first_fit", "second_fit", "1700")
    assert set(figures) == {f"{what}_{fit}" for what in ("seconds", "mib") for fit in fits} | {"second_over_first"}
    assert figures["seconds_1700"].value > 0.5
    # A process that holds numpy and scipy and counts features of all of these reports.
    assert 50 < figures["mib_1700"].value < 4000
    # What was kept need not be made again.
    assert figures["second_over_first"].value < 1

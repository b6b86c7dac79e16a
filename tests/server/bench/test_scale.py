"""The benchmark of time and memory, as small as it can be."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from radimpress.server.bench import scale
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


def test_each_size_is_fitted_and_the_second_fit_is_told_beside_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "_EMBEDDED", 40)
    monkeypatch.setattr(scale, "open_embedder", lambda name: Words())
    told: list[str] = []
    figures = measure_scale("words", told.append, (1700,))
    assert [line.partition(":")[0] for line in told] == ["1700 reports of 200 clinics"]
    assert list(figures) == ["seconds_1700", "mib_1700", "embed_per_second", "cached_share"]
    assert figures["seconds_1700"].value > 0.5
    # A process that holds numpy and scipy and counts features of all of these reports.
    assert 50 < figures["mib_1700"].value < 4000
    assert figures["embed_per_second"].value > 1
    assert figures["cached_share"].value > 0

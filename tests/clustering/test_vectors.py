from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from radimpress.clustering.cache import VectorCache
from radimpress.clustering.features import NAMES, style
from radimpress.clustering.vectors import _PART, features_version, vectors_of
from radimpress.reports.errors import ConfigError, InputError
from radimpress.reports.progress import Track, silent
from radimpress.reports.report import Report
from radimpress.reports.synthetic import synthesize
from tests.clustering.hashing import HashEmbedder

T = TypeVar("T")
REPORTS = tuple(synthesize(60, 0, 0.0))


class Broken(HashEmbedder):
    """Gives one text a vector that is no number."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def embed(self, texts: Sequence[str], track: Track = silent) -> NDArray[np.float64]:
        vectors = super().embed(texts)
        vectors[[text == self._text for text in texts], 3] = np.nan
        return vectors


class StoppedError(Exception):
    pass


@pytest.fixture
def cache(tmp_path: Path) -> VectorCache:
    return VectorCache(tmp_path / "vectors.sqlite")


def test_rows_are_in_the_order_of_the_reports() -> None:
    made = vectors_of(REPORTS, HashEmbedder())
    assert made.features.shape == (len(REPORTS), len(NAMES))
    for at in (0, 31, -1):
        report = REPORTS[at]
        assert np.array_equal(made.features[at], style(report.impression, report.findings))
        assert np.allclose(made.embeddings[at], HashEmbedder().embed([report.impression])[0], atol=1e-6)


def test_equal_texts_are_embedded_once() -> None:
    embedder = HashEmbedder()
    made = vectors_of([*REPORTS, *REPORTS], embedder)
    assert embedder.asked == len({report.impression for report in REPORTS})
    assert np.array_equal(made.embeddings[: len(REPORTS)], made.embeddings[len(REPORTS) :])


def test_the_second_time_all_comes_from_the_cache_and_is_the_same(cache: VectorCache) -> None:
    embedder, again = HashEmbedder(), HashEmbedder()
    first, second = vectors_of(REPORTS, embedder, cache), vectors_of(REPORTS[::-1], again, cache)
    assert again.asked == 0 < embedder.asked
    assert np.array_equal(first.embeddings, second.embeddings[::-1])
    assert np.array_equal(first.features, second.features[::-1])
    assert np.array_equal(first.embeddings, vectors_of(REPORTS, HashEmbedder()).embeddings)


def test_another_model_does_not_get_what_this_one_made(cache: VectorCache) -> None:
    vectors_of(REPORTS, HashEmbedder(), cache)
    other = HashEmbedder()
    other.digest = "o" * 64
    vectors_of(REPORTS, other, cache)
    assert other.asked > 0


def test_a_model_without_a_digest_is_not_kept(cache: VectorCache) -> None:
    nameless = HashEmbedder()
    nameless.digest = ""
    vectors_of(REPORTS, nameless, cache)
    before = nameless.asked
    vectors_of(REPORTS, nameless, cache)
    assert nameless.asked == 2 * before


def test_other_findings_make_other_features_of_the_same_impression(cache: VectorCache) -> None:
    report = REPORTS[0]
    both = [report, replace(report, findings=report.findings * 2)]
    made = [vectors_of([one], HashEmbedder(), cache).features[0, NAMES.index("compression")] for one in both]
    assert made[0] > made[1]


def test_features_are_kept_by_the_sources_that_count_them(cache: VectorCache, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []

    def count(impression: str, findings: str) -> NDArray[np.float64]:
        counted.append(impression)
        return style(impression, findings)

    monkeypatch.setattr("radimpress.clustering.vectors.style", count)
    for _ in range(2):
        vectors_of(REPORTS, HashEmbedder(), cache)
    once = len(counted)
    assert once == len({(report.impression, report.findings) for report in REPORTS})
    monkeypatch.setattr("radimpress.clustering.vectors.features_version", lambda: "another")
    vectors_of(REPORTS, HashEmbedder(), cache)
    assert len(counted) == 2 * once
    assert len(features_version()) == 64


def test_no_text_is_kept(cache: VectorCache) -> None:
    vectors_of(REPORTS, HashEmbedder(), cache)
    kept = b"".join(file.read_bytes() for file in cache.path.parent.iterdir())
    assert kept
    assert all(report.impression[:20].encode() not in kept for report in REPORTS)


def test_what_was_made_before_a_fit_was_broken_off_is_kept(cache: VectorCache) -> None:
    many = [replace(REPORTS[0], id=str(at), impression=f"Finding number {at}.") for at in range(_PART + 10)]

    def stop(items: Iterable[T], label: str, total: int) -> Iterator[T]:
        for at, item in enumerate(items):
            if at == 1:
                raise StoppedError
            yield item

    with pytest.raises(StoppedError):
        vectors_of(many, HashEmbedder(), cache, stop)
    later = HashEmbedder()
    vectors_of(many, later, cache)
    assert later.asked == 10


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_a_report_without_an_impression_is_named(text: str) -> None:
    with pytest.raises(InputError, match="report r-7: has no impression"):
        vectors_of([REPORTS[0], Report(id="r-7", findings="Clear.", impression=text)], HashEmbedder())


def test_a_vector_that_is_not_finite_is_named_and_not_kept(cache: VectorCache) -> None:
    report = REPORTS[7]
    with pytest.raises(InputError, match=f"report {report.id}: the vector by hash is not finite") as told:
        vectors_of(REPORTS[7:20], Broken(report.impression), cache)
    assert report.impression not in str(told.value)
    sound = HashEmbedder()
    vectors_of(REPORTS[7:20], sound, cache)
    assert sound.asked == 1


def test_no_reports_are_refused() -> None:
    with pytest.raises(InputError, match="nothing to compare"):
        vectors_of([], HashEmbedder())


def test_a_value_of_another_length_in_the_cache_is_told(cache: VectorCache) -> None:
    vectors_of(REPORTS[:9], HashEmbedder(), cache)
    with cache._open() as database, database:
        database.execute("UPDATE vectors SET value = x'00000000' WHERE length(value) = 32")
    with pytest.raises(ConfigError, match=r"vectors\.sqlite: style vectors of several lengths; delete it"):
        vectors_of(REPORTS, HashEmbedder(), cache)


def test_a_lone_surrogate_is_a_text_like_any_other(cache: VectorCache) -> None:
    made = vectors_of([replace(REPORTS[0], impression="Mass \ud800 left.")], HashEmbedder(), cache)
    assert np.isfinite(made.embeddings).all()

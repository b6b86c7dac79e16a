"""`radimpress bench clustering --only scale`: seconds and memory of a fit as reports grow.

Each size runs in a process of its own, whose peak memory is read. Embedding is linear in texts and is measured apart,
with the real model and its cache on a few; the sizes themselves take 384 numbers a report from hashed words
(scikit-learn's HashingVectorizer), so that what is measured is reading, features and statistics.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from radimpress.clustering.cache import VectorCache
from radimpress.clustering.embed import open_embedder
from radimpress.clustering.fit import FitRules, fit_clusters
from radimpress.clustering.vectors import vectors_of
from radimpress.reports.progress import Track, silent
from radimpress.reports.report import Report
from radimpress.server.bench.material import Figure
from radimpress.server.bench.memory import peak_mebibytes
from radimpress.server.bench.styles import make_corpus

SCALE = "scale"
SIZES = (3_000, 30_135, 300_000)
_CLINICS = 200
_EMBEDDED = 1_000
_DIMENSIONS = 384


class Words:
    """Unit vectors from hashed words."""

    name = "hashed words"
    digest = "0" * 64

    def embed(self, texts: Sequence[str], track: Track = silent) -> NDArray[np.float64]:
        """Vectors of shape (texts, 384)."""
        from sklearn.feature_extraction.text import HashingVectorizer

        del track
        vectors: NDArray[np.float64] = HashingVectorizer(n_features=_DIMENSIONS).transform(texts).toarray()
        return vectors


def measure_scale(embedder: str, told: Callable[[str], None], sizes: Sequence[int] = SIZES) -> dict[str, Figure]:
    """Seconds and peak MiB of a fit of each size; texts embedded a second, and the cache's share of that time."""
    figures = {}
    for size in sizes:
        with get_context("spawn").Pool(1) as pool:
            seconds, mebibytes = pool.apply(_fit, (size,))
        told(f"{size} reports of {_CLINICS} clinics: {seconds:.1f} s, {mebibytes:.0f} MiB at most")
        figures[f"seconds_{size}"] = Figure.of([seconds])
        figures[f"mib_{size}"] = Figure.of([mebibytes])
    first, second = _embed(embedder)
    figures["embed_per_second"] = Figure.of([_EMBEDDED / first])
    figures["cached_share"] = Figure.of([second / first])
    return figures


def corpus_of(size: int) -> tuple[Report, ...]:
    """So many reports of 200 clinics, in the order of no clinic."""
    made = list(make_corpus(0, clinics=_CLINICS, reports=math.ceil(_SPARE * size / _CLINICS / _MEAN)).reports)
    random.Random(0).shuffle(made)
    return tuple(made[:size])


def _fit(size: int) -> tuple[float, float]:
    reports = corpus_of(size)
    began = time.perf_counter()
    fit_clusters(reports, Words(), FitRules())
    seconds = time.perf_counter() - began
    return seconds, peak_mebibytes()


# Of 2 ** u for u even between -1 and 1, as a corpus draws its clinics' sizes.
_MEAN = 1.5 / (2 * math.log(2))
# Drawn sizes come to less than their mean now and then.
_SPARE = 1.1


def _embed(name: str) -> tuple[float, float]:
    """Seconds for vectors of a thousand different texts, at first and from the cache."""
    corpus = make_corpus(1, clinics=40, reports=2 * _EMBEDDED // 40)
    reports = list({report.impression: report for report in corpus.reports}.values())[:_EMBEDDED]
    embedder = open_embedder(name)
    vectors_of(reports[:8], embedder)
    with TemporaryDirectory() as folder:
        cache = VectorCache(Path(folder) / "vectors.sqlite")
        took = []
        for _ in range(2):
            began = time.perf_counter()
            vectors_of(reports, embedder, cache)
            took.append(time.perf_counter() - began)
    return took[0], took[1]

"""`radimpress bench clustering --only scale`: seconds and memory of a fit as reports grow.

Each fit runs in a process of its own, whose peak memory is read. The published 30,135 reports are fitted twice with the
real embedding model, the second time from the cache. How the rest grows is seen without it: 384 numbers a report from
hashed words (scikit-learn's HashingVectorizer), and every report of a clinic read, which a fit by default does not do.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from radimpress.clustering.cache import VectorCache
from radimpress.clustering.embed import open_embedder
from radimpress.clustering.fit import FitRules, fit_clusters
from radimpress.reports.progress import Track, silent
from radimpress.reports.report import Report
from radimpress.server.bench.material import Figure
from radimpress.server.bench.memory import peak_mebibytes
from radimpress.server.bench.styles import make_corpus

SCALE = "scale"
PUBLISHED = 30_135
SIZES = (3_000, PUBLISHED, 300_000)
_CLINICS = 200
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


def measure_scale(
    embedder: str, told: Callable[[str], None], sizes: Sequence[int] = SIZES, published: int = PUBLISHED
) -> dict[str, Figure]:
    """Seconds and peak MiB of a fit of each size, and of a first and a second one of the published size."""
    figures: dict[str, Figure] = {}
    with TemporaryDirectory() as folder:
        for name in ("first", "second"):
            fit = _Fit(published, FitRules(), embedder, Path(folder) / "vectors.sqlite")
            figures |= _measured(fit, f"{name}_fit", told)
    first, second = figures["seconds_first_fit"].value, figures["seconds_second_fit"].value
    figures["second_over_first"] = Figure.of([second / first])
    for size in sizes:
        figures |= _measured(_Fit(size, FitRules(per_clinic=size), Words.name, None), str(size), told)
    return figures


@dataclass(frozen=True, slots=True)
class _Fit:
    """One fit: of so many reports, by these rules, with the embedding model of this name and the cache in this file."""

    size: int
    rules: FitRules
    embedder: str
    cache: Path | None

    def __call__(self) -> tuple[float, float]:
        """Seconds, and MiB at most."""
        reports = corpus_of(self.size)
        embedder = Words() if self.embedder == Words.name else open_embedder(self.embedder)
        cache = VectorCache(self.cache) if self.cache else None
        began = time.perf_counter()
        fit_clusters(reports, embedder, self.rules, cache=cache)
        return time.perf_counter() - began, peak_mebibytes()


def _measured(fit: _Fit, name: str, told: Callable[[str], None]) -> dict[str, Figure]:
    with get_context("spawn").Pool(1) as pool:
        seconds, mebibytes = pool.apply(fit)
    told(f"{name}: {fit.size} reports of {_CLINICS} clinics by {fit.embedder}: {seconds:.1f} s, {mebibytes:.0f} MiB")
    return {f"seconds_{name}": Figure.of([seconds]), f"mib_{name}": Figure.of([mebibytes])}


def corpus_of(size: int) -> tuple[Report, ...]:
    """So many reports of 200 clinics, in the order of no clinic."""
    made = list(make_corpus(0, clinics=_CLINICS, reports=math.ceil(_SPARE * size / _CLINICS / _MEAN)).reports)
    random.Random(0).shuffle(made)
    return tuple(made[:size])


# Of 2 ** u for u even between -1 and 1, as a corpus draws its clinics' sizes.
_MEAN = 1.5 / (2 * math.log(2))
# Drawn sizes come to less than their mean now and then.
_SPARE = 1.1

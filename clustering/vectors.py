"""`StyleVectors`: what each report is to the clustering, its style features beside a sentence embedding."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache as once
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radimpress.clustering.cache import VectorCache
from radimpress.clustering.embed import Embedder
from radimpress.clustering.features import NAMES, Vector, style
from radimpress.reports.errors import ConfigError, InputError
from radimpress.reports.progress import Track, silent
from radimpress.reports.report import Report

Kind = type[np.float32] | type[np.float64]

# So many are made before they are kept: what a killed fit loses.
_PART = 128


@dataclass(frozen=True, slots=True, eq=False)
class StyleVectors:
    """Reports as numbers.

    Attributes:
        features: style features, each in [0, 1]; shape (reports, len(NAMES)).
        embeddings: of the impressions, each of unit length; shape (reports, dimensions of the model).
    """

    features: Vector
    embeddings: Vector


def vectors_of(
    reports: Sequence[Report], embedder: Embedder, cache: VectorCache | None = None, track: Track = silent
) -> StyleVectors:
    """Vectors of the reports, in their order; equal texts are embedded once, and what is in the cache is not made.

    Raises:
        InputError: there are no reports; one has an empty impression, or a vector that is not finite; it is named.
        ConfigError: the cache cannot be used.
    """
    if not reports:
        raise InputError("reports", "is empty: there is nothing to compare")
    for report in reports:
        if not report.impression.strip():
            raise InputError(f"report {report.id}", "has no impression: there is no style to see")
    # A lone surrogate, which JSON may hold, is no text to a tokenizer.
    texts = [report.impression.encode("utf-8", "replace").decode() for report in reports]
    findings = [report.findings.encode("utf-8", "replace").decode() for report in reports]

    def count(rows: Sequence[int]) -> Vector:
        return np.stack([style(texts[row], findings[row]) for row in rows])

    def embed(rows: Sequence[int]) -> Vector:
        return embedder.embed([texts[row] for row in rows])

    pairs = [f"{len(text)}\0{text}\0{more}" for text, more in zip(texts, findings, strict=True)]
    features = _rows(_keys(features_version(), pairs), count, np.float64, cache, silent)
    keep = cache if embedder.digest else None
    embeddings = _rows(_keys(embedder.digest, texts), embed, np.float32, keep, track)
    for what, rows in (("style features", features), (f"the vector by {embedder.name}", embeddings)):
        wrong = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if wrong.size:
            raise InputError(f"report {reports[wrong[0]].id}", f"{what} is not finite")
    assert features.shape[1] == len(NAMES)
    return StyleVectors(features, embeddings)


@once
def features_version() -> str:
    """SHA-256, in hex, over the sources that count style features."""
    digest = hashlib.sha256()
    for name in ("features.py", "written.py"):
        digest.update(files("radimpress.clustering").joinpath(name).read_bytes())
    return digest.hexdigest()


def _keys(maker: str, texts: Sequence[str]) -> list[bytes]:
    return [hashlib.sha256(f"{maker}\0{text}".encode()).digest() for text in texts]


def _rows(
    keys: Sequence[bytes],
    make: Callable[[Sequence[int]], Vector],
    kind: Kind,
    cache: VectorCache | None,
    track: Track,
) -> Vector:
    """A vector for each key, of shape (keys, width): from the cache, or made from the row of its first mention."""
    first = {key: row for row, key in reversed(list(enumerate(keys)))}
    found = _read(cache.get(list(first)), kind) if cache else {}
    missing = sorted(row for key, row in first.items() if key not in found)
    parts = [missing[at : at + _PART] for at in range(0, len(missing), _PART)]
    for part in track(parts, "style vectors", len(parts)) if parts else ():
        made = {keys[row]: vector.astype(kind) for row, vector in zip(part, make(part), strict=True)}
        found |= made
        if cache:
            cache.put({key: vector.tobytes() for key, vector in made.items() if np.isfinite(vector).all()})
    if len({vector.shape for vector in found.values()}) > 1:
        raise ConfigError(f"{cache.path if cache else 'a model'}: style vectors of several lengths; delete it")
    return np.stack([found[key] for key in keys]).astype(np.float64)


def _read(kept: dict[bytes, bytes], kind: Kind) -> dict[bytes, NDArray[Any]]:
    """What can be used of it: numbers that are finite, and as many in each."""
    size = np.dtype(kind).itemsize
    if len({len(value) for value in kept.values()}) > 1 or any(len(value) % size for value in kept.values()):
        return {}
    vectors = {key: np.frombuffer(value, kind) for key, value in kept.items()}
    return {key: vector for key, vector in vectors.items() if np.isfinite(vector).all()}

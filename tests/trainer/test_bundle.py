from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from radimpress.reports.errors import BundleError, DigestError, NotFoundError
from radimpress.trainer.bundle import (
    CONFIG,
    MANIFEST,
    RANK_MAX,
    WEIGHTS,
    AdapterBundle,
    check_targets,
    open_bundle,
    side_folder,
    write_bundle,
)

BASE = "b" * 64
TARGETS = ("o_proj", "down_proj")
_MODULE = "base_model.model.model.layers.0.self_attn.o_proj"
_CONFIG: dict[str, Any] = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "bias": "none", "target_modules": ["o_proj"]}
_MANIFEST: dict[str, Any] = {
    "name": "unified",
    "base": {"name": "tiny", "digest": BASE},
    "rank": 2,
    "prompt_version": "1",
    "clusters": "c" * 64,
}


def _tensors(rank: int = 2, up: float = 0.5) -> dict[str, torch.Tensor]:
    return {
        f"{_MODULE}.lora_A.weight": torch.full((rank, 4), 0.1),
        f"{_MODULE}.lora_B.weight": torch.full((4, rank), up),
    }


def _write(
    into: Path, *, weights: bytes | None = None, config: Any = None, manifest: dict[str, Any] | None = None
) -> AdapterBundle:
    side = side_folder(into)
    (side / WEIGHTS).write_bytes(save(_tensors()) if weights is None else weights)
    (side / CONFIG).write_text(config if isinstance(config, str) else json.dumps(config or _CONFIG), "utf-8")
    return write_bundle(side, into, {**_MANIFEST, **(manifest or {})})


@pytest.fixture
def bundle(tmp_path: Path) -> AdapterBundle:
    return _write(tmp_path)


def test_a_whole_bundle_is_verified(bundle: AdapterBundle) -> None:
    bundle.verify(BASE)
    check_targets(bundle, TARGETS)
    assert (bundle.name, bundle.base_name, bundle.base_digest, bundle.rank) == ("unified", "tiny", BASE, 2)


def test_a_bundle_is_named_by_its_manifest(bundle: AdapterBundle) -> None:
    assert bundle.digest == hashlib.sha256((bundle.path / WEIGHTS).read_bytes()).hexdigest()
    assert bundle.path.name == hashlib.sha256((bundle.path / MANIFEST).read_bytes()).hexdigest()[:16]
    assert bundle.path.parent.name == "unified"


def test_the_same_bundle_stays_and_a_damaged_one_gives_way(tmp_path: Path, bundle: AdapterBundle) -> None:
    seen = (bundle.path / WEIGHTS).stat().st_ino
    assert _write(tmp_path) == bundle
    assert (bundle.path / WEIGHTS).stat().st_ino == seen
    for name in (WEIGHTS, MANIFEST):
        (bundle.path / name).write_bytes(b"broken")
        assert _write(tmp_path) == bundle
        bundle.verify(BASE)
    assert [path.name for path in tmp_path.iterdir()] == ["unified"]


def test_every_file_is_on_the_disk_before_the_bundle_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, sync = set(), os.fsync

    def watched(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    bundle = _write(tmp_path)
    assert {(bundle.path / name).stat().st_ino for name in (WEIGHTS, CONFIG, MANIFEST)} <= synced


def test_a_bundle_holds_three_files_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    side = side_folder(tmp_path)
    (side / WEIGHTS).write_bytes(save(_tensors()))
    (side / CONFIG).write_text(json.dumps(_CONFIG), "utf-8")
    (side / "README.md").write_text("words", "utf-8")
    bundle = write_bundle(side, tmp_path, _MANIFEST)
    assert {path.name for path in bundle.path.iterdir()} == {WEIGHTS, CONFIG, MANIFEST}
    assert [path.name for path in tmp_path.iterdir()] == ["unified"]


def test_opening_a_bundle_again_gives_the_same(bundle: AdapterBundle) -> None:
    assert open_bundle(bundle.path) == bundle


def test_weights_are_read_as_they_were_written(bundle: AdapterBundle) -> None:
    assert all(torch.equal(tensor, _tensors()[name]) for name, tensor in bundle.weights().items())


def test_a_bundle_of_another_base_is_refused(bundle: AdapterBundle) -> None:
    with pytest.raises(BundleError, match="fitted on base bbbbbbbbbbbb, not on aaaaaaaaaaaa"):
        bundle.verify("a" * 64)


@pytest.mark.parametrize("at", [0, 20, -1])
def test_one_byte_changed_in_the_weights_is_refused(bundle: AdapterBundle, at: int) -> None:
    data = bytearray((bundle.path / WEIGHTS).read_bytes())
    data[at] ^= 1
    (bundle.path / WEIGHTS).write_bytes(data)
    with pytest.raises(DigestError, match=f"SHA-256 of {WEIGHTS}"):
        bundle.verify(BASE)


def test_a_changed_alpha_is_refused(bundle: AdapterBundle) -> None:
    (bundle.path / CONFIG).write_text(json.dumps({**_CONFIG, "lora_alpha": 400}), "utf-8")
    with pytest.raises(DigestError, match=f"SHA-256 of {CONFIG}"):
        bundle.verify(BASE)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(BundleError, match="not finite"):
        _write(tmp_path, weights=save(_tensors(up=value))).verify(BASE)


def test_an_adapter_that_does_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="every lora_B is zero"):
        _write(tmp_path, weights=save(_tensors(up=0.0))).verify(BASE)


@pytest.mark.parametrize("weights", [b"", b"not safetensors", b"PK\x03\x04 a pickle"])
def test_weights_that_are_not_safetensors_are_refused(tmp_path: Path, weights: bytes) -> None:
    with pytest.raises(BundleError, match="is not safetensors"):
        _write(tmp_path, weights=weights).verify(BASE)


def test_weights_without_a_tensor_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="holds no tensor"):
        _write(tmp_path, weights=save({})).verify(BASE)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"r": 4}, "r is 4, the manifest says 2"),
        ({"r": None}, "r is None"),
        ({"peft_type": "IA3"}, "is not a LoRA configuration"),
        ({"bias": "all"}, "biases or whole modules"),
        ({"lora_bias": True}, "biases or whole modules"),
        ({"modules_to_save": ["lm_head"]}, "biases or whole modules"),
        ({"rank_pattern": {"o_proj": 64}}, "is not served"),
        ({"alpha_pattern": {"o_proj": 64}}, "is not served"),
    ],
)
def test_a_configuration_that_asks_for_more_is_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(BundleError, match=told):
        _write(tmp_path, config={**_CONFIG, **changes}).verify(BASE)


@pytest.mark.parametrize("config", ["[]", "3", "not json", ""])
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, config: str) -> None:
    with pytest.raises(BundleError):
        _write(tmp_path, config=config).verify(BASE)


def test_tensors_of_another_rank_than_the_manifest_says_are_refused(tmp_path: Path) -> None:
    bundle = _write(tmp_path, weights=save(_tensors(rank=16)))
    with pytest.raises(BundleError):
        bundle.verify(BASE)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_a_symlinked_file_is_refused_though_its_bytes_are_right(
    bundle: AdapterBundle, tmp_path: Path, name: str
) -> None:
    (bundle.path / name).rename(tmp_path / "elsewhere")
    (bundle.path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=f"{name} is not a plain file"):
        bundle.verify(BASE)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_a_missing_file_is_refused(bundle: AdapterBundle, name: str) -> None:
    (bundle.path / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is not a plain file"):
        bundle.verify(BASE)


@pytest.mark.parametrize("targets", [["o_proj", "lm_head"], "o_proj", [], None])
def test_a_foreign_target_module_is_refused(tmp_path: Path, targets: object) -> None:
    with pytest.raises(BundleError, match="allowed are o_proj, down_proj"):
        check_targets(_write(tmp_path, config={**_CONFIG, "target_modules": targets}), TARGETS)


def test_a_folder_without_a_manifest_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"manifest\.json is missing"):
        open_bundle(tmp_path)


@pytest.mark.parametrize("key", ["format", "files", "base", "name", "rank", "prompt_version", "clusters"])
def test_a_manifest_without_a_key_is_refused(bundle: AdapterBundle, key: str) -> None:
    manifest = {name: value for name, value in bundle.manifest.items() if name != key}
    (bundle.path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(BundleError, match=key):
        open_bundle(bundle.path)


@pytest.mark.parametrize(
    "change",
    [
        {"rank": 0},
        {"rank": RANK_MAX + 1},
        {"rank": "2"},
        {"name": "../up"},
        {"name": ""},
        {"name": "a/b"},
        {"base": {"name": "tiny"}},
        {"files": {WEIGHTS: "0"}},
        {"files": {WEIGHTS: "0", CONFIG: "0", "more": "0"}},
        {"format": 2},
    ],
)
def test_a_manifest_with_a_wrong_value_is_refused(bundle: AdapterBundle, change: dict[str, Any]) -> None:
    (bundle.path / MANIFEST).write_text(json.dumps({**bundle.manifest, **change}), "utf-8")
    with pytest.raises(BundleError):
        open_bundle(bundle.path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xff"])
def test_a_manifest_that_is_none_is_refused(bundle: AdapterBundle, data: bytes) -> None:
    (bundle.path / MANIFEST).write_bytes(data)
    with pytest.raises(BundleError):
        open_bundle(bundle.path)


def test_the_same_bundle_written_twice_is_one(tmp_path: Path) -> None:
    assert _write(tmp_path) == _write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["unified"]


def test_verifying_does_not_change_the_bundle(bundle: AdapterBundle) -> None:
    before = {path.name: path.read_bytes() for path in bundle.path.iterdir()}
    bundle.verify(BASE)
    assert {path.name: path.read_bytes() for path in bundle.path.iterdir()} == before

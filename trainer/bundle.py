"""The adapter bundle: a folder that plain peft can read, and a manifest that binds its files.

    adapter_model.safetensors   the LoRA weights; its header holds the configuration's digest
    adapter_config.json         peft's configuration
    manifest.json               digests of both, of base, data, clusters and prompt; loss history

A bundle is written to a side folder, the manifest last, and renamed; it is named by its manifest's
digest and never changes. The weights' digest stands for the whole adapter: the same tensors at another
scale are another file.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radimpress.reports.errors import BundleError, DigestError, InputError, NotFoundError
from radimpress.reports.files import read_json, sha256_file, write_json

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
MANIFEST = "manifest.json"
RANK_MAX = 64
# What peft writes into every configuration, and the few choices that an adapter has.
_KNOWN = {
    *("base_model_name_or_path", "bias", "inference_mode", "init_lora_weights", "lora_alpha", "lora_dropout"),
    *("megatron_core", "peft_type", "peft_version", "qalora_group_size", "r", "revision", "target_modules"),
    *("task_type", "use_rslora"),
}
_FORMAT = 1
_CONFIG_KEY = "adapter_config_sha256"
_RESERVED = {"base", "constant", "lead-1", "nearest"}


@dataclass(frozen=True, slots=True)
class AdapterBundle:
    """A bundle whose manifest was read; `verify` tells whether its files are still those.

    Attributes:
        path: the folder.
        manifest: manifest.json.
    """

    path: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """The adapter's name."""
        return str(self.manifest["name"])

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the weights file."""
        return str(self.manifest["files"][WEIGHTS])

    @property
    def base_name(self) -> str:
        """The base model it was fitted on."""
        return str(self.manifest["base"]["name"])

    @property
    def base_digest(self) -> str:
        """SHA-256 over the base model's files."""
        return str(self.manifest["base"]["digest"])

    @property
    def rank(self) -> int:
        """The LoRA rank."""
        return int(self.manifest["rank"])

    def config(self) -> dict[str, Any]:
        """peft's configuration, checked against the manifest.

        Raises:
            DigestError: the file is not the manifest's.
            BundleError: it asks for more than an adapter may.
        """
        data = self._read(CONFIG)
        try:
            config: dict[str, Any] = json.loads(data)
        except (ValueError, RecursionError):
            raise BundleError(f"{self.name}: {CONFIG} is not JSON") from None
        problem = _config_problem(config, self.rank)
        if problem:
            raise BundleError(f"{self.name}: {CONFIG}: {problem}")
        return config

    def weights(self) -> dict[str, Any]:
        """The tensors by name, from the very bytes whose digest was checked.

        Raises:
            DigestError: the file is not the manifest's.
            BundleError: not safetensors, not finite, or it does nothing.
        """
        import torch
        from safetensors.torch import load

        data = self._read(WEIGHTS)
        try:
            tensors = load(data)
        except Exception as error:
            raise BundleError(f"{self.name}: {WEIGHTS} is not safetensors") from error
        if not tensors:
            raise BundleError(f"{self.name}: {WEIGHTS} holds no tensor")
        foreign = sorted(key for key, tensor in tensors.items() if _rank(key, tensor) != self.rank)
        if foreign:
            raise BundleError(f"{self.name}: {foreign[0]} is no LoRA matrix of rank {self.rank}")
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise BundleError(f"{self.name}: {WEIGHTS} holds values that are not finite")
        if not any(bool(tensor.any()) for key, tensor in tensors.items() if ".lora_B." in key):
            raise BundleError(f"{self.name}: does nothing: every lora_B is zero")
        if _metadata(data).get(_CONFIG_KEY) != self.manifest["files"][CONFIG]:
            raise BundleError(f"{self.name}: {WEIGHTS} was fitted with another {CONFIG}")
        return tensors

    def verify(self, base_digest: str) -> None:
        """Checks everything that can be checked without the base model in memory.

        Raises:
            DigestError: a file is not the manifest's.
            BundleError: broken, or of another base model.
        """
        self.check_base(base_digest)
        self.config()
        self.weights()

    def check_base(self, base_digest: str) -> None:
        """Checks the base model that the adapter was fitted on.

        Raises:
            BundleError: it is another one.
        """
        if self.base_digest != base_digest:
            raise BundleError(f"{self.name}: fitted on base {self.base_digest[:12]}, not on {base_digest[:12]}")

    def _read(self, name: str) -> bytes:
        path = self.path / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{self.name}: {name} is not a plain file in {self.path.name}")
        data = path.read_bytes()
        digest, expected = hashlib.sha256(data).hexdigest(), self.manifest["files"].get(name)
        if digest != expected:
            raise DigestError(f"{self.name}: SHA-256 of {name} is {digest}, the manifest says {expected}")
        return data


def open_bundle(path: Path) -> AdapterBundle:
    """Reads a bundle's manifest.

    Raises:
        NotFoundError: there is no bundle.
        BundleError: the manifest is not one.
    """
    if not (path / MANIFEST).is_file():
        raise NotFoundError(f"{path.name}: no adapter bundle there ({MANIFEST} is missing)")
    try:
        manifest = read_json(path / MANIFEST)
    except InputError:
        raise BundleError(f"{path.name}/{MANIFEST}: is not JSON") from None
    problem = _manifest_problem(manifest)
    if problem:
        raise BundleError(f"{path.name}/{MANIFEST}: {problem}")
    return AdapterBundle(path, manifest)


def write_bundle(side: Path, into: Path, manifest: dict[str, Any]) -> AdapterBundle:
    """Turns the folder `side`, as peft saved it, into the bundle `into/<name>/<manifest's digest>`.

    `manifest` gives everything but the format and the files' digests.

    Raises:
        BundleError: the weights are not safetensors.
    """
    for extra in side.iterdir():
        if extra.name not in {WEIGHTS, CONFIG}:
            extra.unlink()
    _bind(side)
    digests = {name: sha256_file(side / name) for name in (WEIGHTS, CONFIG)}
    write_json(side / MANIFEST, {"format": _FORMAT, "files": digests, **manifest})
    target = into / str(manifest["name"]) / sha256_file(side / MANIFEST)[:16]
    # No report text is in a bundle: whoever serves may read it, whoever fitted it.
    for name in (WEIGHTS, CONFIG, MANIFEST):
        (side / name).chmod(0o644)
    side.chmod(0o755)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(side)
    else:
        side.rename(target)
    return open_bundle(target)


def side_folder(into: Path) -> Path:
    """A new folder beside the bundles, on the same file system."""
    into.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=into, prefix=".side-"))


def _bind(side: Path) -> None:
    """Writes the configuration's digest into the weights file's header."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    try:
        tensors = load_file(side / WEIGHTS)
    except SafetensorError:
        raise BundleError(f"{WEIGHTS} is not safetensors") from None
    # One key only: safetensors writes several in an order that changes, and the digest with it.
    save_file(tensors, side / WEIGHTS, {_CONFIG_KEY: sha256_file(side / CONFIG)})


def _metadata(data: bytes) -> dict[str, str]:
    """The header's metadata of a safetensors file: a length of 8 bytes, little-endian, then JSON."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return dict(header.get("__metadata__", {}))


def _rank(key: str, tensor: Any) -> int:
    """The rank that a tensor's name and shape tell; 0 when it is no LoRA matrix."""
    if tensor.ndim != 2 or not key.endswith(".weight"):
        return 0
    return int(tensor.shape[0] if ".lora_A." in key else tensor.shape[1] if ".lora_B." in key else 0)


def _manifest_problem(manifest: Any) -> str | None:
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        return f"is not of format {_FORMAT}"
    files, base = manifest.get("files"), manifest.get("base")
    if not isinstance(files, dict) or set(files) != {WEIGHTS, CONFIG}:
        return f"files must be {WEIGHTS} and {CONFIG}"
    if not isinstance(base, dict) or not {"name", "digest"} <= set(base):
        return "base must have a name and a digest"
    for key, kind in {"name": str, "rank": int, "prompt_version": str, "clusters": str}.items():
        if not isinstance(manifest.get(key), kind):
            return f"{key} is missing or of a wrong kind"
    if not str(manifest["name"]).replace("-", "").replace("_", "").isalnum():
        return "name may hold letters, digits, - and _ only"
    if manifest["name"] in _RESERVED:
        return f"name {manifest['name']} means something else already"
    if not 1 <= int(manifest["rank"]) <= RANK_MAX:
        return f"rank {manifest['rank']} is not within 1 and {RANK_MAX}"
    return None


def _config_problem(config: Any, rank: int) -> str | None:
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        return "is not a LoRA configuration"
    if config.get("r") != rank:
        return f"r is {config.get('r')}, the manifest says {rank}"
    if config.get("bias", "none") != "none" or config.get("modules_to_save") or config.get("lora_bias"):
        return "an adapter may not carry biases or whole modules"
    foreign = sorted(key for key, value in config.items() if value and key not in _KNOWN)
    if foreign:
        return f"asks for {', '.join(foreign)}, which is not served"
    return None


def check_targets(bundle: AdapterBundle, allowed: Sequence[str]) -> None:
    """Checks that a bundle adapts only modules that the base model's table entry names.

    Raises:
        BundleError: it adapts another one.
    """
    wanted = set(bundle.config().get("target_modules") or ())
    foreign = sorted(wanted - set(allowed))
    if foreign or not wanted:
        raise BundleError(f"{bundle.name}: adapts {', '.join(foreign) or 'nothing'}; allowed are {', '.join(allowed)}")

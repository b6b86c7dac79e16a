"""The adapter bundle: a folder that plain peft can read, and a manifest that binds its files.

    adapter_model.safetensors   the LoRA weights; its header holds the configuration's digest
    adapter_config.json         peft's configuration
    manifest.json               digests of both, of base, data, clusters and prompt; loss history

A bundle is written to a side folder, the manifest last, and renamed; it is named by its manifest's
digest and never changes. The weights' digest stands for the whole adapter: the same tensors at another
scale are another file.

Each file is read once, and nothing looks at it before its digest was checked. The tensors are views of the
bytes that were hashed: what was verified is what is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radimpress.reports.errors import BundleError, DigestError, NotFoundError
from radimpress.reports.files import canonical, sha256_file, write_json

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
MANIFEST = "manifest.json"
CONFIG_KEY = "adapter_config_sha256"
RANK_MAX = 64
# Far above what training gives, and so low that whatever a model of some billion parameters makes of it stays
# within float32.
WEIGHT_MAX = 100.0
ALPHA_MAX = 1000.0
# What peft writes into every configuration, and the few choices that an adapter has.
_KNOWN = {
    *("base_model_name_or_path", "bias", "inference_mode", "init_lora_weights", "lora_alpha", "lora_dropout"),
    *("megatron_core", "peft_type", "peft_version", "qalora_group_size", "r", "revision", "target_modules"),
    *("task_type", "use_rslora"),
}
# Ways of beginning that leave the base model as it is; the others (PiSSA, OLoRA, ...) change its weights, and
# their adapters belong to the changed ones.
_BEGINNINGS = ("eva", "gaussian", "orthogonal")
_TASKS = ("CAUSAL_LM", None)
_FORMAT = 1
_NAME_MAX = 128
_KEY_MAX = 256
_BYTES_MAX = {WEIGHTS: 1 << 30, CONFIG: 1 << 20, MANIFEST: 1 << 24}
_HEADER_MAX = 1 << 24
_RESERVED = {"base", "base-few-shot", "constant", "copy", "lead-1", "nearest"}
# Those that peft writes: safetensors' name, torch's, and bytes of a value.
_TYPES = {"F32": ("float32", 4), "F16": ("float16", 2), "BF16": ("bfloat16", 2)}


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a bundle, all of it checked.

    Attributes:
        config: peft's configuration.
        tensors: LoRA matrices of the manifest's rank, by name.
    """

    config: dict[str, Any]
    tensors: dict[str, Any]

    @property
    def targets(self) -> frozenset[str]:
        """The modules that it adapts."""
        return frozenset(self.config["target_modules"])

    @property
    def scale(self) -> float:
        """What the product of its matrices is multiplied by."""
        rank = self.config["r"]
        return float(self.config["lora_alpha"] / (rank**0.5 if self.config.get("use_rslora") else rank))


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

    def read(self, base_digest: str, allowed: Sequence[str] | None = None) -> Contents:
        """Reads each file once and checks everything that can be checked without the base model in memory.

        Args:
            base_digest: of the base model that it will be served on.
            allowed: the modules that may be adapted; None where no table tells.

        Raises:
            DigestError: a file is not the manifest's.
            BundleError: broken, or of another base model, or of other modules.
        """
        self.check_base(base_digest)
        config = self.config()
        _check_targets(self.name, config, allowed)
        return Contents(config, self.weights())

    def verify(self, base_digest: str) -> None:
        """Checks what `read` checks.

        Raises:
            DigestError: a file is not the manifest's.
            BundleError: broken, or of another base model.
        """
        self.read(base_digest)

    def config(self) -> dict[str, Any]:
        """peft's configuration, checked against the manifest.

        Raises:
            DigestError: the file is not the manifest's.
            BundleError: it asks for more than an adapter may.
        """
        config = _json(self._read(CONFIG), f"{self.name}: {CONFIG}")
        problem = _config_problem(config, self.rank)
        if problem:
            raise BundleError(f"{self.name}: {CONFIG}: {problem}")
        return dict(config)

    def weights(self) -> dict[str, Any]:
        """The tensors by name, views of the very bytes whose digest was checked.

        Raises:
            DigestError: the file is not the manifest's.
            BundleError: not safetensors, no LoRA matrices, values that cannot be, or it does nothing.
        """
        data = self._read(WEIGHTS)
        try:
            return _tensors(data, self.rank, self.manifest["files"][CONFIG])
        except ValueError as problem:
            raise BundleError(f"{self.name}: {WEIGHTS}: {problem}") from None

    def check_base(self, base_digest: str) -> None:
        """Checks the base model that the adapter was fitted on.

        Raises:
            BundleError: it is another one.
        """
        if self.base_digest != base_digest:
            raise BundleError(f"{self.name}: fitted on base {self.base_digest[:12]}, not on {base_digest[:12]}")

    def _read(self, name: str) -> bytearray:
        data = _plain(self.path / name, self.name)
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
    try:
        found = (path / MANIFEST).is_file()
    except OSError:
        found = False
    if not found:
        raise NotFoundError(f"{path.name}: no adapter bundle there ({MANIFEST} is missing)")
    manifest = _json(_plain(path / MANIFEST, path.name), f"{path.name}/{MANIFEST}")
    problem = _manifest_problem(manifest)
    if problem:
        raise BundleError(f"{path.name}/{MANIFEST}: {problem}")
    return AdapterBundle(path, manifest)


def write_bundle(side: Path, into: Path, manifest: dict[str, Any]) -> AdapterBundle:
    """Turns the folder `side`, as peft saved it, into the bundle `into/<name>/<manifest's digest>`.

    `manifest` gives everything but the format and the files' digests. The same bundle may be there: it stays, unless
    it is damaged.

    Raises:
        BundleError: the weights are not safetensors.
    """
    for extra in side.iterdir():
        if extra.name not in {WEIGHTS, CONFIG}:
            extra.unlink()
    _bind(side)
    digests = {name: sha256_file(side / name) for name in (WEIGHTS, CONFIG)}
    write_json(side / MANIFEST, {"format": _FORMAT, "files": digests, **manifest})
    digests[MANIFEST] = sha256_file(side / MANIFEST)
    target = into / str(manifest["name"]) / digests[MANIFEST][:16]
    # No report text is in a bundle: whoever serves may read it, whoever fitted it.
    for name in (WEIGHTS, CONFIG, MANIFEST):
        (side / name).chmod(0o644)
        with (side / name).open("rb") as written:
            os.fsync(written.fileno())
    side.chmod(0o755)
    target.parent.mkdir(parents=True, exist_ok=True)
    if all((target / name).is_file() and sha256_file(target / name) == digest for name, digest in digests.items()):
        shutil.rmtree(side)
    else:
        shutil.rmtree(target, ignore_errors=True)
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
    save_file(tensors, side / WEIGHTS, {CONFIG_KEY: sha256_file(side / CONFIG)})


def _plain(path: Path, told: str) -> bytearray:
    """A file's bytes; no link, no pipe, and nothing that fills the memory."""
    try:
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{told}: {path.name} is not a plain file in {path.parent.name}")
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if size > _BYTES_MAX[path.name]:
                raise BundleError(f"{told}: {path.name} has {size} bytes; {_BYTES_MAX[path.name]} are read at most")
            # Not `bytes`: torch wants memory that it could write to.
            data = bytearray(size)
            file.readinto(data)
            return data
    except OSError as error:
        raise BundleError(f"{told}: {path.name} cannot be read ({type(error).__name__})") from None


def _json(data: bytearray, told: str) -> Any:
    try:
        value = json.loads(data)
        # Half a surrogate pair gets through JSON, and then fails whoever writes it down.
        canonical(value)
    except (ValueError, RecursionError):
        raise BundleError(f"{told}: is not JSON") from None
    return value


def _tensors(data: bytearray, rank: int, config_digest: str) -> dict[str, Any]:
    """LoRA matrices as views of a safetensors file: a header's length in 8 bytes, JSON, values without gaps.

    safetensors' own reader copies each tensor; that alone takes longer than everything here.

    Raises:
        ValueError: says what is wrong with it.
    """
    import torch

    start = 8 + int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8:start]) if start <= min(len(data), _HEADER_MAX) else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ValueError("is not safetensors")
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or metadata.get(CONFIG_KEY) != config_digest:
        raise ValueError(f"was fitted with another {CONFIG}")
    if not header:
        raise ValueError("holds no tensor")
    places: list[tuple[str, int, int, int]] = []
    first, end = "", 0
    for key, entry in header.items():
        try:
            (rows, columns), offsets, kind = entry["shape"], entry["data_offsets"], entry["dtype"]
            matrix = _is_matrix(key, rows, columns, rank)
            known = kind in _TYPES and kind == (first := first or kind)
        except (KeyError, TypeError, ValueError):
            matrix = known = False
        if not matrix:
            raise ValueError(f"{key!r:.200} is no LoRA matrix of rank {rank}")
        if not known:
            raise ValueError(f"{key!r:.200} is of type {kind!r:.20}; all must be F32, all F16 or all BF16")
        size = _TYPES[kind][1]
        places.append((key, rows, columns, end // size))
        if offsets != [end, end := end + rows * columns * size]:
            raise ValueError("is not safetensors")
    if end != len(data) - start:
        raise ValueError("is not safetensors")
    values = torch.frombuffer(data, dtype=getattr(torch, _TYPES[first][0]), offset=start)
    low, high = values.aminmax()
    # Not a number is not within any bounds.
    if not -WEIGHT_MAX <= float(low) <= float(high) <= WEIGHT_MAX:
        raise ValueError(f"holds values that are not finite, or beyond {WEIGHT_MAX:g}")
    tensors = {key: values.as_strided((rows, columns), (columns, 1), at) for key, rows, columns, at in places}
    for side in ("lora_A", "lora_B"):
        if not any(bool(tensor.any()) for key, tensor in tensors.items() if side in key):
            raise ValueError(f"does nothing: every {side} is zero")
    return tensors


def _is_matrix(key: str, rows: Any, columns: Any, rank: int) -> bool:
    """Whether name and shape are those of a LoRA matrix, A or B, of this rank."""
    side = rows if key.endswith(".lora_A.weight") else columns if key.endswith(".lora_B.weight") else 0
    # Names are quoted to whoever asks, so that they must be fit to print.
    named = len(key) <= _KEY_MAX and key.isprintable()
    return named and type(rows) is type(columns) is int and side == rank and min(rows, columns) > 0


def _manifest_problem(manifest: Any) -> str | None:
    if not isinstance(manifest, dict) or type(manifest.get("format")) is not int or manifest["format"] != _FORMAT:
        return f"is not of format {_FORMAT}"
    files, base = manifest.get("files"), manifest.get("base")
    if not isinstance(files, dict) or {key: type(value) for key, value in files.items()} != {WEIGHTS: str, CONFIG: str}:
        return f"files must be digests of {WEIGHTS} and {CONFIG}"
    if not isinstance(base, dict) or not all(isinstance(base.get(key), str) for key in ("name", "digest")):
        return "base must have a name and a digest"
    for key, kind in {"name": str, "rank": int, "prompt_version": str, "clusters": str}.items():
        if type(manifest.get(key)) is not kind:
            return f"{key} is missing or of a wrong kind"
    name, rank = manifest["name"], manifest["rank"]
    if len(name) > _NAME_MAX or not name.replace("-", "").replace("_", "").isalnum():
        return f"name may hold letters, digits, - and _ only, {_NAME_MAX} at most"
    if name in _RESERVED:
        return f"name {name} means something else already"
    if not 1 <= rank <= RANK_MAX:
        return f"rank {rank} is not within 1 and {RANK_MAX}"
    return None


def _config_problem(config: Any, rank: int) -> str | None:
    if not isinstance(config, dict) or config.get("peft_type") != "LORA" or config.get("task_type") not in _TASKS:
        return "peft_type and task_type are not LORA and CAUSAL_LM: it is not a LoRA configuration"
    alpha: Any = config.get("lora_alpha")
    r, beginning = config.get("r"), config.get("init_lora_weights", True)
    if type(r) is not int or r != rank:
        return f"r is {r!r:.40}, the manifest says {rank}"
    # Not a number is not within any bounds.
    if type(alpha) not in (int, float) or not 0 < alpha <= ALPHA_MAX:
        return f"lora_alpha is {alpha!r:.40}, not a number above 0 and up to {ALPHA_MAX:g}"
    if not isinstance(config.get("use_rslora", False), bool):
        return "use_rslora is neither true nor false"
    if not isinstance(beginning, bool) and beginning not in _BEGINNINGS:
        return f"init_lora_weights is {beginning!r:.40}, which may have changed the base model"
    if config.get("bias", "none") != "none" or config.get("modules_to_save") or config.get("lora_bias"):
        return "bias, lora_bias or modules_to_save: an adapter may not carry biases or whole modules"
    foreign = sorted(key for key, value in config.items() if key not in _KNOWN and _asks(value))
    if foreign:
        return f"asks for {', '.join(foreign)}, which is not served"
    return None


def _asks(value: Any) -> bool:
    """Whether peft would do something for it; a layer's number may be 0."""
    return value is not None and value is not False and value not in ("", [], {})


def check_targets(bundle: AdapterBundle, allowed: Sequence[str]) -> None:
    """Checks that a bundle adapts only modules that the base model's table entry names.

    Raises:
        BundleError: it adapts another one.
    """
    _check_targets(bundle.name, bundle.config(), allowed)


def _check_targets(name: str, config: dict[str, Any], allowed: Sequence[str] | None) -> None:
    wanted: Any = config.get("target_modules")
    named = isinstance(wanted, list) and wanted and all(isinstance(target, str) for target in wanted)
    if not named or (allowed is not None and not set(wanted) <= set(allowed)):
        told = "it must be a list of names" if allowed is None else f"allowed are {', '.join(allowed)}"
        raise BundleError(f"{name}: {CONFIG}: target_modules is {wanted!r:.200}; {told}")

"""Adapters with one fault each, every one of which must be refused before anything of it reaches the model.

Digests would hide all other faults, since whatever is changed differs from its manifest. So most are signed
anew after the damage, as somebody who means it would, and only the check of what was damaged is left.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from operator import methodcaller
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from radimpress.reports.errors import RadimpressError
from radimpress.reports.files import sha256_file
from radimpress.server.registry import Registry
from radimpress.trainer.bundle import CONFIG, CONFIG_KEY, MANIFEST, RANK_MAX, WEIGHTS, AdapterBundle, open_bundle

Damage = Callable[[Path], object]
Load = Callable[[AdapterBundle], object]
_Header = dict[str, Any]
_NAN, _INFINITY = float("nan"), float("inf")
_FORMAT = "is not safetensors"
_MATRIX = "is no LoRA matrix of rank"
_TYPE = "is of type"
_FIT = "fit the base model's modules"
_LONG = 1 << 32


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an adapter.

    Attributes:
        damage: does it to the folder of a good bundle.
        told: what the refusal must mention.
    """

    damage: Damage
    told: str


Faults = dict[str, Fault]


def missed(load: Load, adapter: AdapterBundle, folder: Path) -> list[str]:
    """What came in, or ended in a foreign error: faults by name, and paths.

    Args:
        load: the door, such as `InProcessEngine.load`.
        adapter: a good one, which must come in.
        folder: for the damaged copies; must not exist.

    Raises:
        RadimpressError: the good one was refused.
    """
    load(adapter)
    through = []
    for name, enter in (
        *((name, partial(refusal, load, adapter, fault)) for name, fault in FAULTS.items()),
        *((f"path {path!r:.80}", partial(path_refusal, path, adapter)) for path in PATHS),
    ):
        try:
            if enter(folder) is None:
                through.append(name)
        except Exception:
            through.append(name)
        finally:
            shutil.rmtree(folder)
    return through


def refusal(load: Load, adapter: AdapterBundle, fault: Fault, folder: Path) -> RadimpressError | None:
    """How a copy of the adapter with a fault is refused; None where it comes in."""
    bundle = folder / "bundle"
    shutil.copytree(adapter.path, bundle)
    fault.damage(bundle)
    try:
        load(open_bundle(bundle))
    except RadimpressError as error:
        return error
    return None


def path_refusal(path: str, adapter: AdapterBundle, folder: Path) -> RadimpressError | None:
    """How the registry refuses one of `PATHS`; None where the good bundle outside of its folder comes in."""
    bundles, outside = folder / "bundles", folder / "outside"
    shutil.copytree(adapter.path, outside)
    bundles.mkdir()
    (bundles / "link").symlink_to(outside)
    registry = Registry(f"sqlite:///{folder / 'registry.db'}", bundles)
    try:
        registry.register(path.format(outside=outside.resolve()), adapter.base_digest)
    except RadimpressError as error:
        return error
    finally:
        registry.close()
    return None


# What can be done to a bundle: behind its manifest's back, or signed.


def _bytes(name: str, change: Callable[[bytes], bytes]) -> Damage:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def _flip(at: int) -> Callable[[bytes], bytes]:
    def flip(data: bytes) -> bytes:
        flipped = bytearray(data)
        flipped[at] ^= 1
        return bytes(flipped)

    return flip


def _edit(name: str, changes: dict[str, Any], gone: str = "") -> Damage:
    """Changes keys of a JSON file, or takes one out."""

    def edit(data: bytes) -> bytes:
        values = {**json.loads(data), **changes}
        values.pop(gone, None)
        return json.dumps(values).encode()

    return _bytes(name, edit)


def _instead(name: str, make: Damage) -> Damage:
    """Something else in a file's place."""

    def replace(folder: Path) -> None:
        (folder / name).rename(folder.parent / name)
        make(folder / name)

    return replace


def _link(path: Path) -> None:
    """A link to the right bytes, which `_instead` moved out of the bundle."""
    path.symlink_to(path.parent.parent / path.name)


def _sparse(path: Path) -> None:
    """A file that is long and takes no room."""
    path.touch()
    os.truncate(path, _LONG)


def _signed(*damages: Damage) -> Damage:
    """Damage that the manifest knows of."""

    def signed(folder: Path) -> None:
        for damage in damages:
            damage(folder)
        _edit(MANIFEST, {"files": {name: sha256_file(folder / name) for name in (WEIGHTS, CONFIG)}})(folder)

    return signed


def _signed_bytes(change: Callable[[bytes], bytes]) -> Damage:
    return _signed(_bytes(WEIGHTS, change))


def _header(change: Callable[[_Header], Any]) -> Damage:
    """Puts what `change` gives in place of the safetensors header, JSON that follows its length in 8 bytes."""

    def replace(data: bytes) -> bytes:
        end = 8 + int.from_bytes(data[:8], "little")
        given = change(json.loads(data[8:end]))
        raw = given if isinstance(given, bytes) else json.dumps(given).encode()
        raw += b" " * (-len(raw) % 8)
        return len(raw).to_bytes(8, "little") + raw + data[end:]

    return _signed_bytes(replace)


def _entry(at: int, **changes: Any) -> Damage:
    """Changes what the header says of one tensor."""

    def change(header: _Header) -> _Header:
        key = [key for key in header if key != "__metadata__"][at]
        return {**header, key: {**header[key], **changes}}

    return _header(change)


def _shifted(by: int) -> Damage:
    """Moves the second tensor's values."""

    def shift(header: _Header) -> _Header:
        key = [key for key in header if key != "__metadata__"][1]
        offsets = [offset + by for offset in header[key]["data_offsets"]]
        return {**header, key: {**header[key], "data_offsets": offsets}}

    return _header(shift)


def _cut(header: _Header) -> _Header:
    """Without its last tensor, whose values stay."""
    header.popitem()
    return header


def _pickle(_: bytes) -> bytes:
    file = BytesIO()
    torch.save({"values": [1.0]}, file)
    return file.getvalue()


def _bound(folder: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors, folder / WEIGHTS, {CONFIG_KEY: sha256_file(folder / CONFIG)})


def _tensors(change: Callable[[dict[str, Tensor]], object]) -> Damage:
    """Changes the tensors by name."""

    def damage(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        _bound(folder, {key: tensor.contiguous() for key, tensor in tensors.items()})

    return _signed(damage)


def _config(damage: Damage) -> Damage:
    """Damages the configuration and binds the weights to it."""
    return _signed(damage, _tensors(lambda _: None))


def _every(part: str, change: Callable[[Tensor], Tensor]) -> Damage:
    """Changes every tensor that has this in its name."""
    return _tensors(lambda all_: all_.update({key: change(one) for key, one in all_.items() if part in key}))


def _first(side: str, change: Callable[[Tensor], Tensor]) -> Damage:
    """Changes one tensor of a side, A or B."""

    def first(tensors: dict[str, Tensor]) -> None:
        key = min(key for key in tensors if f".lora_{side}." in key)
        tensors[key] = change(tensors[key])

    return _tensors(first)


def _value(side: str, value: float) -> Damage:
    """Changes one number of a side."""

    def put(tensor: Tensor) -> Tensor:
        tensor[-1, -1] = value
        return tensor

    return _first(side, put)


def _more(name: str, *shape: int) -> Damage:
    """One tensor more."""
    return _tensors(lambda tensors: tensors.update({name: torch.ones(shape)}))


def _drop(part: str) -> Damage:
    """Without the tensors that have this in their name."""

    def drop(tensors: dict[str, Tensor]) -> None:
        for key in [key for key in tensors if part in key]:
            del tensors[key]

    return _tensors(drop)


def _again(old: str, new: str) -> Damage:
    """The tensors that have this in their name once more, under another."""
    return _tensors(lambda all_: all_.update({k.replace(old, new): one.clone() for k, one in all_.items() if old in k}))


def _disjoint(tensors: dict[str, Tensor]) -> None:
    """B is zero in attention and A is everywhere else, so that every product is."""
    for key, tensor in tensors.items():
        if ("self_attn" in key) == (".lora_B." in key):
            tensor.zero_()


def _of_rank(rank: int) -> Callable[[Tensor], Tensor]:
    """Makes a matrix, whose lower dimension is its rank, one of another."""

    def change(tensor: Tensor) -> Tensor:
        return torch.ones([rank if size == min(tensor.shape) else size for size in tensor.shape])

    return change


def _nested(pair: str) -> bytes:
    return (pair[0] * 100_000 + pair[1] * 100_000).encode()


def _values(name: str, wrong: dict[str, list[Any]], sign: Callable[[Damage], Damage] = lambda damage: damage) -> Faults:
    """Wrong values of a JSON file's keys, one at a time; who refuses one must name its key."""
    return {
        f"{name}: {key} is {value!r:.80}": Fault(sign(_edit(name, {key: value})), key)
        for key, values in wrong.items()
        for value in values
    }


_DIGESTS: Faults = {
    "one bit of the weights' header": Fault(_bytes(WEIGHTS, _flip(20)), f"SHA-256 of {WEIGHTS}"),
    "one bit of the header's length": Fault(_bytes(WEIGHTS, _flip(0)), f"SHA-256 of {WEIGHTS}"),
    "one bit of the weights' values": Fault(_bytes(WEIGHTS, _flip(-1)), f"SHA-256 of {WEIGHTS}"),
    "one bit of the configuration": Fault(_bytes(CONFIG, _flip(-2)), f"SHA-256 of {CONFIG}"),
    **{
        f"{what} of {name}": Fault(_bytes(name, change), f"SHA-256 of {name}")
        for name in (WEIGHTS, CONFIG)
        for what, change in {
            "a byte less": lambda data: data[:-1],
            "half": lambda data: data[: len(data) // 2],
            "a byte more": lambda data: data + b"\0",
            "nothing": lambda _: b"",
        }.items()
    },
    "a manifest with other digests": Fault(
        _edit(MANIFEST, {"files": {WEIGHTS: "0" * 64, CONFIG: "0" * 64}}), "the manifest says 0000"
    ),
    "another alpha, signed by the manifest alone": Fault(
        _signed(_edit(CONFIG, {"lora_alpha": 3})), f"another {CONFIG}"
    ),
    "weights bound to another configuration": Fault(
        _header(lambda header: {**header, "__metadata__": {CONFIG_KEY: "0" * 64}}), f"another {CONFIG}"
    ),
    "weights bound to no configuration": Fault(_header(lambda header: {**header, "__metadata__": {}}), CONFIG),
    "weights bound to a list": Fault(_header(lambda header: {**header, "__metadata__": [CONFIG_KEY]}), WEIGHTS),
}

_FILES: Faults = {
    f"{what} for {name}": Fault(_instead(name, make), name)
    for name in (WEIGHTS, CONFIG, MANIFEST)
    for what, make in {
        "nothing at all": lambda _: None,
        "a link": _link,
        "a folder": Path.mkdir,
        "a pipe": os.mkfifo,
        "four gibibytes": _sparse,
    }.items()
}

_FORMATS: Faults = {
    "a pickle": Fault(_signed_bytes(_pickle), _FORMAT),
    "text for weights": Fault(_signed_bytes(lambda _: b"These are no weights."), _FORMAT),
    "no byte, signed": Fault(_signed_bytes(lambda _: b""), _FORMAT),
    "seven bytes, signed": Fault(_signed_bytes(lambda data: data[:7]), _FORMAT),
    "half of the weights, signed": Fault(_signed_bytes(lambda data: data[: len(data) // 2]), _FORMAT),
    "four bytes less, signed": Fault(_signed_bytes(lambda data: data[:-4]), _FORMAT),
    "a byte more, signed": Fault(_signed_bytes(lambda data: data + b"\0"), _FORMAT),
    "eight bytes more, signed": Fault(_signed_bytes(lambda data: data + b"\0" * 8), _FORMAT),
    "a header longer than any file": Fault(_signed_bytes(lambda data: b"\xff" * 8 + data[8:]), _FORMAT),
    "a header of no byte": Fault(_signed_bytes(lambda data: b"\0" * 8 + data[8:]), _FORMAT),
    "a header that is not JSON": Fault(_header(lambda _: b"{'a': 1}"), _FORMAT),
    "a header that is not UTF-8": Fault(_header(lambda _: b'{"\xff\xfe": {}}'), _FORMAT),
    "a header that is a list": Fault(_header(list), _FORMAT),
    "a header of brackets": Fault(_header(lambda _: _nested("[]")), _FORMAT),
    "a header with a number of many digits": Fault(_header(lambda _: b'{"a": ' + b"9" * 10_000 + b"}"), _FORMAT),
    "a header of many spaces": Fault(_header(lambda header: json.dumps(header).encode() + b" " * (1 << 24)), _FORMAT),
    "a header that names no tensor": Fault(_header(lambda _: {}), WEIGHTS),
    "a header that leaves values out": Fault(_header(_cut), _FORMAT),
    "a tensor that is a number": Fault(_header(lambda header: {**header, "more": 1}), _MATRIX),
    "no type": Fault(_entry(0, dtype=None), _TYPE),
    "an unknown type": Fault(_entry(0, dtype="F7"), _TYPE),
    "no shape": Fault(_entry(0, shape=None), _MATRIX),
    "a shape of text": Fault(_entry(0, shape=["2", "64"]), _MATRIX),
    "a shape of fractions": Fault(_entry(0, shape=[2.5, 64.5]), _MATRIX),
    "a shape below zero": Fault(_entry(0, shape=[-2, -64]), _MATRIX),
    "a shape without end": Fault(_entry(0, shape=[_LONG, _LONG]), _MATRIX),
    "offsets of text": Fault(_entry(0, data_offsets=["0", "8"]), _FORMAT),
    "one offset": Fault(_entry(0, data_offsets=[0]), _FORMAT),
    "offsets below zero": Fault(_entry(0, data_offsets=[-8, 0]), _FORMAT),
    "offsets beyond the file": Fault(_entry(-1, data_offsets=[0, _LONG]), _FORMAT),
    "tensors that overlap": Fault(_shifted(-8), _FORMAT),
    "a gap between tensors": Fault(_shifted(8), _FORMAT),
}

_TYPES: Faults = {
    **{
        f"tensors of {dtype}": Fault(_every("lora_", methodcaller("to", dtype)), _TYPE)
        for dtype in (torch.int8, torch.int64, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn)
    },
    "tensors of float64": Fault(_every("lora_", Tensor.double), _TYPE),
    "float64 beyond float32": Fault(_every("lora_", lambda tensor: tensor.double() * 1e300), _TYPE),
    "tensors of two types": Fault(_first("A", Tensor.bfloat16), _TYPE),
}

_NUMBERS: Faults = {
    **{
        f"{value} in {side}": Fault(_value(side, value), "not finite")
        for side in "AB"
        for value in (_NAN, _INFINITY, -_INFINITY)
    },
    **{f"{value} in {side}": Fault(_value(side, value), "beyond") for side in "AB" for value in (3e38, -1e30, 101)},
    "products beyond float32": Fault(_every("lora_", lambda tensor: tensor * 1e25), "beyond"),
    "squares of products beyond float32": Fault(_every("lora_", lambda tensor: tensor * 1e10), "beyond"),
    "what follows from them beyond float32": Fault(_every("lora_", lambda tensor: tensor * 1e4), "beyond"),
    "every B zero": Fault(_every("lora_B", torch.zeros_like), "does nothing"),
    "every A zero": Fault(_every("lora_A", torch.zeros_like), "does nothing"),
    "everything zero": Fault(_every("lora_", torch.zeros_like), "does nothing"),
    "every product zero": Fault(_tensors(_disjoint), "as it does without"),
    "products too small to change an answer": Fault(
        _every("lora_", lambda tensor: tensor * 1e-9), "as it does without"
    ),
    "products that vanish": Fault(_every("lora_", lambda tensor: tensor * 1e-30), "as it does without"),
}

_MODULES: Faults = {
    "a layer less": Fault(_drop(".layers.0."), _FIT),
    "a matrix less": Fault(_drop(".layers.0.self_attn.o_proj.lora_B."), _FIT),
    "a module less": Fault(_drop(".o_proj."), _FIT),
    "no B": Fault(_drop(".lora_B."), "does nothing"),
    "a layer more": Fault(_again(".layers.0.", ".layers.999."), _FIT),
    "a layer of another number": Fault(_again(".layers.0.", ".layers.00."), _FIT),
    "a layer below zero": Fault(_again(".layers.0.", ".layers.-1."), _FIT),
    "another adapter's name in the tensors'": Fault(_again(".lora_A.", ".lora_A.default."), _MATRIX),
    "half a character in a tensor's name": Fault(
        _header(lambda header: {key.replace(".0.", ".\ud800."): entry for key, entry in header.items()}), _MATRIX
    ),
    "a line break in a tensor's name": Fault(_again(".layers.0.", ".layers.0\n."), _MATRIX),
    "a tensor's name of ten thousand letters": Fault(_again(".layers.0.", f".{'a' * 10_000}."), _MATRIX),
    "embeddings": Fault(_more("base_model.model.model.embed_tokens.lora_embedding_A", 8, 64), "embed_tokens"),
    "a head": Fault(_again("model.layers.0.self_attn.o_proj", "lm_head"), _FIT),
    "a whole head": Fault(_more("base_model.model.lm_head.weight", 8, 8), "lm_head"),
    "a norm": Fault(_more("base_model.model.model.norm.weight", 64), "norm"),
    "DoRA's magnitudes": Fault(
        _more("base_model.model.model.layers.0.self_attn.o_proj.lora_magnitude_vector.weight", 64), "magnitude"
    ),
    "a bias": Fault(_more("base_model.model.model.layers.0.self_attn.o_proj.lora_B.bias", 64), "bias"),
    "A without dimensions": Fault(_first("A", lambda tensor: tensor[0, 0]), "lora_A"),
    "A with one dimension": Fault(_first("A", torch.flatten), "lora_A"),
    "A with three dimensions": Fault(_first("A", lambda tensor: tensor[None]), "lora_A"),
    "A turned": Fault(_first("A", torch.t), "lora_A"),
    "B turned": Fault(_first("B", torch.t), "lora_B"),
    "A too wide": Fault(_first("A", lambda tensor: torch.cat([tensor, tensor], 1)), _FIT),
    "A too narrow": Fault(_first("A", lambda tensor: tensor[:, 1:]), _FIT),
    "B too wide": Fault(_first("B", lambda tensor: torch.cat([tensor, tensor])), _FIT),
    "A of no width": Fault(_first("A", lambda tensor: tensor[:, :0]), "lora_A"),
    "one A of another rank": Fault(_first("A", _of_rank(7)), "rank"),
    "one B of another rank": Fault(_first("B", _of_rank(7)), "rank"),
    "tensors of another rank": Fault(_every("lora_", _of_rank(7)), "rank"),
    **{
        f"rank {rank} throughout": Fault(
            _signed(
                _config(_edit(CONFIG, {"r": rank})), _every("lora_", _of_rank(rank)), _edit(MANIFEST, {"rank": rank})
            ),
            "rank",
        )
        for rank in (0, RANK_MAX + 1)
    },
}

_CONFIGS: Faults = {
    "a configuration that is not JSON": Fault(_config(_bytes(CONFIG, lambda _: b"r = 8")), CONFIG),
    "a configuration that is not UTF-8": Fault(_config(_bytes(CONFIG, lambda _: b'{"r": "\xff"}')), CONFIG),
    "a configuration of brackets": Fault(_config(_bytes(CONFIG, lambda _: _nested("[]"))), CONFIG),
    "a configuration that is a list": Fault(_config(_bytes(CONFIG, lambda _: b"[]")), CONFIG),
    "a configuration with half a character": Fault(_config(_edit(CONFIG, {"target_modules": ["\ud800"]})), CONFIG),
    "an alpha too small to change an answer": Fault(
        _config(_edit(CONFIG, {"lora_alpha": 1e-30})), "as it does without"
    ),
    "a configuration that is null": Fault(_config(_bytes(CONFIG, lambda _: b"null")), CONFIG),
    "an alpha of many digits": Fault(
        _config(_bytes(CONFIG, lambda data: data[:-1] + b', "lora_alpha": 1' + b"0" * 400 + b"}")), "lora_alpha"
    ),
    **{
        f"a configuration without {key}": Fault(_config(_edit(CONFIG, {}, key)), key)
        for key in ("peft_type", "r", "lora_alpha", "target_modules")
    },
    **_values(
        CONFIG,
        {
            "peft_type": ["IA3", "LOHA", None, ["LORA"]],
            "task_type": ["SEQ_CLS", 1],
            "r": [None, 0, 7, 65, True, "2", 2.5, [2], _NAN],
            "lora_alpha": [None, 0, -16, 1001, 1e30, _NAN, _INFINITY, "16", True, [16], {}],
            "target_modules": [
                *(None, [], "o_proj", "all-linear", {"o_proj": 1}, 3, True, [["o_proj"]], [None], ["o_proj", 1]),
                *([""], ["lm_head"], ["o_proj", "embed_tokens"]),
            ],
            "use_rslora": ["false", 1, None],
            "init_lora_weights": ["pissa", "pissa_niter_4", "olora", "loftq", "corda", "lora_ga", None, 1, []],
            "bias": ["all", "lora_only", True, None],
            "lora_bias": [True],
            "modules_to_save": [["lm_head"], "lm_head"],
            "layers_to_transform": [[0], 0, [99]],
            "layers_pattern": ["layers"],
            "layer_replication": [[[0, 2], [0, 2]]],
            "rank_pattern": [{"o_proj": 4}, 0],
            "alpha_pattern": [{"o_proj": 64}],
            "exclude_modules": [["o_proj"]],
            "target_parameters": [["lm_head.weight"]],
            "trainable_token_indices": [[1, 2]],
            "alora_invocation_tokens": [[1]],
            "megatron_config": [{"a": 1}],
            "fan_in_fan_out": [True],
            "use_dora": [True],
            "use_qalora": [True],
            "no_such_key": [1],
        },
        _config,
    ),
    "fewer target modules than tensors": Fault(_config(_edit(CONFIG, {"target_modules": ["o_proj"]})), _FIT),
}

_MANIFESTS: Faults = {
    "a manifest that is empty": Fault(_bytes(MANIFEST, lambda _: b""), MANIFEST),
    "a manifest that is not JSON": Fault(_bytes(MANIFEST, lambda _: b"name: unified"), MANIFEST),
    "a manifest that is not UTF-8": Fault(_bytes(MANIFEST, lambda _: b'{"name": "\xff"}'), MANIFEST),
    "a manifest of brackets": Fault(_bytes(MANIFEST, lambda _: _nested("[]")), MANIFEST),
    "a manifest with half a character": Fault(
        _edit(MANIFEST, {"base": {"name": "\ud800", "digest": "f" * 64}}), MANIFEST
    ),
    "a manifest that is a list": Fault(_bytes(MANIFEST, lambda _: b"[]"), MANIFEST),
    **{
        f"a manifest without {key}": Fault(_edit(MANIFEST, {}, key), key)
        for key in ("format", "files", "base", "name", "rank", "prompt_version", "clusters")
    },
    **_values(
        MANIFEST,
        {
            "format": [2, "1", True, 1.0, None],
            "name": ["", "a/b", "../up", "a\nb", "base", None, 1, ["unified"], "a" * 300],
            "rank": [0, -1, RANK_MAX + 1, "2", 2.0, True, None],
            "base": [
                *(None, [], {}, {"name": "tiny"}, {"digest": "f" * 64}),
                *({"name": 1, "digest": "f" * 64}, {"name": "tiny", "digest": None}),
            ],
            "files": [
                *(None, [], {}, [WEIGHTS, CONFIG], {WEIGHTS: "0" * 64}),
                *({WEIGHTS: value, CONFIG: value} for value in (None, 0, True, ["0" * 64])),
                {WEIGHTS: "0" * 64, CONFIG: "0" * 64, "../more": "0" * 64},
                {"adapter_model.bin": "0" * 64, CONFIG: "0" * 64},
            ],
            "clusters": [1],
            "prompt_version": [1],
        },
    ),
    "another base model": Fault(_edit(MANIFEST, {"base": {"name": "other", "digest": "f" * 64}}), "fitted on base"),
    "another rank in the manifest": Fault(_edit(MANIFEST, {"rank": 7}), "the manifest says 7"),
}

# Every fault, by what is wrong.
FAULTS: Faults = _DIGESTS | _FILES | _FORMATS | _TYPES | _NUMBERS | _MODULES | _CONFIGS | _MANIFESTS

# Paths to a good bundle that lies outside of the registry's folder, or to none; a link leads to it from inside.
PATHS = (
    *("", ".", "..", "../outside", "{outside}", "link", "x/../../outside", "../bundles/link", "../outside\0"),
    *("x" * 300, "x" * 600),
)

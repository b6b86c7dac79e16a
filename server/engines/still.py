"""The still adapter: matrices that are zero, under which a server of many adapters is asked for the base model alone.

vLLM's CPU build (0.32) answers a request for the base model with the adapter in its last slot, once every slot was
taken and another adapter's request stands in the same batch. A request for an adapter always gets that adapter, and
this one changes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from radimpress.reports.errors import ConfigError
from radimpress.reports.files import digest_of, sha256_file
from radimpress.trainer.bundle import CONFIG, WEIGHTS, AdapterBundle

FOLDER = ".still"


def still_adapter(bundles: Path, base_digest: str, modules: Mapping[str, tuple[int, int]]) -> AdapterBundle:
    """The base model's still adapter, in the folder of bundles; made where it is not there yet.

    Args:
        bundles: the folder that is shared with the server.
        base_digest: over the base model's files.
        modules: of the base model, name -> width of what goes in and of what comes out.

    Raises:
        ConfigError: it is not there and cannot be made, or is not what it should be.
    """
    import torch
    from safetensors.torch import save

    target = next(iter(modules)).rpartition(".")[2]
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 1,
        "lora_alpha": 1,
        "bias": "none",
        "target_modules": [target],
        "inference_mode": True,
    }
    tensors = {}
    for name, (inputs, outputs) in modules.items():
        if name.rpartition(".")[2] == target:
            tensors[f"base_model.model.{name}.lora_A.weight"] = torch.zeros(1, inputs)
            tensors[f"base_model.model.{name}.lora_B.weight"] = torch.zeros(outputs, 1)
    # Its name is a digest as others' are; of no two base models alike, whatever their shape.
    digest = digest_of(["still", base_digest, config])
    folder = bundles / FOLDER / digest
    files = {WEIGHTS: save(tensors), CONFIG: json.dumps(config, sort_keys=True).encode()}
    for file, data in files.items():
        _put(folder / file, data)
    return AdapterBundle(folder, {"name": "still", "files": {WEIGHTS: digest, CONFIG: sha256_file(folder / CONFIG)}})


def _put(path: Path, data: bytes) -> None:
    try:
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            side = path.with_name(f".{path.name}.{os.getpid()}")
            side.write_bytes(data)
            # vLLM may be another user.
            for one, mode in ((side, 0o644), (path.parent, 0o755), (path.parent.parent, 0o755)):
                one.chmod(mode)
            side.replace(path)
        found = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path.parent}: must be made once where the folder of bundles can be written ({type(error).__name__})"
        ) from None
    if found != data:
        raise ConfigError(f"{path}: is not what was written there; remove it")

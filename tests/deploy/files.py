"""What the tests of `deploy/` share: where its files are, and the programs that look them over."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from radimpress.server.settings import ServerSettings

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
# Of the same name as settings, but read by others of our parts.
_OTHERS = {"RADIMPRESS_CACHE", "RADIMPRESS_TOKEN"}
_SETTINGS = {f"RADIMPRESS_{name.upper()}": name for name in ServerSettings.model_fields}


def settings_of(environment: Mapping[str, str]) -> ServerSettings:
    """The settings that these variables make; fails on one of ours that is none, and on a value that is refused."""
    ours = {name: value for name, value in environment.items() if name.startswith("RADIMPRESS_")}
    assert set(ours) <= set(_SETTINGS) | _OTHERS
    values: dict[str, Any] = {
        _SETTINGS[name]: json.loads(value) if value.startswith("[") else value
        for name, value in ours.items()
        if name in _SETTINGS
    }
    return ServerSettings(**values)


def program(name: str) -> str:
    """A program that a development dependency brings, which lies beside this Python."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is not installed; `make venv` installs it"
    return found


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within a JSON value."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(inner)

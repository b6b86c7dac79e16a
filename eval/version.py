"""Which program judges: its version, and a digest over everything that scores, checks and decides."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable


@cache
def code_version() -> str:
    """The program's version and a digest over the sources of everything that judges."""
    digest = hashlib.sha256()
    root = files("radimpress.eval")
    own = [file for folder in (root, root / "checks", root / "metrics") for file in _sources(folder)]
    # The style that is scored is counted there.
    for file in (*own, *(files("radimpress.clustering") / f"{name}.py" for name in ("features", "written"))):
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return f"{version('radimpress')}+{digest.hexdigest()[:16]}"


def _sources(folder: Traversable) -> list[Traversable]:
    return sorted((file for file in folder.iterdir() if file.name.endswith(".py")), key=lambda file: file.name)

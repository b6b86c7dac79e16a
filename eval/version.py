"""Which program judges: its version, and a digest over everything that scores, checks and decides."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.resources import files


@cache
def code_version() -> str:
    """The program's version and a digest over the sources of everything that judges."""
    digest = hashlib.sha256()
    root = files("radimpress.eval")
    for folder in (root, root / "checks", root / "metrics"):
        for file in sorted(folder.iterdir(), key=lambda one: one.name):
            if file.name.endswith(".py"):
                digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return f"{version('radimpress')}+{digest.hexdigest()[:16]}"

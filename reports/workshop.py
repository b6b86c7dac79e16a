"""Tools of others that a measurement needs, put into a folder of the cache by pip, once."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from radimpress.reports.errors import ConfigError
from radimpress.reports.progress import Track, silent


def made_once(
    folder: Path, commands: Callable[[Path], Sequence[Sequence[str]]], what: str, track: Track = silent
) -> Path:
    """The folder; the first call makes it, which downloads, later ones only look.

    Args:
        folder: whole or absent.
        commands: what makes it where it is told, to be moved to `folder` afterwards.
        what: name and version, for whoever watches or is told of an error.
        track: shows the commands.

    Raises:
        ConfigError: it cannot be made; says what failed.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".side-") as workshop:
        side = Path(workshop) / "made"
        wanted = commands(side)
        for command in track(wanted, f"environment of {what}", len(wanted)):
            done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise ConfigError(f"{what} could not be installed: {last}")
        try:
            side.rename(folder)
        except OSError:
            # Another process was first; its folder is as good.
            if not folder.is_dir():
                raise
    return folder

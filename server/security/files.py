"""Files that may change under a running server."""

from __future__ import annotations

from pathlib import Path

from radimpress.reports.errors import ConfigError, NotFoundError


def stamp(path: Path) -> tuple[int, int, int] | None:
    """What differs once a file was changed or replaced; None where there is none."""
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino


def read_file(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({type(error).__name__})") from None

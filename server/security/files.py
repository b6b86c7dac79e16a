"""Files that a setting names."""

from __future__ import annotations

from pathlib import Path

from radimpress.reports.errors import ConfigError, NotFoundError


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

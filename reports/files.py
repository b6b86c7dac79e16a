"""Files that are whole or absent, and the digests that bind them to each other."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from radimpress.reports.errors import InputError, NotFoundError
from radimpress.reports.report import Modality, Report

_CHUNK = 1 << 20
_PATH_MAX = 512


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def stamp(path: str | Path) -> tuple[int, int, int, int] | None:
    """What differs once a file was changed or replaced; None where there is none."""
    try:
        seen = os.stat(path)  # noqa: PTH116 (on the path of every request)
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size, seen.st_ino


def is_path(text: str) -> bool:
    """Whether somebody else's text can be a path at all."""
    return bool(text) and "\x00" not in text and len(text) <= _PATH_MAX


def within(folder: Path, path: str) -> Path | None:
    """Where a path that somebody else gave leads to; None where that is not inside the folder."""
    if not is_path(path):
        return None
    root = folder.resolve()
    found = (root / path).resolve()
    return found if found != root and found.is_relative_to(root) else None


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spare spaces (RFC 8785 in spirit: equal values, equal bytes)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(value: Any) -> str:
    """SHA-256, in hex, of a value's canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file wholly or not at all: a side file, flushed to disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, side = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(side).replace(path)
    except BaseException:
        Path(side).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON that a person can read, atomically."""
    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        NotFoundError: there is no such file.
        InputError: it is not JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None
    except (ValueError, RecursionError):
        raise InputError(str(path), "is not JSON") from None


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Writes one JSON value a line, atomically."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    write_atomic(path, "".join(lines).encode())


def read_rows(path: Path) -> list[Any]:
    """Reads one JSON value a line.

    Raises:
        NotFoundError: there is no such file.
        InputError: a line is not JSON.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    rows = []
    # Only a line feed ends a line: JSON text may hold U+2028 and its like.
    for number, line in enumerate(path.read_bytes().removesuffix(b"\n").split(b"\n"), start=1):
        try:
            if line:
                rows.append(json.loads(line))
        except (ValueError, RecursionError):
            raise InputError(f"{path}:{number}", "is not JSON") from None
    return rows


def write_reports(path: Path, reports: Iterable[Report]) -> None:
    """Writes reports as JSON lines, atomically."""
    write_rows(path, (asdict(report) for report in reports))


def load_reports(path: Path) -> list[Report]:
    """Reads what `write_reports` wrote; for anybody else's file there is `radimpress.reports.read`."""
    return [report_of(row) for row in read_rows(path)]


def stream_reports(path: Path) -> Iterator[Report]:
    """Yields what `write_reports` wrote, a line at a time."""
    with path.open("rb") as lines:
        for line in lines:
            yield report_of(json.loads(line))


def report_of(row: Mapping[str, Any]) -> Report:
    """A report of its row."""
    return Report(**{**row, "modality": Modality(row["modality"])})

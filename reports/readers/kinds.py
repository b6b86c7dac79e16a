"""Which reader a file is for: by its name where somebody said it, else by what it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from radimpress.reports.errors import ConfigError, InputError, NotFoundError
from radimpress.reports.readers import delimited, fhir, hl7v2, hub, json_lines, openi, parquet, transcription
from radimpress.reports.readers.rows import Row

KINDS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    "jsonl": json_lines.read,
    "csv": delimited.read,
    "parquet": parquet.read,
    "dataset": hub.read,
    "transcription": transcription.read,
    "fhir": fhir.read,
    "hl7": hl7v2.read,
    "openi": openi.read,
}
# What is installed with the extra `reports` alone.
_NEEDS = {"parquet": "pyarrow", "dataset": "datasets", "fhir": "fhir", "hl7": "hl7", "openi": "defusedxml"}
_LOOKED_AT = 1 << 16


def open_rows(path: Path, kind: str = "") -> Iterator[Row]:
    """The rows of a file or a folder, read as it goes.

    Args:
        path: a file, a folder that `datasets` saved, or a folder of Open-i's XML.
        kind: one of KINDS; guessed from the content where it is empty.

    Raises:
        NotFoundError: there is none.
        InputError: no reader knows it, or it is not of its kind.
        ConfigError: what reads it is not installed.
    """
    if not path.exists():
        raise NotFoundError(f"{path}: no such file")
    if kind and kind not in KINDS:
        raise InputError("kind", f"{kind!r} is none of {' '.join(KINDS)}")
    kind = kind or guess_kind(path)
    if kind in _NEEDS and find_spec(_NEEDS[kind]) is None:
        raise ConfigError(f"reading {kind} needs {_NEEDS[kind]}: pip install 'radimpress[reports]'")
    return KINDS[kind](path)


def guess_kind(path: Path) -> str:
    """The kind of a file by its content, the ending only where the content does not tell.

    Raises:
        InputError: no reader knows it.
    """
    if path.is_dir():
        if (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file():
            return "dataset"
        if next(path.glob("*.xml"), None):
            return "openi"
        raise _unknown(path)
    with path.open("rb") as file:
        head = file.read(_LOOKED_AT)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"PAR1"):
        return "parquet"
    if start.lstrip(b"\x0b").startswith((b"MSH|", b"FHS|", b"BHS|")):
        return "hl7"
    if start.startswith(b"<") and b"AbstractText" in head:
        return "openi"
    if start.startswith(b"{"):
        return _json_kind(path, start)
    if path.suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if path.suffix in (".csv", ".tsv", ".tab"):
        columns = {name.strip(' "') for name in start.split(b"\n", 1)[0].decode("latin-1").strip().split(",")}
        return "openi" if columns >= openi.COLUMNS else "csv"
    if path.suffix in (".txt", ".text"):
        return "transcription"
    raise _unknown(path)


def _json_kind(path: Path, start: bytes) -> str:
    first = start.split(b"\n", 1)[0]
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        row = None
    if isinstance(row, dict) and "resourceType" not in row:
        return "transcription" if transcription.TEXT in row and "findings" not in row else "jsonl"
    if b'"resourceType"' in start:
        return "fhir"
    if path.suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    raise _unknown(path)


def _unknown(path: Path) -> InputError:
    return InputError("reports", f"{path.name}: no reader knows it; name one of {' '.join(KINDS)} by `kind`")

"""Reads report files: JSON lines and CSV, by the file's ending.

Does not cover FHIR, HL7, Parquet or whole transcriptions.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from radimpress.reports.errors import InputError, ModalityError, NotFoundError
from radimpress.reports.files import canonical
from radimpress.reports.report import Modality, Report, parse_modality

REQUIRED = ("findings", "impression", "modality")
OPTIONAL = ("exam", "indication", "comparison", "patient", "source")


@dataclass(frozen=True, slots=True)
class Archive:
    """What was read.

    Attributes:
        reports: every readable record, in the files' order.
        unreadable: "file:line: why" of each record that is not.
        clinic_column: where the clinic was taken from.
    """

    reports: tuple[Report, ...]
    unreadable: tuple[str, ...]
    clinic_column: str


def read_archive(paths: Sequence[Path]) -> Archive:
    """Reads one or more files as one archive.

    The columns are findings, impression, modality and clinic; exam, indication, comparison, patient,
    source and id are used where they stand. A file without a clinic column takes `source` for it.
    Modality text that is not known reads as UNSPECIFIED, which the quality funnel counts.

    Raises:
        NotFoundError: a file is not there.
        InputError: a file's kind or columns are not those.
    """
    reports: list[Report] = []
    unreadable: list[str] = []
    clinic_columns: set[str] = set()
    ids: set[str] = set()
    for path in paths:
        columns, rows = _table(path)
        for column in REQUIRED:
            if columns is not None and column not in columns:
                raise InputError(column, f"{path.name} has no such column")
        clinic = "source" if columns is not None and "clinic" not in columns else "clinic"
        if columns is not None and clinic not in columns:
            raise InputError("clinic", f"{path.name} has no such column, and no source column either")
        clinic_columns.add(clinic)
        for line, row in rows:
            where = f"{path.name}:{line}"
            if not isinstance(row, dict):
                unreadable.append(f"{where}: {row}")
                continue
            report = _report(row, clinic, where)
            if report.id in ids:
                unreadable.append(f"{where}: the id stands twice")
                continue
            ids.add(report.id)
            reports.append(report)
    return Archive(tuple(reports), tuple(unreadable), " and ".join(sorted(clinic_columns)))


_Rows = list[tuple[int, dict[str, object] | str]]


def _table(path: Path) -> tuple[Set[str] | None, _Rows]:
    """The columns (None when there is no record to tell), and (line, record or why not) of each."""
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    if path.suffix in {".jsonl", ".ndjson"}:
        rows = list(_json_rows(path))
        return {key for _, row in rows if isinstance(row, dict) for key in row} or None, rows
    if path.suffix == ".csv":
        return _csv_table(path)
    raise InputError("reports", f"{path.name}: only .jsonl, .ndjson and .csv are read")


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, object] | str]]:
    with path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            if not raw.strip():
                continue
            try:
                row = json.loads(raw)
                # JSON can escape half a surrogate pair, which no text file can hold.
                canonical(row)
            except (ValueError, RecursionError):
                yield line, "not JSON"
                continue
            yield line, row if isinstance(row, dict) else "not a JSON object"


def _csv_table(path: Path) -> tuple[Set[str], _Rows]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows: _Rows = []
            for row in reader:
                whole = None not in row and None not in row.values()
                rows.append((reader.line_num, dict(row) if whole else "another number of fields than columns"))
            return set(reader.fieldnames or ()), rows
    except UnicodeDecodeError:
        raise InputError("reports", f"{path.name} is not UTF-8") from None
    except csv.Error as error:
        raise InputError("reports", f"{path.name}: {error}") from None


def _report(row: dict[str, object], clinic: str, where: str) -> Report:
    def text(column: str) -> str:
        value = row.get(column)
        return "" if value is None else str(value).strip()

    try:
        modality = parse_modality(text("modality"))
    except ModalityError:
        modality = Modality.UNSPECIFIED
    return Report(
        id=text("id") or where,
        findings=text("findings"),
        impression=text("impression"),
        modality=modality,
        clinic=text(clinic),
        **{column: text(column) for column in OPTIONAL},
    )

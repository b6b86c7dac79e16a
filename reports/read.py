"""Reads what hospitals have as one stream of reports: files of any kind that a reader knows, column names mapped.

A record that cannot be read is set aside with file, place and reason; it stops nothing and never vanishes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from radimpress.reports.errors import InputError
from radimpress.reports.modality import guess_modality
from radimpress.reports.readers import KINDS, SEVERAL, Row, open_rows
from radimpress.reports.report import Modality, Report

REQUIRED = ("findings", "impression", "modality")
OPTIONAL = ("exam", "indication", "comparison", "patient", "source")
_OWN = (*REQUIRED, "clinic", *OPTIONAL, "id", "study")
# By so many records a file's columns are told.
_LOOKED_AT = 1000
_QUOTED = 40


class Reading(BaseModel):
    """How archives are read; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(default="", description=f"one of {' '.join(KINDS)}; empty guesses from the content")
    columns: dict[str, str] = Field(default={}, description="our column name -> the file's")
    clinic: str = Field(default="", description="the clinic of all reports, where the files do not say")

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str]) -> dict[str, str]:
        for name in columns:
            if name not in _OWN:
                raise ValueError(f"{name} is none of {' '.join(_OWN)}")
        return columns


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no report.

    Attributes:
        where: file and place, as in "r.jsonl:12".
        why: in words that quote nothing of it.
    """

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@dataclass(slots=True)
class Told:
    """What reading found out beside the reports.

    Attributes:
        clinic_columns: where the clinic was taken from.
        modalities: how often a text was read as a modality: (text, modality) -> records. Text that is long is not
            kept, as it may be a report in the wrong field.
        several: records of more than one impression, of which the last was taken.
    """

    clinic_columns: set[str] = field(default_factory=set)
    modalities: Counter[tuple[str, Modality]] = field(default_factory=Counter)
    several: int = 0

    @property
    def clinic_column(self) -> str:
        """The columns, in words."""
        return " and ".join(sorted(self.clinic_columns))


@dataclass(frozen=True, slots=True)
class Archive:
    """What was read, in memory.

    Attributes:
        reports: every readable record, in the files' order.
        unreadable: "file:line: why" of each record that is not.
        clinic_column: where the clinic was taken from.
    """

    reports: tuple[Report, ...]
    unreadable: tuple[str, ...]
    clinic_column: str


def read_archive(paths: Sequence[Path], reading: Reading | None = None) -> Archive:
    """Reads one or more files as one archive, into memory; `stream` reads more than fits.

    Raises:
        NotFoundError: a file is not there.
        InputError: a file's kind or columns are not those.
    """
    told = Told()
    found = list(stream(paths, reading or Reading(), told))
    return Archive(
        tuple(one for one in found if isinstance(one, Report)),
        tuple(str(one) for one in found if isinstance(one, Unreadable)),
        told.clinic_column,
    )


def stream(paths: Sequence[Path], reading: Reading, told: Told) -> Iterator[Report | Unreadable]:
    """Yields one or more files' records as they are read.

    The columns are findings, impression, modality and clinic; exam, indication, comparison, patient, source and
    id are used where they stand, study where there is no patient. A file without a clinic column takes `source` for
    it. Modality text that is not known reads as what the examination's name says, else as UNSPECIFIED, which the
    quality funnel counts. Columns are those of a file's first thousand records.

    Args:
        paths: the files.
        reading: how.
        told: gets what is found out.

    Raises:
        NotFoundError: a file is not there.
        InputError: a file's kind or columns are not those.
    """
    # Digests of 8 bytes: an archive may be of any length.
    ids: set[bytes] = set()
    names = Counter(path.name for path in paths)
    for path in paths:
        # Files of one name, as in a folder a month, are told apart, and so are their records without an id.
        file = path.name if names[path.name] == 1 else str(path)
        rows = open_rows(path, reading.kind)
        first = list(islice(rows, _LOOKED_AT))
        clinic = _clinic_column(path, first, reading)
        told.clinic_columns.add(clinic)
        for place, row in chain(first, rows):
            where = f"{file}:{place}"
            if isinstance(row, str):
                yield Unreadable(where, row)
                continue
            report = _report(row, clinic, where, reading, told)
            name = blake2b(report.id.encode(), digest_size=8).digest()
            if name in ids:
                yield Unreadable(where, "the id stands twice")
                continue
            ids.add(name)
            yield report


def _clinic_column(path: Path, rows: Sequence[Row], reading: Reading) -> str:
    """Where the clinic is, once all that is needed was found to be there."""
    columns = {key for _, row in rows if isinstance(row, dict) for key in row}
    named = reading.columns.get
    if columns:
        for column in REQUIRED:
            if named(column, column) not in columns and not (column == "modality" and named("exam", "exam") in columns):
                raise InputError(column, f"{path.name} has no such column ({named(column, column)})")
    if reading.clinic or not columns or named("clinic", "clinic") in columns:
        return named("clinic", "clinic")
    if "clinic" not in reading.columns and named("source", "source") in columns:
        return named("source", "source")
    raise InputError("clinic", f"{path.name} has no such column, and no source column either")


def _report(row: dict[str, object], clinic: str, where: str, reading: Reading, told: Told) -> Report:
    def text(column: str) -> str:
        value = row.get(reading.columns.get(column, column))
        if value is None:
            return ""
        # Half a surrogate pair is what no file can hold.
        return str(value).strip().encode(errors="replace").decode()

    said = text("modality")
    modality = guess_modality(said, text("exam"))
    told.modalities[(said if len(said) <= _QUOTED else "(long text)", modality)] += 1
    told.several += bool(row.get(SEVERAL))
    own = row.get(clinic)
    return Report(
        id=text("id") or where,
        findings=text("findings"),
        impression=text("impression"),
        modality=modality,
        clinic=("" if own is None else str(own).strip()) or reading.clinic,
        patient=text("patient") or text("study"),
        **{column: text(column) for column in OPTIONAL if column != "patient"},
    )

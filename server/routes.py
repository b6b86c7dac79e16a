"""`RouteTable` and `Route`: which adapter answers which slice, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from radimpress.clustering.cell import ANY, Cell
from radimpress.reports.report import Modality, Report


class Reason(StrEnum):
    """Why an adapter answers; the values are the words people read."""

    CELL = "judged in this slice"
    CLINIC_UNKNOWN = "clinic not known: judged over all clinics of the modality"
    MODALITY_UNSPECIFIED = "no modality stated: base model"
    NOT_JUDGED = "no adapter was shown good enough here: base model"


@dataclass(frozen=True, slots=True)
class AdapterVersion:
    """One registered version of an adapter.

    Attributes:
        name: the adapter's name.
        version: counted from 1.
        digest: SHA-256, in hex, of the weights file.
        base_name: the base model it was fitted on.
        base_digest: SHA-256 over the base model's files.
        rank: of the LoRA matrices.
        path: of the bundle, relative to the bundle folder.
        manifest_digest: SHA-256, in hex, of manifest.json.
        created: when it was registered.
    """

    name: str
    version: int
    digest: str
    base_name: str
    base_digest: str
    rank: int
    path: str
    manifest_digest: str
    created: datetime

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One slice's adapter, the certificate that allowed it, and the waiver, where a person opened the slice."""

    adapter: AdapterVersion
    certificate_digest: str
    waiver: str = ""


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Who serves what; immutable, numbered.

    Attributes:
        number: counted from 1.
        entries: slice -> adapter; a slice that is not here is served by the base model.
        clinics: clinic -> cluster, as they were when the table was made.
        clusters_digest: over `clinics`.
        cause: what made it.
        created: when.
    """

    number: int
    entries: Mapping[Cell, Entry]
    clinics: Mapping[str, str]
    clusters_digest: str
    cause: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Route:
    """The answer to: who writes this impression?

    Attributes:
        adapter: None is the base model.
        cell: the slice.
        reason: why.
        table: the number of the table that said so.
        waiver: in words, where a person opened the slice; empty where the gate passed it.
    """

    adapter: AdapterVersion | None
    cell: Cell
    reason: Reason
    table: int
    waiver: str = ""


def route(report: Report, table: RouteTable) -> Route:
    """Looks a report's slice up; pure."""
    cluster = table.clinics.get(report.clinic)
    cell = Cell(report.modality, cluster or ANY)
    if report.modality is Modality.UNSPECIFIED:
        return Route(None, cell, Reason.MODALITY_UNSPECIFIED, table.number)
    entry = table.entries.get(cell)
    if entry is None:
        return Route(None, cell, Reason.NOT_JUDGED, table.number)
    reason = Reason.CELL if cluster else Reason.CLINIC_UNKNOWN
    return Route(entry.adapter, cell, reason, table.number, entry.waiver)

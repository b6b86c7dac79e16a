"""`RouteTable` and `Route`: which adapter answers which slice, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from radimpress.clustering.cell import ANY, Cell
from radimpress.eval.predict import BASE
from radimpress.reports.errors import InputError
from radimpress.reports.report import Modality, Report

_DIGITS = 12


class Reason(StrEnum):
    """Why an adapter answers; the values are the words people read."""

    CELL = "judged in this slice"
    CLINIC_UNKNOWN = "clinic not known: judged over all clinics of the modality"
    MODALITY_UNSPECIFIED = "no modality stated: base model"
    NOT_JUDGED = "no adapter was shown good enough here: base model"
    CANARY = "on trial in this slice, and the request fell to it"
    FINDINGS_SHORT = "findings shorter than any that adapters learnt from: base model"
    LANGUAGE = "findings in a language that adapters did not learn: base model"


class Arm(StrEnum):
    """On which side of a trial an answer stands; INCUMBENT where there is no trial too."""

    INCUMBENT = "incumbent"
    CANARY = "canary"
    SHADOW = "shadow"
    # The input policy kept the report from every adapter: no trial could have had it, so none is held against it.
    OUTSIDE = "outside"


class TrialKind(StrEnum):
    """What becomes of what an adapter on trial writes: a canary's is the answer, a shadow's is thrown away."""

    CANARY = "canary"
    SHADOW = "shadow"


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
        retired: when it was taken out of service for good; None while it may serve.
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
    retired: datetime | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """How an adapter is tried.

    Attributes:
        kind: canary or shadow.
        percent: of the slice's requests, above 0 and up to 100.
        clinics: only requests of these; all when empty.

    Raises:
        InputError: the percentage is none.
    """

    kind: TrialKind
    percent: float = 100.0
    clinics: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0 < self.percent <= 100:
            raise InputError("trial.percent", f"{self.percent:g} is not above 0 and up to 100")

    def __str__(self) -> str:
        of = f" of {', '.join(sorted(self.clinics))}" if self.clinics else ""
        return f"{self.kind} {self.percent:g}%{of}"


@dataclass(frozen=True, slots=True)
class Trial:
    """An adapter that is tried in a slice beside what serves it.

    Attributes:
        adapter: who.
        certificate_digest: of the certificate that allowed it.
        plan: how.
        since: number of the route table that it began with; a trial that is only widened keeps it.
        waiver: in words, where a person opened the slice.
    """

    adapter: AdapterVersion
    certificate_digest: str
    plan: TrialPlan
    since: int
    waiver: str = ""

    def __str__(self) -> str:
        return f"{self.adapter} {self.plan}"


@dataclass(frozen=True, slots=True)
class Entry:
    """Who serves a slice.

    Attributes:
        adapter: None is the base model, which stands here only where something is on trial.
        certificate_digest: of the certificate that allowed it; empty for the base model.
        waiver: in words, where a person opened the slice.
        trial: what is on trial here.
    """

    adapter: AdapterVersion | None
    certificate_digest: str = ""
    waiver: str = ""
    trial: Trial | None = None

    @property
    def serving(self) -> str:
        """Who serves, in words: "unified@1" or "base"."""
        return str(self.adapter or BASE)

    def serves(self, adapter: AdapterVersion) -> bool:
        """Whether this very version serves."""
        return self.adapter is not None and self.adapter.digest == adapter.digest

    def tries(self, adapter: AdapterVersion) -> bool:
        """Whether this very version is on trial."""
        return self.trial is not None and self.trial.adapter.digest == adapter.digest


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

    def entry(self, cell: Cell) -> Entry:
        """Who serves a slice; the base model where nobody else does."""
        return self.entries.get(cell, Entry(None))


@dataclass(frozen=True, slots=True)
class Route:
    """The answer to: who writes this impression?

    Attributes:
        adapter: None is the base model.
        cell: the slice.
        reason: why.
        table: the number of the table that said so.
        waiver: in words, where a person opened the slice; empty where the gate passed it.
        arm: CANARY where the adapter is on trial.
        shadow: an adapter to ask as well, whose answer is thrown away.
    """

    adapter: AdapterVersion | None
    cell: Cell
    reason: Reason
    table: int
    waiver: str = ""
    arm: Arm = Arm.INCUMBENT
    shadow: AdapterVersion | None = None


def route(report: Report, table: RouteTable, request_id: str = "", outside: Reason | None = None) -> Route:
    """Looks a report's slice up; pure.

    Args:
        report: of it only clinic, modality and id are looked at.
        table: the routes.
        request_id: decides on which side of a trial the request falls; the report's id when empty. With
            neither it falls to what serves.
        outside: why the input policy keeps the report from every adapter; None where it does not.
    """
    cluster = table.clinics.get(report.clinic)
    cell = Cell(report.modality, cluster or ANY)
    if report.modality is Modality.UNSPECIFIED:
        return Route(None, cell, Reason.MODALITY_UNSPECIFIED, table.number)
    if outside is not None:
        return Route(None, cell, outside, table.number, arm=Arm.OUTSIDE)
    entry = table.entries.get(cell)
    if entry is None:
        return Route(None, cell, Reason.NOT_JUDGED, table.number)
    trial = entry.trial if entry.trial and _falls(report, entry.trial, cell, request_id or report.id) else None
    if trial and trial.plan.kind is TrialKind.CANARY:
        return Route(trial.adapter, cell, Reason.CANARY, table.number, trial.waiver, Arm.CANARY)
    shadow = trial.adapter if trial else None
    if entry.adapter is None:
        return Route(None, cell, Reason.NOT_JUDGED, table.number, shadow=shadow)
    reason = Reason.CELL if cluster else Reason.CLINIC_UNKNOWN
    return Route(entry.adapter, cell, reason, table.number, entry.waiver, shadow=shadow)


def explain(report: Report, table: RouteTable, request_id: str = "", outside: Reason | None = None) -> tuple[str, ...]:
    """The steps that lead to `route`'s answer, in words, first to last; pure, with the same arguments."""
    chosen = route(report, table, request_id, outside)
    entry = table.entries.get(chosen.cell)
    steps = [
        _clinic_step(report.clinic, table),
        f"modality {report.modality}",
        f"slice {chosen.cell} of route table {table.number} ({table.cause})",
    ]
    if chosen.reason not in (Reason.MODALITY_UNSPECIFIED, outside):
        steps.append(_entry_step(entry))
        if entry and entry.trial:
            steps.append(_trial_step(report, entry.trial, chosen.cell, request_id or report.id))
    steps.append(f"answered by {chosen.adapter or BASE}: {chosen.reason}")
    if chosen.shadow:
        steps.append(f"{chosen.shadow} is asked as well and its answer thrown away")
    return tuple(steps)


def bucket(since: int, cell: Cell, request_id: str) -> float:
    """Where a request falls in a trial, from 0 up to 100: the same whenever and on whichever server it is asked.

    Of a trial that is widened those who were in stay in.
    """
    said = f"{since}\n{cell}\n{request_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(said).digest()[:8], "big") / 2**64 * 100


def _falls(report: Report, trial: Trial, cell: Cell, request_id: str) -> bool:
    if not request_id or (trial.plan.clinics and report.clinic not in trial.plan.clinics):
        return False
    return bucket(trial.since, cell, request_id) < trial.plan.percent


def _clinic_step(clinic: str, table: RouteTable) -> str:
    if cluster := table.clinics.get(clinic):
        return f"clinic {clinic!r} is of cluster {cluster!r}"
    return f"clinic {clinic!r} is of no cluster: all clinics together" if clinic else "no clinic: all clinics together"


def _entry_step(entry: Entry | None) -> str:
    if entry is None or entry.adapter is None:
        return f"{BASE} serves it: no adapter was shown good enough here"
    waived = f", {entry.waiver}" if entry.waiver else ""
    return f"{entry.adapter} serves it, by certificate {entry.certificate_digest[:_DIGITS]}{waived}"


def _trial_step(report: Report, trial: Trial, cell: Cell, request_id: str) -> str:
    told = f"on trial since table {trial.since}: {trial}"
    if trial.plan.clinics and report.clinic not in trial.plan.clinics:
        return f"{told}; this clinic takes no part"
    if not request_id:
        return f"{told}; without a request id nothing falls to it"
    place = bucket(trial.since, cell, request_id)
    return f"{told}; the request falls at {place:.2f} of 100: {'in' if place < trial.plan.percent else 'not in'}"

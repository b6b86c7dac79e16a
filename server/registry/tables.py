"""The rows of the registry, and the values that they hold. `migrations/` makes their tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from radimpress.clustering.cell import Cell
from radimpress.eval.waiver import read_waiver
from radimpress.reports.errors import DamageError, NotFoundError
from radimpress.reports.files import canonical, digest_of
from radimpress.reports.report import Modality
from radimpress.server.routes import AdapterVersion, Entry, RouteTable, Trial, TrialKind, TrialPlan


class Base(DeclarativeBase):
    """Base of all rows."""


class AdapterRow(Base):
    """One version of an adapter."""

    __tablename__ = "adapters"
    __table_args__ = (UniqueConstraint("name", "version"),)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), index=True)
    version: Mapped[int]
    base_name: Mapped[str] = mapped_column(String(128))
    base_digest: Mapped[str] = mapped_column(String(64))
    rank: Mapped[int]
    path: Mapped[str]
    manifest_digest: Mapped[str] = mapped_column(String(64))
    created: Mapped[str]
    retired: Mapped[str | None]

    @property
    def value(self) -> AdapterVersion:
        """The adapter."""
        return AdapterVersion(
            self.name,
            self.version,
            self.digest,
            self.base_name,
            self.base_digest,
            self.rank,
            self.path,
            self.manifest_digest,
            datetime.fromisoformat(self.created),
            datetime.fromisoformat(self.retired) if self.retired else None,
        )


class ClustersRow(Base):
    """Who belongs where: clinic -> cluster as JSON."""

    __tablename__ = "clusters"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    clinics: Mapped[str]


class CertificateRow(Base):
    """certificate.json, byte by byte."""

    __tablename__ = "certificates"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    body: Mapped[bytes]


class TableRow(Base):
    """A route table's head."""

    __tablename__ = "route_tables"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    clusters: Mapped[str] = mapped_column(ForeignKey("clusters.digest"))
    cause: Mapped[str]
    created: Mapped[str]


class EntryRow(Base):
    """Who serves a slice."""

    __tablename__ = "route_entries"
    number: Mapped[int] = mapped_column(ForeignKey("route_tables.number"), primary_key=True)
    modality: Mapped[str] = mapped_column(String(16), primary_key=True)
    cluster: Mapped[str] = mapped_column(String(128), primary_key=True)
    adapter: Mapped[str] = mapped_column(ForeignKey("adapters.digest"))
    certificate: Mapped[str] = mapped_column(ForeignKey("certificates.digest"))


class TrialRow(Base):
    """What is on trial in a slice."""

    __tablename__ = "route_trials"
    number: Mapped[int] = mapped_column(ForeignKey("route_tables.number"), primary_key=True)
    modality: Mapped[str] = mapped_column(String(16), primary_key=True)
    cluster: Mapped[str] = mapped_column(String(128), primary_key=True)
    adapter: Mapped[str] = mapped_column(ForeignKey("adapters.digest"))
    certificate: Mapped[str] = mapped_column(ForeignKey("certificates.digest"))
    kind: Mapped[str] = mapped_column(String(16))
    percent: Mapped[float]
    clinics: Mapped[str]
    since: Mapped[int]


class SecretRow(Base):
    """Random bytes that all servers of a registry share."""

    __tablename__ = "secrets"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary)


def newest_table(session: Session) -> int:
    """The newest route table's number; 0 where there is none."""
    return session.scalar(select(func.max(TableRow.number))) or 0


def read_table(session: Session, number: int) -> RouteTable:
    """One route table.

    Raises:
        NotFoundError: there is none of this number.
        DamageError: its clusters are not those of its digest.
    """
    row = session.get(TableRow, number)
    if row is None:
        raise NotFoundError(f"there is no route table {number}")
    clinics: dict[str, str] = json.loads(session.get_one(ClustersRow, row.clusters).clinics)
    if digest_of(clinics) != row.clusters:
        raise DamageError(f"route table {number}: its clusters were changed in the registry")
    waivers = _Waivers(session)
    entries: dict[Cell, Entry] = {}
    served = select(EntryRow, AdapterRow).join(AdapterRow, EntryRow.adapter == AdapterRow.digest)
    for entry, adapter in session.execute(served.where(EntryRow.number == number)):
        cell = Cell(Modality(entry.modality), entry.cluster)
        entries[cell] = Entry(adapter.value, entry.certificate, waivers.of(entry.certificate, cell))
    tried = select(TrialRow, AdapterRow).join(AdapterRow, TrialRow.adapter == AdapterRow.digest)
    for trial, adapter in session.execute(tried.where(TrialRow.number == number)):
        cell = Cell(Modality(trial.modality), trial.cluster)
        plan = TrialPlan(TrialKind(trial.kind), trial.percent, frozenset(json.loads(trial.clinics)))
        waiver = waivers.of(trial.certificate, cell)
        made = Trial(adapter.value, trial.certificate, plan, trial.since, waiver)
        entries[cell] = replace(entries.get(cell, Entry(None)), trial=made)
    return RouteTable(number, entries, clinics, row.clusters, row.cause, datetime.fromisoformat(row.created))


def write_table(session: Session, table: RouteTable) -> None:
    """Adds a route table; its certificates and adapters must be there."""
    session.merge(ClustersRow(digest=table.clusters_digest, clinics=canonical(dict(table.clinics)).decode()))
    session.add(
        TableRow(
            number=table.number,
            clusters=table.clusters_digest,
            cause=table.cause,
            created=table.created.isoformat(),
        )
    )
    session.flush()
    session.add_all(_rows(table))
    session.flush()


def content_of(table: RouteTable) -> str:
    """SHA-256, in hex, over all that a route table says.

    Where its adapters lie, and whether they were retired since, is not among it.
    """
    return digest_of(
        {
            "number": table.number,
            "clusters": table.clusters_digest,
            "cause": table.cause,
            "created": table.created.isoformat(),
            "entries": [
                [
                    str(cell.modality),
                    cell.cluster,
                    entry.adapter.digest if entry.adapter else "",
                    entry.certificate_digest,
                    _trial_json(entry.trial) if entry.trial else None,
                ]
                for cell, entry in sorted(table.entries.items())
            ],
        }
    )


def now() -> datetime:
    """The present, UTC."""
    return datetime.now(UTC)


def _rows(table: RouteTable) -> Iterator[EntryRow | TrialRow]:
    for cell, entry in table.entries.items():
        place = {"number": table.number, "modality": cell.modality.value, "cluster": cell.cluster}
        if entry.adapter:
            yield EntryRow(**place, adapter=entry.adapter.digest, certificate=entry.certificate_digest)
        if entry.trial:
            trial, plan = entry.trial, entry.trial.plan
            yield TrialRow(
                **place,
                adapter=trial.adapter.digest,
                certificate=trial.certificate_digest,
                kind=plan.kind.value,
                percent=plan.percent,
                clinics=canonical(sorted(plan.clinics)).decode(),
                since=trial.since,
            )


def _trial_json(trial: Trial) -> list[object]:
    plan = trial.plan
    return [
        trial.adapter.digest,
        trial.certificate_digest,
        plan.kind.value,
        float(plan.percent),
        sorted(plan.clinics),
        trial.since,
    ]


class _Waivers:
    """Waivers in words, read once a certificate; those of earlier formats have none."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, dict[Cell, str]] = {}

    def of(self, certificate: str, cell: Cell) -> str:
        if certificate not in self._known:
            rows = json.loads(self._session.get_one(CertificateRow, certificate).body).get("waivers", [])
            self._known[certificate] = {waiver.cell: str(waiver) for waiver in map(read_waiver, rows)}
        return self._known[certificate].get(cell, "")

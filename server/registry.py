"""The registry: adapters, certificates and numbered route tables, over SQLAlchemy.

SQLite in WAL mode by default. A route table is one transaction: it is there wholly or not at all, and
its number is its key, so that of two that want the same number one is told.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint, create_engine, event, func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from radimpress.clustering.cell import Cell
from radimpress.clustering.clusters import Clusters
from radimpress.eval.certificate import Certificate, certificate_digest, decode_certificate
from radimpress.eval.predict import BASE
from radimpress.eval.waiver import read_waiver
from radimpress.reports.errors import (
    BundleError,
    ConfigError,
    ConflictError,
    DigestError,
    GateError,
    InputError,
    NotFoundError,
)
from radimpress.reports.files import canonical, digest_of
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Modality
from radimpress.server.routes import AdapterVersion, Entry, RouteTable
from radimpress.trainer.bases import BASES
from radimpress.trainer.bundle import MANIFEST, AdapterBundle, check_targets, open_bundle

_PATH_MAX = 512


class _Base(DeclarativeBase):
    pass


class _Adapter(_Base):
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


class _Clusters(_Base):
    __tablename__ = "clusters"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    clinics: Mapped[str]


class _Certificate(_Base):
    __tablename__ = "certificates"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    body: Mapped[bytes]


class _Table(_Base):
    __tablename__ = "route_tables"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    clusters: Mapped[str] = mapped_column(ForeignKey("clusters.digest"))
    cause: Mapped[str]
    created: Mapped[str]


class _Entry(_Base):
    __tablename__ = "route_entries"
    number: Mapped[int] = mapped_column(ForeignKey("route_tables.number"), primary_key=True)
    modality: Mapped[str] = mapped_column(String(16), primary_key=True)
    cluster: Mapped[str] = mapped_column(String(128), primary_key=True)
    adapter: Mapped[str] = mapped_column(ForeignKey("adapters.digest"))
    certificate: Mapped[str] = mapped_column(ForeignKey("certificates.digest"))


class Registry:
    """All that servers share.

    Args:
        url: an SQLAlchemy URL, as in "sqlite:///registry.db".
        bundles: the folder that bundles are registered from.
        trusted: public keys, in hex, of which one must have signed a certificate, and each waiver; without
            any, certificates need no signature.

    Raises:
        ConfigError: the URL cannot be opened.
    """

    def __init__(self, url: str, bundles: Path, trusted: frozenset[str] = frozenset()) -> None:
        self._bundles = bundles
        self._trusted = trusted
        self._known: dict[int, RouteTable] = {}
        try:
            self._engine = create_engine(url)
            if self._engine.dialect.name == "sqlite":
                event.listen(self._engine, "connect", _prepare_sqlite)
            _Base.metadata.create_all(self._engine)
        except (SQLAlchemyError, ImportError) as error:
            # An URL may hold a password, and a driver's message the URL.
            raise ConfigError(f"registry: cannot be opened ({type(error).__name__})") from error

    def close(self) -> None:
        """Closes the connections."""
        self._engine.dispose()

    def adopt(self, clusters: Clusters) -> RouteTable:
        """Makes these clusters the current ones; other clusters mean other slices, so all go to base.

        Does nothing when they are current already.
        """
        if self._newest() and self.table().clusters_digest == clusters.digest:
            return self.table()
        body = canonical(dict(clusters.clinics)).decode()
        with self._transaction() as session:
            session.merge(_Clusters(digest=clusters.digest, clinics=body))
            number = self._append(session, clusters.digest, f"clusters {clusters.digest[:12]}: base everywhere", {})
        return self.table(number)

    def register(self, path: str, base_digest: str | None = None) -> AdapterVersion:
        """Verifies a bundle and gives it the next version of its name.

        The same weights again keep the version they have. `base_digest` is the base model's that it will
        be served on, where one is at hand.

        Raises:
            InputError: the path is empty or leaves the bundle folder.
            NotFoundError: no bundle is there.
            BundleError: it must not be served.
        """
        folder = self._folder(path)
        bundle = open_bundle(folder)
        base = BASES.get(bundle.base_name)
        if base is not None:
            check_targets(bundle, base.targets)
        bundle.verify(base_digest or bundle.base_digest)
        with self._transaction() as session:
            known = session.get(_Adapter, bundle.digest)
            if known is not None:
                # The same adapter, perhaps in another place: where it was just verified is where it is.
                known.path = folder.relative_to(self._bundles.resolve()).as_posix()
                known.manifest_digest = _manifest_digest(folder)
                return _adapter(known)
            newest = session.scalar(select(func.max(_Adapter.version)).where(_Adapter.name == bundle.name))
            row = _Adapter(
                digest=bundle.digest,
                name=bundle.name,
                version=(newest or 0) + 1,
                base_name=bundle.base_name,
                base_digest=bundle.base_digest,
                rank=bundle.rank,
                path=folder.relative_to(self._bundles.resolve()).as_posix(),
                manifest_digest=_manifest_digest(folder),
                created=_now(),
            )
            session.add(row)
            return _adapter(row)

    def bundle(self, adapter: AdapterVersion) -> AdapterBundle:
        """The registered bundle, exactly as it was registered.

        Raises:
            DigestError: it is gone, or its manifest is not the registered one.
        """
        folder = self._folder(adapter.path)
        try:
            bundle = open_bundle(folder)
            same = _manifest_digest(folder) == adapter.manifest_digest and bundle.digest == adapter.digest
        except (NotFoundError, BundleError, OSError):
            same = False
        if not same:
            raise DigestError(f"{adapter}: its bundle is not the one that was registered")
        return bundle

    def adapter(self, name: str, version: int = 0) -> AdapterVersion:
        """One version; 0 is the newest.

        Raises:
            NotFoundError: there is none.
        """
        with Session(self._engine) as session:
            query = select(_Adapter).where(_Adapter.name == name).order_by(_Adapter.version.desc())
            row = session.scalar(query.where(_Adapter.version == version) if version else query)
            if row is None:
                raise NotFoundError(f"adapter {name!r} has no {f'version {version}' if version else 'version'}")
            return _adapter(row)

    def adapters(self, offset: int = 0, limit: int = 500) -> list[AdapterVersion]:
        """Every version, newest first."""
        with Session(self._engine) as session:
            query = select(_Adapter).order_by(_Adapter.created.desc(), _Adapter.digest).offset(offset).limit(limit)
            return [_adapter(row) for row in session.scalars(query)]

    def table(self, number: int = 0) -> RouteTable:
        """A route table; 0 is the current one, read anew each time.

        Raises:
            NotFoundError: there is none.
        """
        wanted = number or self._newest()
        if not wanted:
            raise NotFoundError("there is no route table yet: adopt clusters first")
        table = self._known.get(wanted)
        if table is None:
            # A table never changes, so that the copy is as good as the original.
            table = self._known[wanted] = self._read(wanted)
        return table

    def tables(self, offset: int = 0, limit: int = 500) -> list[RouteTable]:
        """Every route table, newest first."""
        numbers = range(self._newest() - offset, 0, -1)
        return [self.table(number) for number in list(numbers)[:limit]]

    def promote(
        self, adapter: AdapterVersion, certificate: bytes, expected: int = 0, *, now: datetime | None = None
    ) -> RouteTable:
        """Makes the next table: the adapter gets each slice that its certificate passes, or a waiver opens.

        Raises:
            InputError: the certificate cannot be read, or was changed.
            GateError: it is about something else, is expired, lacks a slice or a signature that is
                trusted, or passes nothing.
            ConflictError: the current table is not number `expected`, or moved on meanwhile.
        """
        current = self._current(expected)
        judged = decode_certificate(certificate)
        for what, stated, actual in (
            ("adapter", judged.digest, adapter.digest),
            ("base", judged.base_digest, adapter.base_digest),
            ("clusters", judged.clusters_digest, current.clusters_digest),
            ("prompt", judged.prompt_version, PROMPT_VERSION),
        ):
            if stated != actual:
                raise GateError(f"the certificate judged another {what}: {stated[:12]}, not {actual[:12]}")
        judged.check_time(now)
        judged.check_signers(self._trusted)
        judged.check_slices()
        judged.check_waivers()
        _check_successor(adapter, judged, current)
        if not judged.opened:
            raise GateError(f"the certificate passes {adapter} in no slice")
        entries = dict(current.entries)
        digest = certificate_digest(certificate)
        for verdict in judged.opened:
            cell = verdict.cell
            if cell is None:
                raise InputError("certificate", "a verdict names no slice")
            incumbent = current.entries.get(cell)
            serving = incumbent.adapter.digest if incumbent else ""
            # Trivial systems have no weights either: only base's name stands for base.
            against = verdict.incumbent_digest or (None if verdict.incumbent != BASE else "")
            if serving not in (against, adapter.digest):
                raise GateError(f"{cell}: judged against {verdict.incumbent}, which does not serve it now; judge again")
            entries[cell] = Entry(adapter, digest, str(judged.waiver(cell) or ""))
        with self._transaction() as session:
            session.merge(_Certificate(digest=digest, body=certificate))
            number = self._append(session, current.clusters_digest, f"promote {adapter}", entries, current.number)
        return self.table(number)

    def rollback(self, number: int = 0, expected: int = 0) -> RouteTable:
        """Makes the next table a copy of an earlier one; 0 is the one before the current.

        Raises:
            NotFoundError: there is no such table.
            GateError: there is nothing earlier.
            ConflictError: as `promote`.
        """
        current = self._current(expected)
        if not number and current.number == 1:
            raise GateError("route table 1 is the first: nothing to go back to")
        earlier = self.table(number or current.number - 1)
        with self._transaction() as session:
            cause = f"rollback to table {earlier.number}"
            made = self._append(session, earlier.clusters_digest, cause, earlier.entries, current.number)
        return self.table(made)

    def _current(self, expected: int) -> RouteTable:
        current = self.table()
        if expected and current.number != expected:
            raise ConflictError(f"the current route table is {current.number}, not {expected}")
        return current

    def _folder(self, path: str) -> Path:
        if not path or "\x00" in path or len(path) > _PATH_MAX:
            raise InputError("path", f"{path[:64]!r} is not inside the bundle folder")
        root = self._bundles.resolve()
        folder = (root / path).resolve()
        if folder == root or not folder.is_relative_to(root):
            raise InputError("path", f"{path!r} is not inside the bundle folder")
        return folder

    def _transaction(self) -> Any:
        return _Transaction(self._engine)

    def _newest(self) -> int:
        with Session(self._engine) as session:
            return session.scalar(select(func.max(_Table.number))) or 0

    def _append(
        self, session: Session, clusters: str, cause: str, entries: Mapping[Cell, Entry], after: int | None = None
    ) -> int:
        newest = session.scalar(select(func.max(_Table.number))) or 0
        if after is not None and newest != after:
            raise ConflictError(f"the current route table is {newest}, no longer {after}")
        session.add(_Table(number=newest + 1, clusters=clusters, cause=cause, created=_now()))
        session.flush()
        session.add_all(
            _Entry(
                number=newest + 1,
                modality=cell.modality.value,
                cluster=cell.cluster,
                adapter=entry.adapter.digest,
                certificate=entry.certificate_digest,
            )
            for cell, entry in entries.items()
        )
        return newest + 1

    def _read(self, number: int) -> RouteTable:
        with Session(self._engine) as session:
            row = session.get(_Table, number)
            if row is None:
                raise NotFoundError(f"there is no route table {number}")
            clusters = session.get_one(_Clusters, row.clusters)
            query = select(_Entry, _Adapter).join(_Adapter, _Entry.adapter == _Adapter.digest)
            rows = [(entry, adapter) for entry, adapter in session.execute(query.where(_Entry.number == number))]
            waivers = {
                digest: _waivers(session.get_one(_Certificate, digest).body)
                for digest in {entry.certificate for entry, _ in rows}
            }
            entries = {}
            for entry, adapter in rows:
                cell = Cell(Modality(entry.modality), entry.cluster)
                entries[cell] = Entry(_adapter(adapter), entry.certificate, waivers[entry.certificate].get(cell, ""))
            clinics: dict[str, str] = json.loads(clusters.clinics)
            if digest_of(clinics) != row.clusters:
                raise BundleError(f"route table {number}: its clusters were changed in the registry")
            return RouteTable(number, entries, clinics, row.clusters, row.cause, datetime.fromisoformat(row.created))


class _Transaction:
    """One transaction; a number that somebody else took first is a ConflictError."""

    def __init__(self, engine: Any) -> None:
        self._session = Session(engine, expire_on_commit=False)

    def __enter__(self) -> Session:
        return self._session

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._session.commit()
            elif isinstance(error, IntegrityError):
                raise error
        except IntegrityError:
            raise ConflictError("the registry was changed at the same moment; look again") from None
        finally:
            self._session.close()


def _adapter(row: _Adapter) -> AdapterVersion:
    return AdapterVersion(
        row.name,
        row.version,
        row.digest,
        row.base_name,
        row.base_digest,
        row.rank,
        row.path,
        row.manifest_digest,
        datetime.fromisoformat(row.created),
    )


def _check_successor(adapter: AdapterVersion, judged: Certificate, current: RouteTable) -> None:
    """A new version must have been judged wherever the old one serves, or the old one would stay unseen."""
    for cell, entry in sorted(current.entries.items()):
        if entry.adapter.name == adapter.name and entry.adapter.digest != adapter.digest and cell not in judged.slices:
            raise GateError(f"{cell}: {entry.adapter} serves this slice and the certificate has no verdict on it")


def _waivers(body: bytes) -> dict[Cell, str]:
    """The waivers of a certificate, in words; those of earlier formats have none."""
    rows = json.loads(body).get("waivers", [])
    return {waiver.cell: str(waiver) for waiver in map(read_waiver, rows)}


def _manifest_digest(folder: Path) -> str:
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _prepare_sqlite(connection: Any, record: object) -> None:
    del record
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")

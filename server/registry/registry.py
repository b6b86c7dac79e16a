"""The registry: adapters, certificates and numbered route tables, and what changes them.

Each change is one transaction that holds the next route table, whole, and the event that tells of it. A
table's number is its key, so that of two that want the same number one is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from radimpress.clustering.cell import Cell
from radimpress.clustering.clusters import Clusters
from radimpress.eval.certificate import certificate_digest, decode_certificate
from radimpress.reports.errors import ConflictError, GateError, NotFoundError, UnavailableError
from radimpress.reports.files import sha256_file
from radimpress.server.registry import events
from radimpress.server.registry.database import Lock
from radimpress.server.registry.shelf import check_whole
from radimpress.server.registry.tables import (
    AdapterRow,
    CertificateRow,
    content_of,
    newest_table,
    now,
    read_table,
    write_table,
)
from radimpress.server.registry.view import View
from radimpress.server.rollout import plan
from radimpress.server.routes import AdapterVersion, Entry, RouteTable, TrialPlan
from radimpress.trainer.bundle import MANIFEST, open_bundle

_LOCAL = "local"


class Registry(View):
    """All that servers share.

    Args:
        url: an SQLAlchemy URL, as in "sqlite:///registry.db" or "postgresql://radimpress@db/radimpress".
        bundles: the folder, or the URL, that bundles are registered from.
        trusted: public keys, in hex, of which one must have signed a certificate, and each waiver; without
            any, certificates need no signature.
        cache: the folder on this machine for bundles of a URL.

    Raises:
        ConfigError: the database cannot be opened or is of another revision, or the store cannot be opened.
    """

    def __init__(
        self, url: str, bundles: str | Path, trusted: frozenset[str] = frozenset(), *, cache: Path | None = None
    ) -> None:
        super().__init__(url, bundles, cache=cache)
        self._trusted = trusted

    def adopt(self, clusters: Clusters, *, actor: str = _LOCAL) -> RouteTable:
        """Makes these clusters the current ones; other clusters mean other slices, so all go to base.

        Does nothing when they are current already.

        Raises:
            ConflictError: the routes were changed at the same moment.
        """
        number = 0
        with suppress(NotFoundError):
            current = self.table()
            if current.clusters_digest == clusters.digest:
                return current
            number = current.number
        cause = f"clusters {clusters.digest[:12]}: base everywhere"
        made = RouteTable(number + 1, {}, dict(clusters.clinics), clusters.digest, cause, now())
        return self._append(made, actor, "adopt")

    def register(self, path: str, base_digest: str | None = None, *, actor: str = _LOCAL) -> AdapterVersion:
        """Verifies a bundle and gives it the next version of its name.

        The same weights again keep the version they have. `base_digest` is the base model's that it will
        be served on, where one is at hand.

        Raises:
            InputError: the path is empty or leaves the store.
            NotFoundError: no bundle is there.
            BundleError: it must not be served.
        """
        folder = self.store.fetch(path)
        bundle = open_bundle(folder)
        check_whole(bundle, base_digest or bundle.base_digest)
        place, manifest_digest = self.store.name(path), sha256_file(folder / MANIFEST)
        with self._database.writing(Lock.ROUTES) as session:
            row = session.get(AdapterRow, bundle.digest)
            if row is None:
                newest = session.scalar(select(func.max(AdapterRow.version)).where(AdapterRow.name == bundle.name))
                row = AdapterRow(
                    digest=bundle.digest,
                    name=bundle.name,
                    version=(newest or 0) + 1,
                    base_name=bundle.base_name,
                    base_digest=bundle.base_digest,
                    rank=bundle.rank,
                    path=place,
                    manifest_digest=manifest_digest,
                    created=now().isoformat(),
                )
                session.add(row)
            elif (row.path, row.manifest_digest) == (place, manifest_digest):
                return row.value
            # The same adapter, perhaps in another place: where it was just verified is where it is.
            row.path, row.manifest_digest = place, manifest_digest
            made = row.value
            events.append(session, actor, "register", digest=made.digest, detail=f"{made} in {place}")
        self._changed()
        return made

    def promote(
        self,
        adapter: AdapterVersion,
        certificate: bytes,
        expected: int = 0,
        *,
        actor: str = _LOCAL,
        trial: TrialPlan | None = None,
        now: datetime | None = None,
    ) -> RouteTable:
        """Makes the next table: the adapter gets each slice that its certificate passes, or a waiver opens.

        Args:
            adapter: who is to serve.
            certificate: certificate.json, byte by byte.
            expected: the number of the table that the caller looked at; 0 takes whichever is current.
            actor: who asks for it.
            trial: how the slices are given; wholly when None.
            now: the moment at which the certificate must be in force; the present by default.

        Raises:
            InputError: the certificate cannot be read, or was changed, or the trial would be one of nobody.
            GateError: it does not allow this; `radimpress.server.rollout.plan` has the rules.
            ConflictError: the current table is not number `expected`, or moved on meanwhile.
        """
        made = self.preview(adapter, certificate, expected, trial=trial, now=now)
        return self._append(made, actor, "promote", adapter, certificate=certificate)

    def preview(
        self,
        adapter: AdapterVersion,
        certificate: bytes,
        expected: int = 0,
        *,
        actor: str = _LOCAL,
        trial: TrialPlan | None = None,
        now: datetime | None = None,
    ) -> RouteTable:
        """The table that `promote` would make, given the same; nothing is written.

        Raises:
            RadimpressError: what `promote` raises.
        """
        del actor
        current = self._expected(expected)
        judged = decode_certificate(certificate)
        plan.check_certificate(current, adapter, judged, self._trusted, now)
        entries = plan.promoted(current, adapter, judged, certificate_digest(certificate), trial)
        return _next(current, entries, f"promote {adapter}{f' {trial}' if trial else ''}")

    def end_trial(
        self, adapter: AdapterVersion, expected: int = 0, *, actor: str = _LOCAL, why: str = ""
    ) -> RouteTable:
        """Makes the next table without an adapter's trial; what serves stays.

        Raises:
            NotFoundError: it is on trial nowhere.
            ConflictError: as `promote`.
        """
        current = self._expected(expected)
        made = _next(current, plan.without_trial(current, adapter), f"end trial of {adapter}")
        return self._append(made, actor, "end-trial", adapter, detail=why)

    def rollback(self, number: int = 0, expected: int = 0, *, actor: str = _LOCAL) -> RouteTable:
        """Makes the next table a copy of an earlier one; 0 is the one before the current.

        Raises:
            NotFoundError: there is no such table.
            GateError: there is nothing earlier, or it needs an adapter that was retired.
            ConflictError: as `promote`.
        """
        current = self._expected(expected)
        if not number and current.number == 1:
            raise GateError("route table 1 is the first: nothing to go back to")
        earlier = self.table(number or current.number - 1)
        made = _next(earlier, earlier.entries, f"rollback to table {earlier.number}", current.number + 1)
        return self._append(made, actor, "rollback")

    def retire(self, adapter: AdapterVersion, *, actor: str = _LOCAL) -> AdapterVersion:
        """Takes a version out of service for good; its record stays. Again changes nothing.

        Raises:
            NotFoundError: it is not registered.
            GateError: the current table still uses it.
        """
        with self._database.writing(Lock.ROUTES) as session:
            row = _row(session, adapter)
            if row.retired is None:
                newest = newest_table(session)
                used = plan.uses(read_table(session, newest)) if newest else ()
                for cell, one in used:
                    if one.digest == adapter.digest:
                        raise GateError(f"{cell}: route table {newest} still uses {one}; promote another or roll back")
                row.retired = now().isoformat()
                events.append(session, actor, "retire", digest=row.digest, detail=str(row.value))
            made = row.value
        self._changed()
        return made

    def _append(
        self,
        table: RouteTable,
        actor: str,
        action: str,
        adapter: AdapterVersion | None = None,
        *,
        detail: str = "",
        certificate: bytes = b"",
    ) -> RouteTable:
        """Writes the next table and its event: the one place where a table comes to be."""
        with self._database.writing(Lock.ROUTES) as session:
            newest = newest_table(session)
            if newest != table.number - 1:
                raise ConflictError(f"the current route table is {newest}, no longer {table.number - 1}")
            for _, used in plan.uses(table):
                # As it is at this moment; whoever asks may have looked before it was retired.
                plan.check_in_service(_row(session, used).value)
            if certificate:
                session.merge(CertificateRow(digest=certificate_digest(certificate), body=certificate))
            write_table(session, table)
            events.append(
                session,
                actor,
                action,
                digest=adapter.digest if adapter else "",
                table=table.number,
                detail=f"{table.cause}: {detail}" if detail else table.cause,
                content=content_of(table),
                created=table.created,
            )
        self._changed()
        return table

    def _changed(self) -> None:
        """What was changed here counts here at once, where anybody asked for the current table before."""
        # The change is made, whether or not it can be looked at: the watch will.
        if self._current is not None:
            with suppress(NotFoundError, UnavailableError):
                self._take_up()

    def _expected(self, number: int) -> RouteTable:
        current = self.table()
        if number and current.number != number:
            raise ConflictError(f"the current route table is {current.number}, not {number}")
        return current


def _row(session: Session, adapter: AdapterVersion) -> AdapterRow:
    row = session.get(AdapterRow, adapter.digest)
    if row is None:
        raise NotFoundError(f"{adapter} is not registered")
    return row


def _next(table: RouteTable, entries: Mapping[Cell, Entry], cause: str, number: int = 0) -> RouteTable:
    return replace(table, number=number or table.number + 1, entries=dict(entries), cause=cause, created=now())

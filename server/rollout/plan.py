"""What a promotion does to the routes: pure, from the current table and a certificate to the next entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from radimpress.clustering.cell import ANY, Cell
from radimpress.eval.certificate import Certificate
from radimpress.eval.gate import Verdict
from radimpress.eval.predict import BASE
from radimpress.reports.errors import GateError, InputError, NotFoundError
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.server.routes import AdapterVersion, Entry, RouteTable, Trial, TrialPlan

_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of tables does to one slice.

    Attributes:
        cell: the slice.
        before: who serves it before, as in "unified@1" or "base".
        after: who serves it after.
        trial: what is on trial there after, as in "unified@2 canary 10%", or what no longer is, as in
            "unified@2 canary 10% ends"; empty where neither.
    """

    cell: Cell
    before: str
    after: str
    trial: str


def check_certificate(
    current: RouteTable,
    adapter: AdapterVersion,
    judged: Certificate,
    trusted: frozenset[str],
    now: datetime | None = None,
) -> None:
    """Whether a certificate speaks for this adapter, now, and is believed.

    Args:
        current: the table that is to be changed.
        adapter: who is to serve.
        judged: the certificate.
        trusted: public keys, in hex, of which one must have signed the certificate, and each waiver; without
            any, none need be signed.
        now: the moment that it must be in force; the present by default.

    Raises:
        InputError: a waiver does not hold.
        GateError: the adapter was retired, or the certificate is about something else, is expired, lacks a
            slice or a signature that is trusted, or passes nothing.
    """
    check_in_service(adapter)
    for what, stated, actual in (
        ("adapter", judged.digest, adapter.digest),
        ("base", judged.base_digest, adapter.base_digest),
        ("clusters", judged.clusters_digest, current.clusters_digest),
        ("prompt", judged.prompt_version, PROMPT_VERSION),
    ):
        if stated != actual:
            raise GateError(f"the certificate judged another {what}: {stated[:_DIGITS]}, not {actual[:_DIGITS]}")
    judged.check_time(now)
    judged.check_signers(trusted)
    judged.check_slices()
    judged.check_waivers()
    _check_successor(adapter, judged, current)
    if not judged.opened:
        raise GateError(f"the certificate passes {adapter} in no slice")


def check_in_service(adapter: AdapterVersion) -> None:
    """Whether an adapter may serve still.

    Raises:
        GateError: it was retired.
    """
    if adapter.retired is not None:
        raise GateError(f"{adapter} was retired on {adapter.retired:%Y-%m-%d} and serves no more")


def promoted(
    current: RouteTable,
    adapter: AdapterVersion,
    judged: Certificate,
    certificate_digest: str,
    trial: TrialPlan | None = None,
) -> dict[Cell, Entry]:
    """The next entries: the adapter gets each slice that its certificate opens, wholly or on trial.

    A trial leaves what serves in its place. A trial of the same adapter goes on with the new plan and keeps
    what was seen of it. Whoever gets a slice wholly from another ends the trial there: it was a trial
    beside that other.

    Raises:
        InputError: a verdict names no slice, or a clinic of the trial falls in none.
        GateError: the adapter was judged against something else than what serves a slice now, another is on
            trial there, or it serves them all already.
    """
    opened = dict(_opened(current, adapter, judged))
    entries = dict(current.entries)
    if trial is None:
        for cell, waiver in opened.items():
            before = current.entry(cell)
            kept = before.trial if before.serves(adapter) else None
            entries[cell] = Entry(adapter, certificate_digest, waiver, kept)
        return entries
    served = {cell for cell, entry in entries.items() if entry.serves(adapter)}
    if served.issuperset(opened):
        raise GateError(f"{adapter} serves every slice that its certificate opens: there is nothing to try")
    for cell in _reached(current, trial, opened.keys() - served):
        before = current.entry(cell)
        since = current.number + 1
        if before.trial:
            if not before.tries(adapter):
                raise GateError(f"{cell}: {before.trial.adapter} is on trial here; end its trial first")
            since = before.trial.since
        tried = Trial(adapter, certificate_digest, trial, since, opened[cell])
        entries[cell] = replace(before, trial=tried)
    return entries


def without_trial(current: RouteTable, adapter: AdapterVersion) -> dict[Cell, Entry]:
    """The next entries: the adapter is on trial nowhere; what serves stays.

    Raises:
        NotFoundError: it is on trial nowhere now.
    """
    ended = {cell for cell, entry in current.entries.items() if entry.tries(adapter)}
    if not ended:
        raise NotFoundError(f"{adapter} is on trial in no slice")
    left = {cell: replace(entry, trial=None) if cell in ended else entry for cell, entry in current.entries.items()}
    return {cell: entry for cell, entry in left.items() if entry.adapter or entry.trial}


def uses(table: RouteTable) -> Iterator[tuple[Cell, AdapterVersion]]:
    """Every adapter that a table gives requests to, with the slice, serving or on trial."""
    for cell, entry in sorted(table.entries.items()):
        if entry.adapter:
            yield cell, entry.adapter
        if entry.trial:
            yield cell, entry.trial.adapter


def changes(before: RouteTable, after: RouteTable) -> list[Change]:
    """What differs between two tables, slice by slice: who serves, and what is on trial."""
    found = []
    for cell in sorted({*before.entries, *after.entries}):
        old, new = before.entry(cell), after.entry(cell)
        if (old.serving, old.trial) == (new.serving, new.trial):
            continue
        trial = str(new.trial or "")
        if old.trial and not new.trial:
            trial = f"{old.trial} ends"
        found.append(Change(cell, old.serving, new.serving, trial))
    return found


def _opened(current: RouteTable, adapter: AdapterVersion, judged: Certificate) -> Iterator[tuple[Cell, str]]:
    """Each slice that the certificate opens, with its waiver in words."""
    for verdict in judged.opened:
        if verdict.cell is None:
            raise InputError("certificate", "a verdict names no slice")
        _check_incumbent(current.entry(verdict.cell), adapter, verdict)
        yield verdict.cell, str(judged.waiver(verdict.cell) or "")


def _check_incumbent(entry: Entry, adapter: AdapterVersion, verdict: Verdict) -> None:
    serving = entry.adapter.digest if entry.adapter else ""
    # Trivial systems have no weights either: only base's name stands for base.
    against = verdict.incumbent_digest or (None if verdict.incumbent != BASE else "")
    if serving not in (against, adapter.digest):
        said = f"judged against {verdict.incumbent}, which does not serve it now; judge again"
        raise GateError(f"{verdict.cell}: {said}")


def _check_successor(adapter: AdapterVersion, judged: Certificate, current: RouteTable) -> None:
    """A new version must have been judged wherever the old one serves, or the old one would stay unseen."""
    for cell, entry in sorted(current.entries.items()):
        old = entry.adapter
        if old and old.name == adapter.name and old.digest != adapter.digest and cell not in judged.slices:
            raise GateError(f"{cell}: {old} serves this slice and the certificate has no verdict on it")


def _reached(current: RouteTable, plan: TrialPlan, cells: set[Cell]) -> list[Cell]:
    """Of these slices, those that the trial's clinics fall in; a slip in a clinic's name would try nothing."""
    clusters = {clinic: current.clinics.get(clinic, ANY) for clinic in plan.clinics}
    for clinic, cluster in sorted(clusters.items()):
        if cluster not in {cell.cluster for cell in cells}:
            raise InputError("trial.clinics", f"{clinic[:64]!r} falls in no slice that would be on trial")
    return sorted(cell for cell in cells if not clusters or cell.cluster in clusters.values())

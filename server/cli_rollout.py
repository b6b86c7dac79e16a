"""`radimpress adapters adopt|promote|end-trial|rollback`: each makes the next route table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from radimpress.clustering.clusters import load_clusters
from radimpress.reports.errors import InputError, NotFoundError
from radimpress.server.console import tell
from radimpress.server.messages import change_message, table_message
from radimpress.server.options import (
    AdapterName,
    AsJson,
    BundleRoot,
    ClustersFile,
    Expected,
    RegistryUrl,
    TrustedKeys,
    actor,
    find_adapter,
    open_registry,
)
from radimpress.server.rollout.plan import changes
from radimpress.server.route_tables import show_changes, show_table
from radimpress.server.routes import RouteTable, TrialKind, TrialPlan
from radimpress.v1 import adapter_pb2


def adopt(
    clusters: ClustersFile = Path("clusters.json"), registry: RegistryUrl = None, as_json: AsJson = False
) -> None:
    """Makes these clusters the current ones; with other clusters every slice goes back to base."""
    _show(open_registry(registry, None).adopt(load_clusters(clusters), actor=actor()), as_json)


def promote(
    name: AdapterName,
    certificate: Annotated[Path, typer.Option(help="certificate.json.")] = Path("certificate.json"),
    canary: Annotated[
        float | None, typer.Option(metavar="PERCENT", help="On trial: it answers so many of each slice's requests.")
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="On trial: it is asked and checked, and answers none.")
    ] = False,
    clinic: Annotated[list[str] | None, typer.Option(help="Tried on this clinic only; may be repeated.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only shows what would change.")] = False,
    expected: Expected = 0,
    trusted: TrustedKeys = None,
    registry: RegistryUrl = None,
    bundles: BundleRoot = None,
    as_json: AsJson = False,
) -> None:
    """Gives an adapter the slices that its certificate passes, wholly or on trial."""
    if not certificate.is_file():
        raise NotFoundError(f"{certificate}: no such file")
    known = open_registry(registry, bundles, trusted)
    trial = _trial(canary, clinic or (), shadow=shadow)
    adapter, body, before = find_adapter(known, name), certificate.read_bytes(), known.table()
    # What is shown as before is what the change was made from, or it is refused.
    make = known.preview if dry_run else known.promote
    after = make(adapter, body, expected or before.number, actor=actor(), trial=trial)
    if as_json:
        rows = [change_message(change) for change in changes(before, after)]
        tell(adapter_pb2.PromoteAdapterResponse(route_table=table_message(after), changes=rows))
    else:
        would = "would be " if dry_run else ""
        show_changes(before, after, f"route table {after.number} {would}after {before.number}: {after.cause}")


def end_trial(
    name: AdapterName,
    why: Annotated[str, typer.Option(help="For those who read the history.")] = "",
    expected: Expected = 0,
    registry: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Ends an adapter's trial; what serves the slices stays."""
    known = open_registry(registry, None)
    _show(known.end_trial(find_adapter(known, name), expected, actor=actor(), why=why), as_json)


def rollback(
    number: Annotated[int, typer.Argument(help="Route table to go back to; 0 is the one before.")] = 0,
    expected: Expected = 0,
    registry: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Makes the next route table a copy of an earlier one; nothing is loaded again."""
    _show(open_registry(registry, None).rollback(number, expected, actor=actor()), as_json)


def _trial(canary: float | None, clinics: Sequence[str], *, shadow: bool) -> TrialPlan | None:
    if shadow and canary is not None:
        raise InputError("shadow", "and canary are two kinds of trial: one of them")
    if shadow:
        return TrialPlan(TrialKind.SHADOW, clinics=frozenset(clinics))
    if canary is not None:
        return TrialPlan(TrialKind.CANARY, canary, frozenset(clinics))
    if clinics:
        raise InputError("clinic", "narrows a trial: it goes with --canary or --shadow")
    return None


def _show(routes: RouteTable, as_json: bool) -> None:
    if as_json:
        tell(table_message(routes))
    else:
        show_table(routes)

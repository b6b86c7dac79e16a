"""`radimpress routes`: who serves what, why, and what changed between two tables."""

from __future__ import annotations

from typing import Annotated

import typer

from radimpress.eval.predict import BASE
from radimpress.reports.report import Report, parse_modality
from radimpress.server.console import OUT, table, tell
from radimpress.server.lora_adapters import lora_paths, seen_by_tgi
from radimpress.server.messages import change_message, table_message
from radimpress.server.options import AsJson, BundleRoot, RegistryUrl, find_adapter, open_registry
from radimpress.server.policy import Outside, Policy
from radimpress.server.rollout.plan import changes
from radimpress.server.route_tables import show_changes, show_table
from radimpress.server.routes import explain, route
from radimpress.server.settings import load_settings

routes_app = typer.Typer(no_args_is_help=True, help="Show, explain and compare route tables.")

Number = Annotated[int, typer.Argument(help="Route table; 0 is the current one.")]


@routes_app.command("show")
def show(number: Number = 0, registry: RegistryUrl = None, as_json: AsJson = False) -> None:
    """Who serves each slice, and what is on trial there."""
    found = open_registry(registry, None).table(number)
    if as_json:
        tell(table_message(found))
    else:
        show_table(found)


@routes_app.command("list")
def list_tables(
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    registry: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Route tables, newest first."""
    found = open_registry(registry, None).tables(0, limit)
    if as_json:
        for one in found:
            tell(table_message(one))
        return
    rows = (
        (
            one.number,
            one.cause,
            sum(entry.adapter is not None for entry in one.entries.values()),
            sum(entry.trial is not None for entry in one.entries.values()),
            f"{one.created:%Y-%m-%d %H:%M:%S}",
        )
        for one in found
    )
    table("route tables", ("number", "cause", "slices", "on trial", "made, UTC"), rows)


@routes_app.command("explain")
def explain_route(
    modality: Annotated[str, typer.Option(help="DICOM code or a spelling, as in MR or MRI.")] = "",
    clinic: Annotated[str, typer.Option(help="The clinic that asks.")] = "",
    request_id: Annotated[str, typer.Option(help="Says on which side of a trial a request falls.")] = "",
    length: Annotated[
        int | None, typer.Option("--findings-length", min=0, help="Characters of the findings; without, enough.")
    ] = None,
    number: Annotated[int, typer.Option("--table", help="Route table; 0 is the current one.")] = 0,
    registry: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Who would answer a report, and every step that leads there; asks no model."""
    report = Report(id=request_id, findings="", modality=parse_modality(modality), clinic=clinic)
    routes = open_registry(registry, None).table(number)
    # Of the language nothing can be said without findings.
    policy = Policy(load_settings().short_findings, Outside.ADAPTER, ())
    outside = None if length is None else policy.outside_by_length(length)
    found, steps = route(report, routes, outside=outside), explain(report, routes, outside=outside)
    if as_json:
        who = {"adapter": str(found.adapter or BASE), "digest": found.adapter.digest if found.adapter else ""}
        why = {"slice": str(found.cell), "reason": found.reason.value, "arm": found.arm.value}
        tell({**who, **why, "route_table": found.table, "steps": list(steps)})
        return
    for count, step in enumerate(steps, 1):
        OUT.print(f"{count}. {step}", markup=False)


@routes_app.command("lora-adapters")
def lora_adapters(
    number: Number = 0,
    folder: Annotated[
        str | None,
        typer.Option("--engine-adapters", help="The bundles' folder as TGI sees it; RADIMPRESS_ENGINE_ADAPTERS."),
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME[@VERSION]", help="One more, which is to be promoted; may be repeated."),
    ] = None,
    registry: RegistryUrl = None,
    bundles: BundleRoot = None,
    as_json: AsJson = False,
) -> None:
    """LORA_ADAPTERS for TGI, a line of an environment file: every adapter of a route table, named by its digest."""
    settings = load_settings(registry=registry, bundles=bundles)
    known = open_registry(registry, bundles)
    found = known.table(number)
    asked = [find_adapter(known, name) for name in more or ()]
    named = dict(lora_paths(found, settings.bundles, folder or seen_by_tgi(settings), asked))
    if as_json:
        tell({"route_table": found.number, "adapters": named})
    else:
        OUT.print(f"LORA_ADAPTERS={','.join(f'{digest}={path}' for digest, path in named.items())}", markup=False)


@routes_app.command("diff")
def diff(
    before: Annotated[int, typer.Argument(help="Route table.")],
    after: Number = 0,
    registry: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """What differs between two route tables, slice by slice."""
    known = open_registry(registry, None)
    one, other = known.table(before), known.table(after)
    if as_json:
        for change in changes(one, other):
            tell(change_message(change))
    else:
        show_changes(one, other, f"route table {one.number} -> {other.number}")

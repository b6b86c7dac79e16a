"""`radimpress adapters`: versions of adapters, on the registry's database itself; bundles' cards, and the hub."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from radimpress.reports.errors import InputError, NotFoundError
from radimpress.server.cli_push import card, push
from radimpress.server.cli_rollout import adopt, end_trial, promote, rollback
from radimpress.server.console import OUT, plain, table, tell
from radimpress.server.messages import adapter_message, event_message, quality_message
from radimpress.server.options import (
    AdapterName,
    AsJson,
    BundleRoot,
    RegistryUrl,
    actor,
    find_adapter,
    open_registry,
)
from radimpress.server.registry import Journal, Registry
from radimpress.server.routes import AdapterVersion, RouteTable
from radimpress.server.settings import load_settings

adapters_app = typer.Typer(no_args_is_help=True, help="Register, promote, try, roll back and retire adapters.")
adapters_app.command("adopt")(adopt)
adapters_app.command("promote")(promote)
adapters_app.command("rollback")(rollback)
adapters_app.command("end-trial")(end_trial)
adapters_app.command("card")(card)
adapters_app.command("push")(push)
_ALL = 10_000
_DIGITS = 12


@adapters_app.command("register")
def register(
    path: Annotated[str, typer.Argument(help="Bundle: a folder, which is copied, or a path within the bundles.")],
    registry: RegistryUrl = None,
    bundles: BundleRoot = None,
    as_json: AsJson = False,
) -> None:
    """Verifies a bundle, keeps it with the others and gives it a version."""
    known = open_registry(registry, bundles)
    # A folder on this machine is copied to where servers look; anything else lies there.
    kept = known.store.add(Path(path)) if path and Path(path).is_dir() else path
    adapter = known.register(kept, actor=actor())
    if as_json:
        tell(adapter_message(adapter))
    else:
        OUT.print(f"{adapter} {adapter.digest}")


@adapters_app.command("list")
def list_adapters(registry: RegistryUrl = None, bundles: BundleRoot = None, as_json: AsJson = False) -> None:
    """Every registered version, newest first."""
    known = open_registry(registry, bundles)
    found = known.adapters(0, _ALL)
    if as_json:
        for adapter in found:
            tell(adapter_message(adapter))
        return
    routes = _routes(known)
    rows = ((a, a.base_name, _state(a, routes), f"{a.created:%Y-%m-%d}", a.digest[:_DIGITS]) for a in found)
    table("adapters", ("adapter", "base", "state", "registered", "digest"), rows)


@adapters_app.command("show")
def show(name: AdapterName, registry: RegistryUrl = None, as_json: AsJson = False) -> None:
    """One version, and where it serves now."""
    known = open_registry(registry, None)
    adapter = find_adapter(known, name)
    serves, tried = _uses(adapter, _routes(known))
    if as_json:
        tell({**plain(adapter_message(adapter)), "slices": serves, "trials": tried})
        return
    rows: list[tuple[str, object]] = [
        ("digest", adapter.digest),
        ("base", f"{adapter.base_name} {adapter.base_digest}"),
        ("rank", adapter.rank),
        ("path", adapter.path),
        ("registered", f"{adapter.created:%Y-%m-%d %H:%M} UTC"),
        ("retired", f"{adapter.retired:%Y-%m-%d %H:%M} UTC" if adapter.retired else "no"),
        ("serves", ", ".join(serves) or "nothing"),
        ("on trial", ", ".join(tried) or "nowhere"),
    ]
    table(str(adapter), ("what", "is"), rows)


@adapters_app.command("verify")
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME[@VERSION]]...", help="Without: all that are not retired.")
    ] = None,
    registry: RegistryUrl = None,
    bundles: BundleRoot = None,
    as_json: AsJson = False,
) -> None:
    """Reads adapters' files anew and compares them with what was registered."""
    known = open_registry(registry, bundles)
    chosen = [find_adapter(known, name) for name in names or ()]
    for adapter in chosen or [a for a in known.adapters(0, _ALL) if a.retired is None]:
        known.verify(adapter)
        if as_json:
            tell(adapter_message(adapter))
        else:
            OUT.print(f"{adapter} is what was registered: {adapter.digest}")


@adapters_app.command("retire")
def retire(name: AdapterName, registry: RegistryUrl = None, as_json: AsJson = False) -> None:
    """Takes a version out of service for good; its record stays."""
    if "@" not in name:
        raise InputError("adapter", f"{name[:64]!r} says no version, and what is retired stays so: NAME@VERSION")
    known = open_registry(registry, None)
    retired = known.retire(find_adapter(known, name), actor=actor())
    if as_json:
        tell(adapter_message(retired))
    else:
        OUT.print(f"{retired} is retired: no route table can name it again")


@adapters_app.command("history")
def history(
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    registry: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """What was changed, when and by whom, newest first."""
    found = open_registry(registry, None).events(0, limit)
    if as_json:
        for event in found:
            tell(event_message(event))
        return
    rows = ((e.number, f"{e.created:%Y-%m-%d %H:%M:%S}", e.actor, e.action, e.table or "", e.detail) for e in found)
    table("events", ("number", "when, UTC", "who", "what", "table", "in words"), rows)


@adapters_app.command("quality")
def quality(
    days: Annotated[float | None, typer.Option(min=0, help="Only the last so many; without, all that is kept.")] = None,
    registry: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """What checks and signed impressions say of each adapter's answers, slice by slice."""
    since = None if days is None else datetime.now(UTC) - timedelta(days=days)
    with closing(Journal(open_registry(registry, None), None, load_settings().answer_days)) as journal:
        found = journal.quality(since)
    if as_json:
        for row in found:
            tell(quality_message(row))
        return
    rows = (
        (
            row.cell,
            f"{row.adapter}@{row.version}" if row.version else row.adapter,
            row.arm,
            row.answers,
            f"{row.noticed / row.answers:.1%}" if row.answers else "",
            row.signed,
            *((f"{row.rouge_l:.3f}", f"{row.edit_distance:.3f}", row.unchanged) if row.signed else ("", "", "")),
        )
        for row in found
    )
    heads = ("slice", "adapter", "arm", "answers", "noticed", "signed", "ROUGE-L", "edits", "unchanged")
    table("live quality", heads, rows)


def _routes(known: Registry) -> RouteTable | None:
    """The current table; adapters may be registered before there is one."""
    try:
        return known.table()
    except NotFoundError:
        return None


def _uses(adapter: AdapterVersion, routes: RouteTable | None) -> tuple[list[str], list[str]]:
    """The slices that it serves, and those that it is tried in."""
    entries = sorted(routes.entries.items()) if routes else []
    serves = [str(cell) for cell, entry in entries if entry.serves(adapter)]
    tried = [f"{cell} {entry.trial.plan}" for cell, entry in entries if entry.trial and entry.tries(adapter)]
    return serves, tried


def _state(adapter: AdapterVersion, routes: RouteTable | None) -> str:
    if adapter.retired:
        return f"retired {adapter.retired:%Y-%m-%d}"
    serves, tried = _uses(adapter, routes)
    words = [f"serves {len(serves)} slices"] if serves else []
    words += [f"tried in {len(tried)}"] if tried else []
    return ", ".join(words) or "idle"

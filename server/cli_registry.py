"""`radimpress registry`: the database that servers share, brought up to date, looked over, copied and put back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from radimpress.server.console import ERR, OUT, tell, track
from radimpress.server.options import AsJson, BundleRoot, RegistryUrl, open_registry
from radimpress.server.registry.backup import make_backup
from radimpress.server.registry.migrate import HEAD
from radimpress.server.registry.migrate import upgrade as upgrade_database
from radimpress.server.registry.restore import restore as restore_registry
from radimpress.server.rollout.plan import uses
from radimpress.server.security.process import harden
from radimpress.server.settings import load_settings

registry_app = typer.Typer(
    no_args_is_help=True, help="Bring the registry up to date, look it over, copy it and put it back."
)


@registry_app.command("upgrade")
def upgrade(registry: RegistryUrl = None, as_json: AsJson = False) -> None:
    """Makes the database, or brings an older one to what this version of the program reads."""
    before = upgrade_database(load_settings(registry=registry).registry)
    if as_json:
        tell({"before": before, "revision": HEAD})
    else:
        OUT.print(f"the registry is of revision {HEAD}; it was {f'of {before}' if before else 'not there'}")


@registry_app.command("check")
def check(registry: RegistryUrl = None, bundles: BundleRoot = None, as_json: AsJson = False) -> None:
    """Whether the chain of events is whole, and every adapter of the current table is what was registered."""
    known = open_registry(registry, bundles)
    known.check()
    events, routes = known.check_chain(), known.table()
    used = {adapter for _, adapter in uses(routes)}
    for adapter in sorted(used, key=str):
        known.verify(adapter)
    if as_json:
        tell({"events": events, "route_table": routes.number, "adapters": len(used)})
    else:
        OUT.print(f"{events} events in a whole chain; route table {routes.number}; {len(used)} adapters are whole")


@registry_app.command("backup")
def backup(
    folder: Annotated[Path, typer.Argument(help="Folder to make; it must not be there yet.")],
    registry: RegistryUrl = None,
    bundles: BundleRoot = None,
    as_json: AsJson = False,
) -> None:
    """Copies the registry, with servers running or not, and every adapter's bundle into a folder."""
    # What is asked and answered is among it: nobody else may read it.
    harden()
    known = open_registry(registry, bundles)
    try:
        made = make_backup(known, folder, track)
    finally:
        known.close()
    if as_json:
        tell({"path": str(folder), **asdict(made)})
    else:
        OUT.print(f"{folder}: {made.events} events, route table {made.route_table}, {len(made.adapters)} adapters")
    for adapter in made.gone:
        ERR.print(f"{adapter} is retired, and its bundle was not there any more", markup=False)


@registry_app.command("restore")
def restore(
    folder: Annotated[Path, typer.Argument(help="Folder that `registry backup` made.")],
    registry: RegistryUrl = None,
    bundles: BundleRoot = None,
    as_json: AsJson = False,
) -> None:
    """Puts a backup into an empty registry, and looks whether what came of it is what was copied."""
    harden()
    settings = load_settings(registry=registry, bundles=bundles)
    found = restore_registry(settings.registry, settings.bundles, settings.bundle_cache, folder, track)
    if as_json:
        tell({"path": str(folder), **asdict(found)})
    else:
        OUT.print(f"{found.events} events in a whole chain; route table {found.route_table}; adapters are whole")

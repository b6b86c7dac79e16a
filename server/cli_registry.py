"""`radimpress registry`: the database that servers share, brought up to date and looked over."""

from __future__ import annotations

import typer

from radimpress.server.console import OUT, tell
from radimpress.server.options import AsJson, BundleRoot, RegistryUrl, open_registry
from radimpress.server.registry.migrate import HEAD
from radimpress.server.registry.migrate import upgrade as upgrade_database
from radimpress.server.rollout.plan import uses
from radimpress.server.settings import load_settings

registry_app = typer.Typer(no_args_is_help=True, help="Bring the registry's database up to date, and look it over.")


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

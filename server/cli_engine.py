"""`radimpress engine`: what engines on other machines are compared with."""

from __future__ import annotations

from typing import Annotated

import typer

from radimpress.server.console import OUT, quiet_models, tell, track
from radimpress.server.options import AsJson
from radimpress.trainer.bases import DEFAULT_BASE, find_base

engine_app = typer.Typer(no_args_is_help=True, help="Engines on other machines.")


@engine_app.command("fingerprint")
def fingerprint(
    base: Annotated[str, typer.Option(envvar="RADIMPRESS_BASE", help="Base model.")] = DEFAULT_BASE,
    as_json: AsJson = False,
) -> None:
    """Takes the base model's fingerprint from its weights, which every vLLM and TGI must then have."""
    quiet_models()
    from radimpress.server.engines.reference import take_reference
    from radimpress.trainer.fetch import base_folder

    found = find_base(base)
    place = take_reference(found, base_folder(found, track))
    if as_json:
        tell({"base": found.name, "path": str(place)})
    else:
        OUT.print(f"{found.name}: {place}", markup=False)

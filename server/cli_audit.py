"""`radimpress audit`: whether the trail of requests is whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from radimpress.reports.errors import ConfigError
from radimpress.server.console import OUT, tell
from radimpress.server.options import AsJson
from radimpress.server.security.audit import verify as verify_trail
from radimpress.server.settings import load_settings

audit_app = typer.Typer(no_args_is_help=True, help="The trail of requests: who asked what, answered by which adapter.")


@audit_app.command("verify")
def verify(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files, or folders of them; without, the folder of RADIMPRESS_AUDIT.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Whether no line was changed, taken out or put in. Compare the head with one that was kept elsewhere."""
    folder = load_settings().audit
    chosen = paths or ([folder] if folder else [])
    if not chosen:
        raise ConfigError("audit: name a file or a folder, or set RADIMPRESS_AUDIT")
    for path in chosen:
        for file in sorted(path.glob("*.jsonl")) if path.is_dir() else [path]:
            found = verify_trail(file)
            if as_json:
                tell({"path": str(file), **asdict(found)})
            else:
                cut = f"; {found.torn} bytes of a line cut short behind it" if found.torn else ""
                OUT.print(f"{file}: {found.lines} lines in a whole chain, head {found.head}{cut}", markup=False)

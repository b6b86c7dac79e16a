"""`radimpress audit`: whether the trail of requests is whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from radimpress.reports.errors import ConfigError
from radimpress.server.console import OUT, tell
from radimpress.server.options import AsJson
from radimpress.server.security.trail import verify_all
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
    files = [file for path in chosen for file in (path.glob("*.jsonl") if path.is_dir() else [path])]
    for file, found in verify_all(files):
        if as_json:
            tell({"path": str(file), **asdict(found)})
        else:
            cut = f"; {found.torn} bytes of a line cut short behind it" if found.torn else ""
            late = f" from line {found.before + 1} on" if found.before else ""
            OUT.print(f"{file}: {found.lines} lines in a whole chain{late}, head {found.head}{cut}", markup=False)

"""`radimpress tokens make` and `radimpress keys make`: what callers show, and what seals report texts at rest."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from radimpress.reports.errors import ConfigError
from radimpress.server.console import ERR, tell
from radimpress.server.options import AsJson
from radimpress.server.security.caller import Role
from radimpress.server.security.sealing import make_key
from radimpress.server.security.tokens import entry, make_token
from radimpress.server.settings import load_settings

tokens_app = typer.Typer(no_args_is_help=True, help="Tokens that callers show; the server keeps their digests only.")
keys_app = typer.Typer(no_args_is_help=True, help="Keys that seal report texts at rest.")
_PRIVATE = 0o600


@tokens_app.command("make")
def tokens_make(
    subject: Annotated[str, typer.Argument(help="Who shows it, as logs and the audit trail name them.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
    clinic: Annotated[
        list[str] | None, typer.Option(help="Whose reports; may be repeated. Of the role clinic.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Until it expires; without, it does not.")] = None,
    file: Annotated[Path | None, typer.Option(help="TOML file to add it to; RADIMPRESS_TOKENS.")] = None,
    as_json: AsJson = False,
) -> None:
    """Makes a token, adds its digest to the server's file, and prints it: it cannot be shown again."""
    file = file or load_settings().tokens
    if file is None:
        raise ConfigError("tokens: name the file to add it to, or set RADIMPRESS_TOKENS")
    token, digest = make_token()
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days) if days else None
    block = f"\n{entry(digest, subject, role, clinic or (), expires).strip()}\n"
    # Added in place: the file's owner and mode are the operator's, so that the server can read it still.
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _PRIVATE), "w", encoding="utf-8") as known:
        known.write(block)
    if as_json:
        until = expires.isoformat() if expires else None
        tell({"token": token, "sha256": digest, "subject": subject, "role": role.value, "expires": until})
    else:
        print(token)
        ERR.print(f"{file} knows {subject} by its digest; the token itself is kept nowhere", markup=False)


@keys_app.command("make")
def keys_make(file: Annotated[Path, typer.Argument(help="File to write; it must not be there yet.")]) -> None:
    """Writes a new sealing key; the first of RADIMPRESS_FEEDBACK_KEYS seals, and each of them opens."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "w", encoding="utf-8") as made:
        made.write(make_key())
    ERR.print(f"{file}: what it seals can be opened with it alone, so keep a copy elsewhere", markup=False)

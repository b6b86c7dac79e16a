"""Options that several commands take, and what they open."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from radimpress.eval.signing import load_public
from radimpress.reports.errors import InputError
from radimpress.server.registry import Registry
from radimpress.server.routes import AdapterVersion
from radimpress.server.settings import load_settings

RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="TOML file; the published settings without it.")]
Dataset = Annotated[Path, typer.Argument(help="Folder that `reports prepare` wrote.")]
ClustersFile = Annotated[Path, typer.Option("--clusters", help="clusters.json.")]
BundleFolder = Annotated[Path, typer.Option("--bundles", help="Folder of adapter bundles.")]
RegistryUrl = Annotated[str | None, typer.Option("--registry", help="SQLAlchemy URL; RADIMPRESS_REGISTRY.")]
TrustedKeys = Annotated[
    list[Path] | None,
    typer.Option(
        "--trusted-key", help="PEM public key that must have signed; may be repeated; RADIMPRESS_TRUSTED_KEYS."
    ),
]
BundleRoot = Annotated[str | None, typer.Option("--bundles", help="Bundle folder or URL; RADIMPRESS_BUNDLES.")]
AdapterName = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="The adapter; its newest version if none is said.")
]
Expected = Annotated[int, typer.Option("--expected", help="Route table you looked at; 0 is whichever is current.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON: one object, or where there are many one a line.")]

_DIGITS = 9


def defaults_to(word: str) -> type[TyperGroup]:
    """A group of commands whose first word may be left out: then it is `word`."""

    class Group(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if args and args[0] not in self.commands and args[0] != "--help":
                args = [word, *args]
            return super().parse_args(ctx, args)

    return Group


def open_registry(url: str | None, bundles: str | None, trusted: Sequence[Path] | None = None) -> Registry:
    """The registry that options, or else settings, name."""
    settings = load_settings(registry=url, bundles=bundles, trusted_keys=tuple(trusted) if trusted else None)
    return Registry(
        settings.registry, settings.bundles, load_public(settings.trusted_keys), cache=settings.bundle_cache
    )


def find_adapter(known: Registry, text: str) -> AdapterVersion:
    """The version that "name" or "name@version" says; without a version the newest.

    Raises:
        InputError: it is neither.
        NotFoundError: there is none.
    """
    name, at, version = text.partition("@")
    right = version.isdecimal() and len(version) <= _DIGITS and int(version) > 0
    if not name or (at and not right):
        raise InputError("adapter", f"{text[:64]!r} is not NAME or NAME@VERSION")
    return known.adapter(name, int(version) if at else 0)


def actor() -> str:
    """Who runs the command, as the chain of events names them: user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a number that has no name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"

"""Options that several commands take, and what they open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from radimpress.eval.signing import load_public
from radimpress.server.registry import Registry
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
BundleRoot = Annotated[Path | None, typer.Option("--bundles", help="Bundle folder; RADIMPRESS_BUNDLES.")]


def open_registry(url: str | None, bundles: Path | None, trusted: Sequence[Path] | None = None) -> Registry:
    """The registry that options, or else settings, name."""
    settings = load_settings(registry=url, bundles=bundles, trusted_keys=tuple(trusted) if trusted else None)
    return Registry(settings.registry, settings.bundles, load_public(settings.trusted_keys))

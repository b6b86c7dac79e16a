"""Options that several commands take, and what they open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radimpress.server.registry import Registry
from radimpress.server.settings import load_settings

RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="TOML file; the published settings without it.")]
Dataset = Annotated[Path, typer.Argument(help="Folder that `reports prepare` wrote.")]
ClustersFile = Annotated[Path, typer.Option("--clusters", help="clusters.json.")]
BundleFolder = Annotated[Path, typer.Option("--bundles", help="Folder of adapter bundles.")]
RegistryUrl = Annotated[str | None, typer.Option("--registry", help="SQLAlchemy URL; RADIMPRESS_REGISTRY.")]
BundleRoot = Annotated[Path | None, typer.Option("--bundles", help="Bundle folder; RADIMPRESS_BUNDLES.")]


def open_registry(url: str | None, bundles: Path | None) -> Registry:
    """The registry that options, or else settings, name."""
    settings = load_settings(registry=url, bundles=bundles)
    return Registry(settings.registry, settings.bundles)

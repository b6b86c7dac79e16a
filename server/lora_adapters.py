"""The adapters that a TGI must be started with, so that it can serve a route table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from radimpress.reports.errors import ConfigError
from radimpress.server.engines.configuration import read_engines
from radimpress.server.rollout.plan import uses
from radimpress.server.routes import AdapterVersion, RouteTable
from radimpress.server.settings import ServerSettings

# TGI divides LORA_ADAPTERS at commas and equals signs, takes what stands behind an @ for a revision and loads the
# folder before it, and what reads an environment file knows some signs more.
_PATH = re.compile(r"[\w./:+-]+")


def seen_by_tgi(settings: ServerSettings) -> str | None:
    """The bundles' folder as the settings say that TGI sees it; None where they say nothing.

    Raises:
        NotFoundError: there is no file of several engines where they name one.
        ConfigError: it cannot be read.
    """
    if settings.engines is None:
        return settings.engine_adapters
    return next((entry.adapters for entry in read_engines(settings.engines) if entry.kind == "tgi"), None)


def lora_paths(
    table: RouteTable, bundles: str, folder: str | None = None, more: Iterable[AdapterVersion] = ()
) -> Iterator[tuple[str, str]]:
    """Digest and folder, as TGI sees it, of every adapter that the table gives requests to, serving or on trial.

    Args:
        table: the routes.
        bundles: their folder or URL here.
        folder: the same folder as TGI sees it; None where the path is the same.
        more: adapters that the next table is to have.

    Raises:
        ConfigError: TGI cannot be given that folder.
    """
    if folder is None:
        if "://" in bundles:
            raise ConfigError("engine_adapters: bundles are at a URL; say in which folder TGI sees them")
        folder = str(Path(bundles).resolve())
    for adapter in sorted({*(adapter for _, adapter in uses(table)), *more}, key=str):
        path = f"{folder.rstrip('/')}/{adapter.path}"
        if not _PATH.fullmatch(path):
            raise ConfigError(f"engine_adapters: {path!r:.200} holds signs that LORA_ADAPTERS cannot")
        yield adapter.digest, path

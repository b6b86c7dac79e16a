"""A registry out of a backup: the same route table, the same chain of events, the same bundles."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, inspect, make_url
from sqlalchemy.exc import SQLAlchemyError

from radimpress.reports.errors import ConfigError, ConflictError, DamageError, InputError, NotFoundError
from radimpress.reports.files import read_json, sha256_file
from radimpress.reports.progress import Track, silent
from radimpress.server.registry.backup import ABOUT, BUNDLES, DATABASES, Backup
from radimpress.server.registry.database import Database, cannot_open
from radimpress.server.registry.pgtools import run_tool
from radimpress.server.registry.registry import Registry
from radimpress.server.registry.store import Store
from radimpress.trainer.bundle import MANIFEST


def read_backup(folder: Path) -> Backup:
    """What a backup says of itself.

    Raises:
        NotFoundError: there is none.
        InputError: backup.json is not one of ours.
        DamageError: the database's file is gone, or is not the one that was written.
    """
    said: Any = read_json(folder / ABOUT)
    try:
        found = Backup(**{**said, "gone": tuple(said["gone"])})
        file = folder / DATABASES[found.database]
    except (KeyError, TypeError):
        raise InputError(str(folder / ABOUT), "is no backup's") from None
    if not file.is_file() or sha256_file(file) != found.sha256:
        raise DamageError(f"{file}: is not the file that was written")
    return found


def restore(url: str, bundles: str, cache: Path | None, folder: Path, track: Track = silent) -> Backup:
    """Puts a backup into an empty registry; bundles come first, so that nothing serves before they are there.

    Args:
        url: of the registry, SQLAlchemy's.
        bundles: the folder or the URL of the bundles.
        cache: the folder on this machine for bundles of a URL.
        folder: the backup.
        track: draws progress.

    Raises:
        NotFoundError: there is no backup.
        ConfigError: it is of another kind of database, the registry cannot be opened, or pg_restore failed.
        ConflictError: something is in the registry already.
        BundleError: a bundle of the backup is not the one that was registered.
        DamageError: the backup, or what became of it, is not what was written.
        UnavailableError: the database or the store cannot be reached.
    """
    found, place = read_backup(folder), make_url(url)
    kind = place.get_backend_name()
    if kind != found.database:
        raise ConfigError(f"registry: {kind} cannot take a backup of {found.database}")
    _check_empty(url, place)
    store = Store(bundles, cache)
    kept = {
        manifest.parent.relative_to(folder / BUNDLES).as_posix(): manifest
        for manifest in sorted((folder / BUNDLES).rglob(MANIFEST))
    }
    for path, manifest in kept.items():
        _check_free(store, path, sha256_file(manifest))
    for path in track(kept, "bundles", len(kept)):
        store.put(kept[path].parent, path)
    file = folder / DATABASES[kind]
    if kind == "sqlite":
        _copy(file, Path(str(place.database)).absolute())
    else:
        run_tool(
            "pg_restore", place, "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", str(file)
        )
    _check_same(Registry(url, bundles, cache=cache), found)
    return found


def _check_empty(url: str, place: URL) -> None:
    if place.get_backend_name() == "sqlite":
        file = Path(str(place.database))
        if file.exists() and file.stat().st_size:
            raise ConflictError(f"{file}: is there already; move it away first")
        return
    database = Database(url)
    try:
        tables = inspect(database.engine).get_table_names()
    except SQLAlchemyError as error:
        raise cannot_open(error) from None
    finally:
        database.close()
    if tables:
        raise ConflictError("registry: the database holds tables already; give an empty one")


def _check_free(store: Store, path: str, digest: str) -> None:
    """Whether a bundle's place is empty, or holds that very bundle."""
    with suppress(NotFoundError):
        there = store.fetch(path) / MANIFEST
        if there.exists() and sha256_file(there) != digest:
            raise ConflictError(f"{path}: another bundle is there already")


def _copy(file: Path, to: Path) -> None:
    # What an earlier database left beside its file would be read as part of this one.
    for end in ("-wal", "-shm", "-journal"):
        to.with_name(to.name + end).unlink(missing_ok=True)
    to.parent.mkdir(parents=True, exist_ok=True)
    side = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        shutil.copyfile(file, side)
        side.chmod(0o600)
        with side.open("rb") as opened:
            os.fsync(opened.fileno())
        side.replace(to)
    finally:
        side.unlink(missing_ok=True)


def _check_same(registry: Registry, found: Backup) -> None:
    """The registry that came of it, read as a server would."""
    try:
        registry.check_chain()
        (newest,) = registry.events(limit=1)
        adapters = {str(adapter): adapter.digest for adapter in registry.adapters(limit=len(found.adapters) + 1)}
        # Adapters may be registered before clusters are adopted, which makes the first table.
        table = next((table.number for table in registry.tables(limit=1)), 0)
        seen = (newest.number, newest.chain, table, adapters)
        if seen != (found.events, found.chain, found.route_table, found.adapters):
            raise DamageError("the registry that came of the backup is not the one that was copied")
        for adapter in registry.adapters(limit=len(adapters)):
            if str(adapter) not in found.gone:
                registry.verify(adapter)
    finally:
        registry.close()

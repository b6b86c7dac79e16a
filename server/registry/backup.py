"""A registry in one folder: its database as it was at one moment, and the bundles of its adapters.

| file | what it is |
|---|---|
| backup.json | what is in the folder, and where the chain of events stood |
| registry.db | the database: SQLite's own copy, made while others write |
| registry.dump | or PostgreSQL's, by its pg_dump |
| bundles/ | every adapter's bundle, under the path by which it is registered |

Bundles are never changed, so that those which the copied database names may be copied after it. Keys, tokens and the
audit trail are not in it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy import make_url, select, text
from sqlalchemy.orm import Session

from radimpress.reports.errors import ConflictError, NotFoundError
from radimpress.reports.files import sha256_file, write_json
from radimpress.reports.progress import Track, silent
from radimpress.server.registry.database import Database, translated
from radimpress.server.registry.events import EventRow
from radimpress.server.registry.pgtools import run_tool
from radimpress.server.registry.registry import Registry
from radimpress.server.registry.tables import AdapterRow, newest_table

ABOUT = "backup.json"
BUNDLES = "bundles"
DATABASES = {"sqlite": "registry.db", "postgresql": "registry.dump"}


@dataclass(frozen=True, slots=True)
class Backup:
    """What a folder holds.

    Attributes:
        database: "sqlite" or "postgresql".
        sha256: of the database's file, in hex.
        events: number of the newest event.
        chain: its chain, in hex.
        route_table: number of the newest route table.
        adapters: each adapter's weights by digest, as in {"unified@2": "9f…"}.
        gone: the retired ones among them whose bundles were not there any more.
    """

    database: str
    sha256: str
    events: int
    chain: str
    route_table: int
    adapters: dict[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()


def make_backup(registry: Registry, into: Path, track: Track = silent) -> Backup:
    """Copies a registry, which may be in use, into a new folder; it is there wholly or not at all.

    Raises:
        ConflictError: the folder is there already.
        ConfigError: pg_dump is not installed, or failed.
        NotFoundError: nothing is in the registry yet, or the bundle of an adapter that is not retired is gone.
        BundleError: a bundle is not the one that was registered.
        UnavailableError: the database or the store cannot be reached.
    """
    if into.exists():
        raise ConflictError(f"{into}: is there already; a backup makes a folder of its own")
    kind = make_url(registry.url).get_backend_name()
    into.parent.mkdir(parents=True, exist_ok=True)
    side = Path(tempfile.mkdtemp(dir=into.parent, prefix=f".{into.name}."))
    try:
        file = side / DATABASES[kind]
        with (_copied if kind == "sqlite" else _dumped)(registry.url, file) as session:
            adapters = [row.value for row in session.scalars(select(AdapterRow).order_by(AdapterRow.created))]
            newest = session.scalar(select(EventRow).order_by(EventRow.number.desc()).limit(1))
            table = newest_table(session)
        if newest is None:
            raise NotFoundError("there is nothing in the registry to copy")
        gone = []
        for adapter in track(adapters, "bundles", len(adapters)):
            try:
                registry.store.copy(adapter.path, adapter.manifest_digest, side / BUNDLES / adapter.path)
            except NotFoundError:
                if adapter.retired is None:
                    raise
                gone.append(str(adapter))
        known = {str(adapter): adapter.digest for adapter in adapters}
        made = Backup(kind, sha256_file(file), newest.number, newest.chain, table, known, tuple(gone))
        write_json(side / ABOUT, asdict(made))
        side.rename(into)
    finally:
        shutil.rmtree(side, ignore_errors=True)
    return made


@contextmanager
def _copied(url: str, file: Path) -> Iterator[Session]:
    """SQLite's copy, which has all that was committed when it began and nothing half."""
    source, copy = Database(url), None
    try:
        with closing(source.aside()) as there, closing(sqlite3.connect(file)) as here:
            there.backup(here)
        copy = Database(f"sqlite:///{file}")
        with copy.reading() as session:
            yield session
    finally:
        source.close()
        if copy is not None:
            copy.close()
    with closing(sqlite3.connect(file)) as here:
        # One file, with nothing beside it.
        here.execute("PRAGMA journal_mode=DELETE")
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


@contextmanager
def _dumped(url: str, file: Path) -> Iterator[Session]:
    """PostgreSQL's dump, and a session that sees the very same moment."""
    database = Database(url)
    try:
        with translated(), database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            moment = connection.scalar(text("SELECT pg_export_snapshot()"))
            options = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={moment}", f"--file={file}")
            run_tool("pg_dump", make_url(url), *options)
            with Session(connection) as session:
                yield session
    finally:
        database.close()

"""Brings a registry's tables up to what this program knows, by alembic, in one transaction.

An SQLite file belongs to this machine and is upgraded when it is opened. A PostgreSQL database may be in
use by older servers: an empty one is made, an older one only by `radimpress registry upgrade`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from radimpress.reports.errors import ConfigError, RadimpressError
from radimpress.server.registry.database import Database, Lock, cannot_open

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

HEAD = "0002"
# What programs made that knew of no revisions.
_FIRST = "0001"
_FOLDER = Path(__file__).parent / "migrations"


def prepare(database: Database) -> None:
    """What opening a registry does with its tables.

    Raises:
        ConfigError: the database cannot be opened, is newer than this program, or is PostgreSQL's and older.
    """
    here = _check(database)
    if here == HEAD:
        return
    if here and database.shared:
        raise ConfigError(f"registry: is of revision {here}, not {HEAD}; run `radimpress registry upgrade` first")
    _upgrade(database)


def upgrade(url: str) -> str:
    """Upgrades a registry, or makes it; gives the revision that it had before, "" where there was nothing.

    Raises:
        ConfigError: the database cannot be opened, or is newer than this program.
    """
    database = Database(url)
    try:
        here = _check(database)
        if here != HEAD:
            _upgrade(database)
        return here
    finally:
        database.close()


def scripts() -> ScriptDirectory:
    """The migrations, as alembic reads them."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(_FOLDER), version_locations=[str(_FOLDER)])


def _check(database: Database) -> str:
    try:
        with Session(database.engine) as session:
            here = _revision(session)
    except SQLAlchemyError as error:
        raise cannot_open(error) from None
    if here > HEAD:
        raise ConfigError(f"registry: is of revision {here}; this program knows {HEAD} and none later")
    return here


def _upgrade(database: Database) -> None:
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    known = scripts()
    try:
        with database.writing(Lock.SCHEMA) as session:
            # Another process may have been quicker.
            here = _revision(session)
            context = MigrationContext.configure(session.connection())
            if here == _FIRST and not context.get_current_heads():
                context.stamp(known, _FIRST)
            steps = list(known.iterate_revisions(HEAD, here or "base")) if here != HEAD else []
            with Operations.context(context):
                for step in reversed(steps):
                    step.module.upgrade()
                    context.stamp(known, step.revision)
    except RadimpressError as error:
        raise ConfigError(f"registry: cannot be upgraded: {error}") from None


def _revision(session: Session) -> str:
    tables = inspect(session.connection()).get_table_names()
    if "alembic_version" in tables:
        return str(session.scalar(text("SELECT version_num FROM alembic_version")) or "")
    return _FIRST if "adapters" in tables else ""

"""Where the registry's rows are kept: connections, transactions, and a database's errors in our words.

SQLite in WAL mode, or PostgreSQL. On both, one change at a time: SQLite locks the file, PostgreSQL what
`Lock` names. So whoever comes second sees what the first one did, instead of running into it. Keys keep
the numbers apart all the same.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, Select, create_engine, event, func, make_url, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from radimpress.reports.errors import ConfigError, ConflictError, InputError, UnavailableError
from radimpress.reports.wal import use_wal

_BUSY_MS = 5000
# A machine that vanished does not say so: without these, a connection to it would wait for a quarter of an hour.
_POSTGRES = {"connect_timeout": "5", "tcp_user_timeout": "10000", "application_name": "radimpress"}
# Seen by other transactions as a conflict: serialisation failure, deadlock.
_CONFLICTS = {"40001", "40P01"}
_FULL = {"SQLITE_FULL", "53100"}
_WAITED = "55P03"
# What PostgreSQL calls a limit of its own that a value is beyond: too large for an index, too many columns.
_BEYOND = "54000"
# A server that stands still in the middle of a change, frozen or cut off, loses its lock, and those behind it do
# not wait for ever; the second is longer. In milliseconds; by transaction, which PgBouncer lets pass.
_STILL_MS = 5_000
_LOCK_MS = 8_000
# A change of the schema may take its time.
_SCHEMA_MS = 600_000
_BEGIN = "radimpress_begin"


class Lock(IntEnum):
    """What a change keeps others from changing meanwhile; PostgreSQL's advisory locks of these numbers."""

    ROUTES = 0x7261_6401
    ANSWERS = 0x7261_6402
    SCHEMA = 0x7261_6403


class Database:
    """One database.

    Args:
        url: an SQLAlchemy URL of SQLite or PostgreSQL.
        synchronous: of SQLite. FULL survives a power cut; NORMAL a crash of the program, and is many times
            as fast.

    Raises:
        ConfigError: it is of neither kind, or the driver is not installed.
    """

    def __init__(self, url: str, *, synchronous: str = "FULL") -> None:
        self._file: Path | None = None
        try:
            made = make_url(url)
            if made.get_backend_name() == "sqlite":
                self._file, made = _sqlite(made)
                self._engine = create_engine(made, hide_parameters=True)
                event.listen(self._engine, "connect", _prepare(synchronous))
                event.listen(self._engine, "begin", _begin)
            elif made.get_backend_name() == "postgresql":
                self._engine = create_engine(_postgres(made), hide_parameters=True, pool_pre_ping=True)
            else:
                raise ConfigError(f"registry: {made.get_backend_name()} is neither sqlite nor postgresql")
        except (SQLAlchemyError, ImportError, OSError) as error:
            raise cannot_open(error) from None
        self._inode = _inode(self._file)

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine."""
        return self._engine

    @property
    def shared(self) -> bool:
        """Whether other machines may use it too."""
        return self._file is None

    def inode(self) -> tuple[int, int] | None:
        """Which file is at SQLite's place now; None where there is none."""
        return _inode(self._file)

    def aside(self) -> sqlite3.Connection:
        """SQLite's own connection, which waits for nobody, for whoever closes it.

        Raises:
            sqlite3.Error: it cannot be opened.
        """
        name = f"file:{quote(str(self._file))}?mode=rw"
        return sqlite3.connect(name, timeout=0, isolation_level=None, check_same_thread=False, uri=True)

    @contextmanager
    def connected(self, lock: Lock | None = None) -> Iterator[Connection]:
        """A transaction, there wholly or not at all; with a lock it may write, and is alone with it.

        Raises:
            UnavailableError: the database cannot be reached, or its disk is full. Only where the connection
                breaks while PostgreSQL commits is it not known whether the change is there.
            ConflictError: somebody else wrote the same.
            InputError: it cannot hold what is given or asked for.
        """
        self._look()
        with translated(), self._engine.connect() as connection:
            if lock is not None:
                connection.execution_options(**{_BEGIN: "IMMEDIATE"})
            with connection.begin():
                if lock is not None and self.shared:
                    connection.execute(_lock(lock))
                yield connection

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """`connected` for rows, without a lock: changes nothing."""
        with self.connected() as connection, Session(connection, autoflush=False) as session:
            yield session

    @contextmanager
    def writing(self, lock: Lock) -> Iterator[Session]:
        """`connected` for rows, with a lock."""
        with self.connected(lock) as connection, Session(connection) as session:
            yield session
            session.flush()

    def close(self) -> None:
        """Closes the connections."""
        self._engine.dispose()

    def _look(self) -> None:
        """Drops connections to a file that is no longer the one at its place."""
        if self._file is None:
            return
        found = self.inode()
        if found is None:
            raise UnavailableError("the registry's file is gone")
        if found != self._inode:
            self._engine.dispose()
            self._inode = found


def _lock(lock: Lock) -> Select[Any]:
    """PostgreSQL's statement that waits for a lock, for so long and no longer."""
    patience = _SCHEMA_MS if lock is Lock.SCHEMA else _LOCK_MS
    return select(
        func.set_config("lock_timeout", str(patience), True),
        func.set_config("idle_in_transaction_session_timeout", str(_STILL_MS), True),
        func.pg_advisory_xact_lock(int(lock)),
    )


@contextmanager
def translated() -> Iterator[None]:
    """A database's errors in our words, which hold no SQL, no URL and no value.

    Raises:
        UnavailableError: it cannot be reached, or its disk is full.
        ConflictError: somebody else wrote the same.
        InputError: it cannot hold a value, such as a NUL in text.
    """
    try:
        yield
    except IntegrityError:
        raise ConflictError("the registry was changed at the same moment; look again") from None
    except DataError:
        raise _not_kept() from None
    except DBAPIError as error:
        raise _spoken(error.orig) from None
    except SQLAlchemyError as error:
        raise UnavailableError(f"the registry cannot be used now ({type(error).__name__})") from None


def cannot_open(error: Exception) -> ConfigError:
    """A URL may hold a password, and a driver's message the URL."""
    return ConfigError(f"registry: cannot be opened ({type(error).__name__})")


def _not_kept() -> InputError:
    return InputError("value", "cannot be kept in the registry")


def _spoken(error: object) -> ConflictError | InputError | UnavailableError:
    code = getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None) or type(error).__name__
    if code == _BEYOND:
        return _not_kept()
    if code in _CONFLICTS:
        return ConflictError("the registry was changed at the same moment; look again")
    if code in _FULL:
        return UnavailableError("the registry's disk is full")
    if code == _WAITED:
        return UnavailableError("another server holds the registry's lock")
    return UnavailableError(f"the registry cannot be reached now ({code})")


def _sqlite(url: URL) -> tuple[Path, URL]:
    """The file, and a URL that never makes one: a file that is gone must not come back empty."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise ConfigError("registry: SQLite needs a file, as in sqlite:///registry.db")
    file = Path(url.database).absolute()
    if not file.exists():
        file.touch()
    query = {**url.query, "mode": "rw", "uri": "true"}
    return file, url.set(database=f"file:{quote(str(file))}", query=query)


def _postgres(url: URL) -> URL:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return url.set(query={**_POSTGRES, **url.query})


def _prepare(synchronous: str) -> Any:
    def prepare(connection: sqlite3.Connection, record: object) -> None:
        del record
        # sqlite3 would begin transactions where it sees fit, and not for what changes tables; see `_begin`.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        use_wal(connection, _BUSY_MS / 1000)
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")

    return prepare


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get(_BEGIN, 'DEFERRED')}")


def _inode(file: Path | None) -> tuple[int, int] | None:
    if file is None:
        return None
    try:
        found = os.stat(file)  # noqa: PTH116 (on the path of every transaction)
    except OSError:
        return None
    return found.st_dev, found.st_ino

"""Whether SQLite holds a row, asked on the spot: by key that takes no longer than the way to another thread."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Select
from sqlalchemy.dialects import sqlite

from radimpress.server.registry.database import Database


class Glance:
    """One question, on a connection of its own that waits for nobody.

    In WAL mode a reader is held up by no writer. Where it cannot be told at once whether the row is there
    (the file was replaced, the database is being recovered) it says so, and whoever asks takes the long way.

    Args:
        database: of SQLite.
        query: finds the row; its parameters are named.
    """

    def __init__(self, database: Database, query: Select[Any]) -> None:
        self._database = database
        self._sql = str(query.compile(dialect=sqlite.dialect(paramstyle="named")))
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None

    def absent(self, **values: object) -> bool:
        """Whether no row is there for sure."""
        inode = self._database.inode()
        if inode is None:
            return False
        try:
            if inode != self._inode or self._connection is None:
                self.close()
                self._connection, self._inode = self._database.aside(), inode
            return self._connection.execute(self._sql, values).fetchone() is None
        except sqlite3.Error:
            self.close()
            return False

    def close(self) -> None:
        """Closes the connection; the next question opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

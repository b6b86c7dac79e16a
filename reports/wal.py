"""SQLite with a write-ahead log, which lets readers and a writer work side by side (https://sqlite.org/wal.html)."""

from __future__ import annotations

import sqlite3
import time

_PAUSE = 0.02
# What passes: others are at it, or are leaving and take their files along. An extended code has these in its last byte.
_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
}


def use_wal(connection: sqlite3.Connection, seconds: float) -> None:
    """WAL mode, which the file keeps; SQLite does not always wait for others who are at it.

    Args:
        connection: to the file.
        seconds: waited at most.

    Raises:
        sqlite3.OperationalError: it cannot be, or others were at it all the time.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _PASSING or time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
        else:
            return

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from radimpress.reports.wal import use_wal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.db"


def _mode(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_it_waits_for_whoever_is_at_the_file(path: Path) -> None:
    with closing(sqlite3.connect(path, check_same_thread=False)) as other, closing(sqlite3.connect(path)) as own:
        own.execute("PRAGMA busy_timeout=0")
        other.execute("BEGIN EXCLUSIVE")
        leaving = threading.Timer(0.2, other.rollback)
        leaving.start()
        use_wal(own, 60.0)
        leaving.join()
        assert _mode(own) == "wal"


def test_it_does_not_wait_for_ever(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other, closing(sqlite3.connect(path)) as own:
        own.execute("PRAGMA busy_timeout=0")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            use_wal(own, 0.1)


def test_what_does_not_pass_is_not_waited_for(path: Path) -> None:
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (x)")
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as own,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        use_wal(own, 3600.0)

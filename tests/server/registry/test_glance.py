"""SQLite tells at once that a row is not there, or says that it cannot tell."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import bindparam, select

from radimpress.server.registry.answers import answers
from radimpress.server.registry.database import Database
from radimpress.server.registry.glance import Glance

_BY_REQUEST = select(answers.c.number).where(answers.c.request_id == bindparam("request_id"))


def _make(file: Path, *names: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE answers (number INTEGER, request_id TEXT)")
        connection.executemany("INSERT INTO answers VALUES (1, ?)", [(name,) for name in names])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "registry.db"
    _make(made, "there")
    return made


@pytest.fixture
def glance(file: Path) -> Iterator[Glance]:
    with closing(Database(f"sqlite:///{file}")) as database, closing(Glance(database, _BY_REQUEST)) as made:
        yield made


def test_what_is_there_and_what_is_not(glance: Glance) -> None:
    assert glance.absent(request_id="other")
    assert not glance.absent(request_id="there")


def test_what_another_wrote_meanwhile_is_seen(glance: Glance, file: Path) -> None:
    assert glance.absent(request_id="new")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("INSERT INTO answers VALUES (2, 'new')")
    assert not glance.absent(request_id="new")


def test_a_writer_in_the_midst_holds_nobody_up(glance: Glance, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO answers VALUES (2, 'new')")
        assert glance.absent(request_id="other")
        assert not glance.absent(request_id="there")


def test_a_file_that_is_gone_or_locked_cannot_be_told_of(glance: Glance, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        assert not glance.absent(request_id="other")
    assert glance.absent(request_id="other")
    file.unlink()
    assert not glance.absent(request_id="other")


def test_a_file_in_the_place_of_another_is_looked_into(glance: Glance, file: Path, tmp_path: Path) -> None:
    assert glance.absent(request_id="other")
    _make(tmp_path / "restored.db", "other")
    for end in ("-wal", "-shm"):
        (tmp_path / f"registry.db{end}").unlink(missing_ok=True)
    (tmp_path / "restored.db").rename(file)
    assert not glance.absent(request_id="other")

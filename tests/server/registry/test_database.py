from __future__ import annotations

import random
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from radimpress.reports.errors import ConfigError, ConflictError, InputError, UnavailableError
from radimpress.server.registry import Registry, migrate
from radimpress.server.registry import database as databases
from radimpress.server.registry.database import Database, Lock
from radimpress.server.registry.tables import ClustersRow


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "SQLite needs a file"),
        ("sqlite:////nowhere/at/all/registry.db", "cannot be opened"),
        ("mysql://ana:secret@db/radimpress", "mysql is neither sqlite nor postgresql"),
        ("nothing://ana:secret@db/radimpress", "cannot be opened|neither"),
        ("secret", "cannot be opened"),
        ("postgresql://ana:secret@localhost:1/radimpress", "cannot be opened"),
    ],
)
def test_a_database_that_cannot_be_opened_is_told_without_its_password(url: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"registry: .*({told})") as raised:
        Registry(url, tmp_path)
    assert "secret" not in str(raised.value)


def test_what_breaks_off_is_not_there(database_url: str) -> None:
    migrate.upgrade(database_url)
    with closing(Database(database_url)) as database:
        with suppress(RuntimeError), database.writing(Lock.ROUTES) as session:
            session.add(ClustersRow(digest="a", clinics="{}"))
            session.flush()
            raise RuntimeError("half way")
        with database.reading() as session:
            assert session.get(ClustersRow, "a") is None


def test_the_same_key_twice_is_a_conflict(database_url: str) -> None:
    migrate.upgrade(database_url)
    with closing(Database(database_url)) as database:
        with database.writing(Lock.ROUTES) as session:
            session.add(ClustersRow(digest="a", clinics="{}"))
        with pytest.raises(ConflictError), database.writing(Lock.ROUTES) as session:
            session.add(ClustersRow(digest="a", clinics="{}"))


def test_text_that_postgresql_cannot_hold_is_the_callers_error(postgres_url: str) -> None:
    migrate.upgrade(postgres_url)
    with (
        closing(Database(postgres_url)) as database,
        pytest.raises(InputError, match="value: cannot be kept") as told,
        database.writing(Lock.ROUTES) as session,
    ):
        session.add(ClustersRow(digest="a", clinics="canary\0"))
    assert "canary" not in str(told.value)


def test_a_file_that_somebody_else_has_locked_can_be_read_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "_BUSY_MS", 50)
    file = tmp_path / "registry.db"
    migrate.upgrade(f"sqlite:///{file}")
    with closing(Database(f"sqlite:///{file}")) as database, closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="SQLITE_BUSY"), database.writing(Lock.ROUTES):
            pass
        with database.reading() as session:
            assert session.get(ClustersRow, "a") is None
        other.rollback()
        with database.writing(Lock.ROUTES) as session:
            session.add(ClustersRow(digest="a", clinics="{}"))


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    migrate.upgrade(url)
    with closing(Database(url)) as database:
        with database.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        full = pytest.raises(UnavailableError, match="the registry's disk is full")
        with full, database.writing(Lock.ROUTES) as session:
            session.connection().exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            session.add(ClustersRow(digest="a", clinics="{}"))
            session.flush()
            session.add(ClustersRow(digest="b", clinics="x" * 100_000))
        with database.reading() as session:
            assert session.get(ClustersRow, "a") is None


def test_a_relative_file_stays_the_same_when_the_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    migrate.upgrade("sqlite:///a%20b.db")
    with closing(Database("sqlite:///a%20b.db")) as database:
        monkeypatch.chdir("/")
        with database.reading() as session:
            assert session.get(ClustersRow, "a") is None


def test_a_server_that_stands_still_in_the_middle_of_a_change_holds_up_the_others_for_a_while_only(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "_STILL_MS", 300)
    migrate.upgrade(postgres_url)
    with closing(Database(postgres_url)) as still, closing(Database(postgres_url)) as other:

        def stand_still() -> None:
            with still.writing(Lock.ROUTES) as session:
                session.add(ClustersRow(digest="a", clinics="{}"))
                session.flush()
                with other.writing(Lock.ROUTES) as second:
                    assert second.get(ClustersRow, "a") is None
                    second.add(ClustersRow(digest="b", clinics="{}"))

        with pytest.raises(UnavailableError):
            stand_still()
        with still.reading() as session:
            assert session.get(ClustersRow, "a") is None
            assert session.get(ClustersRow, "b") is not None


def test_who_waits_for_a_lock_is_told_in_time(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "_LOCK_MS", 300)
    migrate.upgrade(postgres_url)
    with closing(Database(postgres_url)) as first, closing(Database(postgres_url)) as second:
        with first.writing(Lock.ROUTES) as session:
            with pytest.raises(UnavailableError, match="another server holds"), second.writing(Lock.ROUTES):
                pass
            # Of another kind it is another lock.
            with second.writing(Lock.ANSWERS):
                pass
            session.add(ClustersRow(digest="a", clinics="{}"))
        with second.writing(Lock.ROUTES) as session:
            assert session.get(ClustersRow, "a") is not None


def test_a_key_that_is_too_long_for_postgresql_is_the_callers_error(postgres_url: str) -> None:
    migrate.upgrade(postgres_url)
    # Not to be made shorter, as PostgreSQL does with what repeats itself.
    key = random.Random(0).randbytes(20_000).hex()
    with (
        closing(Database(postgres_url)) as database,
        pytest.raises(InputError, match="value: cannot be kept"),
        database.writing(Lock.ROUTES) as session,
    ):
        session.add(ClustersRow(digest=key, clinics="{}"))

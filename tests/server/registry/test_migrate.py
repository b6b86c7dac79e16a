from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.orm import Session

from radimpress.reports.errors import ConfigError
from radimpress.server.registry import Registry, migrate
from radimpress.server.registry.database import Database
from radimpress.server.registry.migrations import r0001_routes
from radimpress.server.registry.tables import Base
from tests.server.conftest import CLINICS, clusters

KEPT = {
    "adapters": "'{0}', 'unified', 1, 'tiny-phi3', '{0}', 2, 'unified/0', '{0}', '2026-01-01T00:00:00+00:00'",
    "clusters": "'{1}', '{2}'",
    "certificates": "'{0}', '{{}}'",
    "route_tables": "1, '{1}', 'promote unified@1', '2026-01-01T00:00:00+00:00'",
    "route_entries": "1, 'CT', 'list', '{0}', '{0}'",
}


def _old(url: str, *, rows: bool = True) -> None:
    """Makes a registry as the program made it before it knew of revisions."""
    from alembic.operations import Operations

    with closing(Database(url)) as database, database.engine.begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            r0001_routes.upgrade()
        if rows:
            clinics = '{"alder":"list","birch":"list","elm":"telegraphic"}'
            for table, values in KEPT.items():
                said = values.format("a" * 64, clusters().digest, clinics)
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({said})")


def _revision(url: str) -> str:
    with closing(Database(url)) as database, Session(database.engine) as session:
        return migrate._revision(session)


def test_the_newest_migration_is_the_one_that_the_program_asks_for() -> None:
    assert migrate.scripts().get_heads() == [migrate.HEAD]


def test_the_migrations_make_the_tables_that_the_rows_say(database_url: str, tmp_path: Path) -> None:
    with closing(Registry(database_url, tmp_path)) as registry, registry._database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_an_empty_database_is_made(database_url: str, tmp_path: Path) -> None:
    assert migrate.upgrade(database_url) == ""
    assert migrate.upgrade(database_url) == migrate.HEAD
    with closing(Registry(database_url, tmp_path)) as registry:
        assert registry.adopt(clusters()).number == 1


@pytest.fixture
def old_url(database_url: str) -> str:
    """A registry of the first revision, without a word about revisions, with a table that serves."""
    _old(database_url)
    return database_url


def test_an_older_file_is_upgraded_when_it_is_opened_and_keeps_what_it_held(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    _old(url)
    with closing(Registry(url, tmp_path)) as registry:
        _check_kept(registry)
    assert _revision(url) == migrate.HEAD


def test_an_older_postgresql_is_upgraded_by_the_command_only(postgres_url: str, tmp_path: Path) -> None:
    _old(postgres_url)
    with pytest.raises(ConfigError, match=r"is of revision 0001.*`radimpress registry upgrade`"):
        Registry(postgres_url, tmp_path)
    assert migrate.upgrade(postgres_url) == "0001"
    with closing(Registry(postgres_url, tmp_path)) as registry:
        _check_kept(registry)


def test_what_an_upgrade_does_is_done_wholly_or_not_at_all(old_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known: Any = migrate.scripts()
    real = known.get_revision("0002").module.upgrade

    def fail() -> None:
        real()
        raise RuntimeError("half way")

    monkeypatch.setattr(known.get_revision("0002").module, "upgrade", fail)
    monkeypatch.setattr(migrate, "scripts", lambda: known)
    with pytest.raises(RuntimeError):
        migrate.upgrade(old_url)
    monkeypatch.undo()
    assert _revision(old_url) == "0001"
    assert migrate.upgrade(old_url) == "0001"
    assert _revision(old_url) == migrate.HEAD


def test_a_registry_of_a_later_program_is_refused(database_url: str, tmp_path: Path) -> None:
    migrate.upgrade(database_url)
    with closing(Database(database_url)) as database, database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for attempt in (lambda: Registry(database_url, tmp_path), lambda: migrate.upgrade(database_url)):
        with pytest.raises(ConfigError, match="revision 9999; this program knows"):
            attempt()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_text("this is no database at all" * 100, "utf-8")
    with pytest.raises(ConfigError, match="registry: cannot be opened"):
        Registry(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path)


def _check_kept(registry: Registry) -> None:
    table = registry.table()
    assert (table.number, table.cause, table.clinics) == (1, "promote unified@1", CLINICS)
    assert [(str(cell), str(entry.adapter)) for cell, entry in table.entries.items()] == [("CT/list", "unified@1")]
    assert registry.adapter("unified").retired is None
    assert registry.check_chain() == 0
    assert registry.rollback(1).number == 2
    assert registry.check_chain() == 1

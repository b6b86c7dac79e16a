"""Backup, wipe, restore, on both databases: the same table, chain and digests, serving again."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from radimpress.reports.errors import BundleError, ConfigError, ConflictError, DamageError, InputError, NotFoundError
from radimpress.server.registry import Journal, Registry
from radimpress.server.registry import database as databases
from radimpress.server.registry.backup import ABOUT, DATABASES, make_backup
from radimpress.server.registry.database import Database, Lock
from radimpress.server.registry.restore import read_backup, restore
from radimpress.server.registry.tables import content_of
from radimpress.trainer.bundle import WEIGHTS
from tests.postgres import Postgres
from tests.server.conftest import CT_LIST, CT_TELEGRAPHIC, Site, change_byte, clusters
from tests.server.peer import Peer
from tests.server.registry.conftest import answer

FRESH = Callable[[Path], str]


@pytest.fixture
def fresh(request: pytest.FixtureRequest, database_url: str) -> FRESH:
    """Gives the URL of an empty database of the site's kind."""
    if database_url.startswith("sqlite"):
        return lambda folder: f"sqlite:///{folder / 'registry.db'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    return lambda _: postgres.fresh()


def _filled(site: Site) -> None:
    """An adapter that served and is retired, one that serves now, and an answer written down."""
    first = site.promote(site.first, CT_LIST)
    site.registry.rollback(1)
    site.promote(site.second, CT_LIST, CT_TELEGRAPHIC)
    site.registry.retire(first)
    with closing(Journal(site.registry, None, 30)) as journal:
        asyncio.run(journal.record(answer(created=datetime.now(UTC))))


def _serves(site: Site) -> tuple[int, str]:
    """Which table, and which adapter, a server of this site answers by."""
    with site.serving() as address, Peer(address) as peer:
        said = peer.generate(modality="CT", clinic="elm").provenance
        return said.route_table, said.digest


def test_what_is_wiped_comes_back_and_serves_as_before(site: Site, fresh: FRESH, tmp_path: Path) -> None:
    _filled(site)
    before = [content_of(table) for table in site.registry.tables()]
    chain = site.registry.events()
    served = _serves(site)
    made = make_backup(site.registry, tmp_path / "backup")
    site.registry.close()
    shutil.rmtree(site.bundles)

    url = fresh(tmp_path / "new")
    assert restore(url, str(tmp_path / "new" / "bundles"), None, tmp_path / "backup") == made
    with closing(Registry(url, tmp_path / "new" / "bundles")) as registry:
        assert [content_of(table) for table in registry.tables()] == before
        assert registry.events() == chain
        assert {str(adapter): adapter.digest for adapter in registry.adapters()} == made.adapters
        assert registry.check_chain() == made.events
        with closing(Journal(registry, None, 30)) as journal:
            kept = asyncio.run(journal.find("alder", "r-1"))
            assert kept is not None
            assert kept.message == answer().message
        assert served == (made.route_table, site.second.digest)
        assert _serves(replace(site, registry=registry)) == served


def test_what_has_no_route_table_yet_comes_back(site: Site, fresh: FRESH, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with closing(Registry(fresh(tmp_path / "one"), site.bundles)) as registry:
        adapter = registry.register(site.path(site.first))
        made = make_backup(registry, tmp_path / "backup")
    assert made.route_table == 0
    url, bundles = fresh(tmp_path / "other"), tmp_path / "bundles"
    assert restore(url, str(bundles), None, tmp_path / "backup") == made
    with closing(Registry(url, bundles)) as registry:
        assert registry.adapters() == [adapter]


def test_a_copy_is_of_one_moment_while_others_write(
    site: Site, fresh: FRESH, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long the copy takes here, the change that waits beside it is not taken for a server that stands still.
    monkeypatch.setattr(databases, "_STILL_MS", 120_000)
    _filled(site)
    database = Database(site.url)
    with database.writing(Lock.ROUTES):
        # A change that is not committed is neither waited for nor in the copy.
        made = make_backup(site.registry, tmp_path / "backup")
    database.close()
    site.registry.rollback(1)
    assert restore(fresh(tmp_path / "new"), str(tmp_path / "new"), None, tmp_path / "backup") == made
    assert made.route_table < site.registry.table().number


def test_a_folder_that_is_there_is_left_alone(site: Site, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    with pytest.raises(ConflictError, match="is there already"):
        make_backup(site.registry, tmp_path / "backup")
    assert list((tmp_path / "backup").iterdir()) == []


def test_a_bundle_that_is_not_the_registered_one_is_no_backup(site: Site, tmp_path: Path) -> None:
    _filled(site)
    change_byte(site.second.path / WEIGHTS)
    with pytest.raises(BundleError):
        make_backup(site.registry, tmp_path / "backup")
    shutil.rmtree(site.second.path)
    with pytest.raises(NotFoundError):
        make_backup(site.registry, tmp_path / "backup")
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == []


def test_a_retired_bundle_may_be_gone_and_is_told(site: Site, fresh: FRESH, tmp_path: Path) -> None:
    _filled(site)
    shutil.rmtree(site.first.path)
    made = make_backup(site.registry, tmp_path / "backup")
    assert made.gone == ("unified@1",)
    assert restore(fresh(tmp_path / "new"), str(tmp_path / "new"), None, tmp_path / "backup") == made


def test_a_registry_that_holds_something_is_left_alone(site: Site, tmp_path: Path) -> None:
    _filled(site)
    make_backup(site.registry, tmp_path / "backup")
    events = site.registry.events()
    with pytest.raises(ConflictError):
        restore(site.url, str(tmp_path / "new"), None, tmp_path / "backup")
    assert site.registry.events() == events
    assert not (tmp_path / "new").exists()


def test_another_bundle_in_a_bundles_place_is_left_alone(site: Site, fresh: FRESH, tmp_path: Path) -> None:
    _filled(site)
    make_backup(site.registry, tmp_path / "backup")
    place = tmp_path / "new" / site.path(site.first)
    shutil.copytree(site.second.path, place)
    with pytest.raises(ConflictError, match="another bundle"):
        restore(fresh(tmp_path / "other"), str(tmp_path / "new"), None, tmp_path / "backup")
    assert [path.name for path in (tmp_path / "new").iterdir()] == [place.relative_to(tmp_path / "new").parts[0]]


@pytest.mark.parametrize("what", ["database", "weights"])
def test_a_backup_that_was_changed_is_refused(site: Site, fresh: FRESH, tmp_path: Path, what: str) -> None:
    _filled(site)
    made = make_backup(site.registry, tmp_path / "backup")
    file = tmp_path / "backup" / DATABASES[made.database]
    change_byte(file if what == "database" else tmp_path / "backup" / "bundles" / site.path(site.second) / WEIGHTS)
    with pytest.raises((DamageError, BundleError)):
        restore(fresh(tmp_path / "new"), str(tmp_path / "new"), None, tmp_path / "backup")


def test_a_backup_that_lost_a_bundle_is_told(site: Site, fresh: FRESH, tmp_path: Path) -> None:
    _filled(site)
    make_backup(site.registry, tmp_path / "backup")
    shutil.rmtree(tmp_path / "backup" / "bundles" / site.path(site.second))
    with pytest.raises(BundleError):
        restore(fresh(tmp_path / "new"), str(tmp_path / "new"), None, tmp_path / "backup")


def test_a_backup_goes_back_to_the_kind_of_database_that_it_is_of(site: Site, tmp_path: Path) -> None:
    kind = make_backup(site.registry, tmp_path / "backup").database
    other = "postgresql://nobody@nowhere/nothing" if kind == "sqlite" else f"sqlite:///{tmp_path / 'new.db'}"
    with pytest.raises(ConfigError, match=f"cannot take a backup of {kind}"):
        restore(other, str(tmp_path / "new"), None, tmp_path / "backup")
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize("said", [[], {}, {"database": "oracle", "gone": []}, {"gone": 3}])
def test_what_is_no_backup_is_told_by_name(tmp_path: Path, said: object) -> None:
    (tmp_path / ABOUT).write_text(json.dumps(said), "utf-8")
    with pytest.raises(InputError, match=ABOUT):
        read_backup(tmp_path)


def test_the_programs_of_postgresql_must_be_there(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with closing(Registry(postgres_url, tmp_path)) as registry, pytest.raises(ConfigError, match="pg_dump"):
        make_backup(registry, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_password_is_seen_by_nobody(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen"
    fake = tmp_path / "pg_dump"
    fake.write_text(f'#!/bin/sh\necho "$@" "$PGPASSWORD" > {seen}\nexit 1\n', "utf-8")
    fake.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    url = postgres_url.replace("radimpress@", "radimpress:hush@", 1)
    with closing(Registry(url, tmp_path)) as registry, pytest.raises(ConfigError, match="ended with 1") as told:
        make_backup(registry, tmp_path / "backup")
    words = seen.read_text("utf-8").split()
    assert words[-1] == "hush"
    assert not any("hush" in word for word in words[:-1])
    assert "hush" not in str(told.value)


def test_a_backup_of_sqlite_is_one_whole_file(tmp_path: Path, fake_bundles: Path) -> None:
    with closing(Registry(f"sqlite:///{tmp_path / 'registry.db'}", fake_bundles)) as registry:
        with pytest.raises(NotFoundError):
            make_backup(registry, tmp_path / "backup")
        registry.adopt(clusters())
        make_backup(registry, tmp_path / "backup")
    assert sorted(path.name for path in (tmp_path / "backup").iterdir()) == [ABOUT, DATABASES["sqlite"]]
    with closing(sqlite3.connect(tmp_path / "backup" / DATABASES["sqlite"])) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)

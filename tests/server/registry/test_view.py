from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from radimpress.reports.errors import NotFoundError, UnavailableError
from radimpress.server.registry import Registry
from radimpress.server.registry import watch as watches
from radimpress.server.registry.watch import Watch
from radimpress.server.routes import RouteTable
from tests.server.conftest import CT_LIST, MR_LIST, Site, clusters

Another = Callable[..., Registry]
SOON = 0.01


def _until(true: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_current_table_is_read_once_and_then_kept(site: Site, another: Another) -> None:
    other = another()
    assert other.current().number == 1
    site.promote(site.first, CT_LIST)
    assert other.current().number == 1
    assert other.table().number == 2
    assert other.refresh() == other.current() == site.registry.table()


def test_what_a_server_changes_itself_counts_there_at_once(site: Site) -> None:
    assert site.registry.current().number == 1
    site.promote(site.first, CT_LIST)
    assert site.registry.current().number == 2
    site.registry.rollback()
    assert site.registry.current().number == 3


def test_a_server_that_watches_sees_within_a_second_what_another_changed(site: Site, another: Another) -> None:
    other = another()
    other.watch()
    began = time.monotonic()
    site.promote(site.first, CT_LIST)
    _until(lambda: other.current().number == 2)
    assert time.monotonic() - began < 1
    assert other.current() == site.registry.current()


def test_a_server_that_watches_is_told_of_every_kind_of_change(site: Site, another: Another) -> None:
    other, told = another(), list[RouteTable]()
    other.watch(SOON, told.append)
    first = site.registry.register(site.path(site.first))
    _until(lambda: len(told) == 1)
    site.promote(site.first, CT_LIST)
    _until(lambda: len(told) == 2)
    site.promote(site.second, MR_LIST)
    _until(lambda: told[-1].number == 3)
    site.registry.rollback(1)
    site.registry.retire(first)
    _until(lambda: other.adapter("unified").retired is not None and told[-1].number == 4)


def test_who_watches_still_sees_after_what_it_tells_has_failed(site: Site, another: Another) -> None:
    other, told = another(), list[int]()

    def fail(table: RouteTable) -> None:
        told.append(table.number)
        raise RuntimeError("its loop was closed")

    other.watch(SOON, fail)
    site.promote(site.first, CT_LIST)
    _until(lambda: bool(told))
    site.registry.rollback()
    _until(lambda: other.current().number == 3)


def test_watching_an_empty_registry_is_refused(database_url: str, tmp_path: Path) -> None:
    with closing(Registry(database_url, tmp_path)) as empty, pytest.raises(NotFoundError):
        empty.watch()


def test_a_closed_registry_looks_no_more(site: Site, another: Another) -> None:
    other = another()
    other.watch(SOON)
    other.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "radimpress-registry-watch"]


def test_a_database_that_is_gone_is_told_and_the_last_table_stays(
    postgres_url: str, postgres_stopped: Callable[[], AbstractContextManager[None]], tmp_path: Path
) -> None:
    with closing(Registry(postgres_url, tmp_path)) as watching, closing(Registry(postgres_url, tmp_path)) as asking:
        watching.adopt(clusters())
        watching.watch(SOON)
        watching.check()
        asking.check()
        with postgres_stopped():
            _until(lambda: _unreachable(watching))
            assert watching.current().number == 1
            for ask in (asking.check, asking.table, asking.rollback, lambda: asking.adapter("unified")):
                with pytest.raises(UnavailableError) as told:
                    ask()
                assert "radimpress_" not in str(told.value)
                assert "SELECT" not in str(told.value)
        _until(lambda: not _unreachable(watching))
        asking.check()
        assert asking.adopt(clusters({"elm": "list"})).number == 2
        _until(lambda: watching.current().number == 2)


def test_a_database_file_that_is_gone_is_told_and_never_made_anew(tmp_path: Path) -> None:
    file, away = tmp_path / "registry.db", tmp_path / "away.db"
    with closing(Registry(f"sqlite:///{file}", tmp_path)) as registry:
        registry.adopt(clusters())
        registry.watch(SOON)
        file.rename(away)
        _until(lambda: _unreachable(registry))
        with pytest.raises(UnavailableError, match="file is gone"):
            registry.rollback()
        assert registry.current().number == 1
        assert not file.exists()
        away.rename(file)
        _until(lambda: not _unreachable(registry))
        assert registry.adopt(clusters({"elm": "list"})).number == 2


def test_a_database_file_that_was_restored_from_a_copy_is_the_one_that_is_read(tmp_path: Path) -> None:
    file, copy = tmp_path / "registry.db", tmp_path / "copy.db"
    with closing(Registry(f"sqlite:///{copy}", tmp_path)) as restored:
        restored.adopt(clusters({"elm": "list"}))
    with closing(Registry(f"sqlite:///{file}", tmp_path)) as registry:
        registry.adopt(clusters())
        registry._database.close()
        copy.rename(file)
        assert registry.table().clinics == {"elm": "list"}


def test_a_look_that_does_not_end_is_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "_PATIENCE_SECONDS", 0.05)
    hanging = threading.Event()

    def look() -> None:
        hanging.wait(10)

    watch = Watch(look, SOON)
    _until(lambda: watch.failing, 5)
    hanging.set()
    _until(lambda: not watch.failing, 5)
    watch.close()


def _unreachable(registry: Registry) -> bool:
    try:
        registry.check()
    except UnavailableError:
        return True
    return False

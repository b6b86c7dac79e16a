"""Two that change the registry at the same moment, from threads and from processes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from radimpress.reports.errors import ConflictError
from radimpress.server.registry import Registry
from radimpress.server.registry.database import Database, Lock
from radimpress.server.registry.migrate import HEAD
from radimpress.server.routes import RouteTable
from tests.server.conftest import CT_LIST, CT_TELEGRAPHIC, FAKE_BASE, Site, certificate, clusters, make_bundle

Another = Callable[..., Registry]


def _at_once(monkeypatch: pytest.MonkeyPatch, *works: Callable[[], object]) -> list[object]:
    """Runs works on threads that wait for each other where they have read and not yet written."""
    meeting = threading.Barrier(len(works))
    real = Database.writing

    @contextmanager
    def writing(self: Database, lock: Lock) -> Iterator[Session]:
        with contextlib.suppress(threading.BrokenBarrierError):
            meeting.wait(10)
        with real(self, lock) as session:
            yield session

    monkeypatch.setattr(Database, "writing", writing)
    given: list[object] = [None] * len(works)

    def run(at: int, work: Callable[[], object]) -> None:
        try:
            given[at] = work()
        except Exception as error:
            given[at] = error

    threads = [threading.Thread(target=run, args=(at, work)) for at, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monkeypatch.undo()
    return given


def _kinds(given: list[object]) -> list[str]:
    return sorted(type(one).__name__ for one in given)


def test_of_two_that_go_back_at_once_one_is_told(site: Site, another: Another, monkeypatch: pytest.MonkeyPatch) -> None:
    site.promote(site.first, CT_LIST)
    assert _kinds(_at_once(monkeypatch, site.registry.rollback, another().rollback)) == ["ConflictError", "RouteTable"]
    assert site.registry.table().number == 3
    assert site.registry.check_chain() == 4


def test_of_two_that_promote_at_once_one_is_told(site: Site, another: Another, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (site.registry.register(site.path(bundle)) for bundle in (site.first, site.second))
    other = another()
    given = _at_once(
        monkeypatch,
        lambda: site.registry.promote(first, certificate(first, CT_LIST)),
        lambda: other.promote(second, certificate(second, CT_TELEGRAPHIC)),
    )
    assert _kinds(given) == ["ConflictError", "RouteTable"]
    made = next(one for one in given if isinstance(one, RouteTable))
    assert site.registry.table() == other.table() == made
    assert len(made.entries) == 1


def test_a_table_whose_number_was_taken_meanwhile_is_not_written(site: Site, another: Another) -> None:
    adapter, other = site.registry.register(site.path(site.first)), another()
    table = other.preview(adapter, certificate(adapter, CT_LIST))
    site.registry.promote(adapter, certificate(adapter, CT_LIST))
    with pytest.raises(ConflictError, match="route table is 2, no longer 1"):
        other._append(table, "ana", "promote", adapter)


def test_two_registered_at_once_never_share_a_version(
    site: Site, another: Another, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, elsewhere = make_bundle(tiny_folder, site.bundles, seed=9, base=FAKE_BASE), another()
    _at_once(
        monkeypatch,
        lambda: site.registry.register(site.path(site.first)),
        lambda: elsewhere.register(site.path(bundle)),
    )
    assert sorted(adapter.version for adapter in site.registry.adapters()) == [1, 2]
    assert site.registry.check_chain() == 3


def test_an_adapter_that_is_retired_while_it_is_promoted_does_one_or_the_other(
    site: Site, another: Another, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, other = site.registry.register(site.path(site.first)), another()
    given = _at_once(
        monkeypatch,
        lambda: site.registry.promote(adapter, certificate(adapter, CT_LIST)),
        lambda: other.retire(adapter),
    )
    serves = bool(site.registry.table().entries)
    assert "GateError" in _kinds(given)
    assert (site.registry.adapter("unified").retired is None) == serves


_OPEN = """
import sys
from radimpress.server.registry import Registry
print("ready", flush=True)
sys.stdin.readline()
registry = Registry(*sys.argv[1:])
registry.check()
registry.close()
"""


def test_processes_that_make_the_same_registry_at_once_all_succeed(database_url: str, tmp_path: Path) -> None:
    command = (sys.executable, "-c", _OPEN, database_url, str(tmp_path))
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        _, told = process.communicate()
        assert (process.returncode, told) == (0, "")
    registry = Registry(database_url, tmp_path)
    assert registry.adopt(clusters()).number == 1
    with registry._database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == [HEAD]
        assert len(connection.exec_driver_sql("SELECT name FROM secrets").all()) == 1
    registry.close()

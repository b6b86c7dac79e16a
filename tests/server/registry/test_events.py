from __future__ import annotations

from collections.abc import Callable

import pytest

from radimpress.reports.errors import ConflictError, DamageError, GateError
from radimpress.server.registry import Registry
from radimpress.server.routes import TrialKind, TrialPlan
from tests.server.conftest import CT_LIST, MR_LIST, Site, certificate

CANARY = TrialPlan(TrialKind.CANARY, 10)


@pytest.fixture
def busy(site: Site) -> Site:
    """A site where everything that can happen has happened once; the last table is number 5."""
    registry = site.registry
    first = registry.register(site.path(site.first), actor="ana")
    registry.promote(first, certificate(first, CT_LIST), actor="ana")
    second = registry.register(site.path(site.second), actor="ana")
    registry.promote(second, certificate(second, CT_LIST, incumbent=first), actor="bo", trial=CANARY)
    registry.end_trial(second, actor="monitor", why="evidence 30")
    registry.retire(second, actor="bo")
    registry.rollback(1, actor="ana")
    return site


def _break(site: Site, statement: str) -> None:
    with site.registry._database.engine.begin() as connection:
        assert connection.exec_driver_sql(statement).rowcount >= 1


def test_every_change_is_told_with_who_made_it_and_what_came_of_it(busy: Site) -> None:
    told = [(event.number, event.actor, event.action, event.table, event.detail) for event in busy.registry.events()]
    first, second = busy.path(busy.first), busy.path(busy.second)
    assert told[::-1] == [
        (1, "local", "adopt", 1, told[-1][4]),
        (2, "ana", "register", 0, f"unified@1 in {first}"),
        (3, "ana", "promote", 2, "promote unified@1"),
        (4, "ana", "register", 0, f"cluster-list@1 in {second}"),
        (5, "bo", "promote", 3, "promote cluster-list@1 canary 10%"),
        (6, "monitor", "end-trial", 4, "end trial of cluster-list@1: evidence 30"),
        (7, "bo", "retire", 0, "cluster-list@1"),
        (8, "ana", "rollback", 5, "rollback to table 1"),
    ]
    digests = [event.digest for event in busy.registry.events()][::-1]
    one, two = busy.first.digest, busy.second.digest
    assert digests == ["", one, one, two, two, two, two, ""]


def test_events_come_newest_first_and_in_pages(busy: Site) -> None:
    assert [event.number for event in busy.registry.events(1, 2)] == [7, 6]
    assert busy.registry.events(8) == []


def test_a_chain_that_nobody_touched_is_whole(busy: Site) -> None:
    assert busy.registry.check_chain() == 8


def test_what_is_refused_or_changes_nothing_leaves_no_event(busy: Site) -> None:
    registry = busy.registry
    registry.register(busy.path(busy.first))
    registry.retire(registry.adapter("cluster-list"))
    with pytest.raises(GateError):
        registry.rollback(3)
    with pytest.raises(ConflictError):
        registry.rollback(1, expected=2)
    assert registry.check_chain() == 8


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET actor = 'eve' WHERE number = 5",
        "UPDATE events SET detail = 'nothing' WHERE number = 8",
        "UPDATE events SET created = '2020-01-01T00:00:00+00:00' WHERE number = 3",
        "UPDATE events SET content = '' WHERE number = 3",
        "UPDATE events SET chain = 'f' WHERE number = 1",
        "UPDATE events SET route_table = 0 WHERE number = 6",
        "DELETE FROM events WHERE number = 1",
        "DELETE FROM events WHERE number = 4",
        "DELETE FROM events WHERE number = 8",
        "UPDATE route_tables SET cause = 'nothing' WHERE number = 2",
        "UPDATE route_entries SET cluster = 'telegraphic' WHERE number = 4",
        "UPDATE route_trials SET percent = 90 WHERE number = 3",
        "UPDATE route_trials SET kind = 'shadow' WHERE number = 3",
        "DELETE FROM route_trials WHERE number = 3",
        "DELETE FROM route_entries WHERE number = 2",
        "INSERT INTO route_tables SELECT 6, clusters, cause, created FROM route_tables WHERE number = 1",
    ],
)
def test_whatever_is_changed_behind_the_registrys_back_breaks_the_chain(busy: Site, statement: str) -> None:
    _break(busy, statement)
    with pytest.raises(DamageError):
        busy.registry.check_chain()


def test_a_long_chain_is_read_to_its_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radimpress.server.registry.events._PAGE", 2)
    for _ in range(3):
        site.promote(site.first, CT_LIST)
        site.promote(site.second, MR_LIST)
        site.registry.rollback(1)
    assert site.registry.check_chain() == 12
    _break(site, "UPDATE events SET actor = 'eve' WHERE number = 12")
    with pytest.raises(DamageError, match="event 12"):
        site.registry.check_chain()


def test_a_change_that_fails_half_way_leaves_neither_table_nor_event(
    site: Site, another: Callable[[], Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, other = site.registry.register(site.path(site.first)), another()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("half way")

    monkeypatch.setattr("radimpress.server.registry.events.append", fail)
    with pytest.raises(RuntimeError):
        other.promote(adapter, certificate(adapter, CT_LIST))
    monkeypatch.undo()
    assert site.registry.table().number == other.table().number == 1
    assert other.promote(adapter, certificate(adapter, CT_LIST)).number == 2
    assert site.registry.check_chain() == 3

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from radimpress.clustering.cell import Cell
from radimpress.reports.errors import ConflictError, UnavailableError
from radimpress.server.registry import Answer, Journal, Outcome, Signed
from radimpress.server.rollout import monitor as monitors
from radimpress.server.rollout.monitor import Monitor, Watched
from radimpress.server.rollout.plan import without_trial
from radimpress.server.rollout.sequential import log_evidence
from radimpress.server.routes import AdapterVersion, Arm, Entry, RouteTable, TrialKind, TrialPlan
from radimpress.server.telemetry import Metrics
from tests.server.conftest import CT_ANY, CT_LIST, Site, certificate
from tests.server.rollout.made import CANARY, NEW, OLD, OTHER, SHADOW, on_trial, table_of

HALF = TrialPlan(TrialKind.CANARY, 50)
BESIDE_OLD = {CT_LIST: Entry(OLD, "1", trial=on_trial())}


@dataclass
class Place:
    """A registry and a journal of lists, as the monitor sees them; and what it did there."""

    table: RouteTable
    rows: dict[Cell, list[Outcome]] = field(default_factory=dict)
    ended: list[tuple[str, int, str, str]] = field(default_factory=list)
    counted: list[tuple[str, str]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    error: Exception | None = None

    def current(self) -> RouteTable:
        """As Registry's."""
        return self.table

    def end_trial(self, adapter: AdapterVersion, expected: int, *, actor: str, why: str) -> RouteTable:
        """As Registry's."""
        if self.error is not None:
            raise self.error
        self.ended.append((str(adapter), expected, actor, why))
        self.table = replace(self.table, number=expected + 1, entries=without_trial(self.table, adapter))
        return self.table

    def outcomes(self, cell: Cell, since_table: int, after: int = 0) -> list[Outcome]:
        """As Journal's."""
        self.asked.append(since_table)
        return [one for one in self.rows.get(cell, []) if max(one.number, one.signed) > after]

    def trial_ended(self, adapter: AdapterVersion, kind: TrialKind) -> None:
        """As Metrics'."""
        self.counted.append((str(adapter), kind))


def _watching(place: Any, alpha: float = 0.04) -> Monitor:
    return Monitor(place, place, place, alpha)


def _rows(
    count: int,
    worse: Callable[[int], dict[str, Any]],
    arm: Arm = Arm.CANARY,
    tried: AdapterVersion = NEW,
    serving: str = OLD.digest,
) -> list[Outcome]:
    """So many pairs of answers, of the incumbent and then of the adapter on trial; `worse` says what came of its."""
    rows = []
    for at in range(count):
        rows.append(Outcome(2 * at + 1, Arm.INCUMBENT, serving, ()))
        rows.append(replace(Outcome(2 * at + 2, arm, tried.digest, ()), **worse(at)))
    return rows


def _noticed(at: int) -> dict[str, Any]:
    return {"checks": ("laterality",)}


def test_an_adapter_that_checks_notice_oftener_is_sent_back() -> None:
    place = Place(table_of(BESIDE_OLD), {CT_LIST: _rows(15, _noticed)})
    _watching(place).look()
    ((adapter, expected, actor, why),) = place.ended
    assert (adapter, expected, actor) == ("unified@2", 7, "monitor")
    assert why.startswith(
        "CT/list, unified@2 against unified@1: checks noticed 15 of 15 against 0 of 15, hard ones 0 of"
    )
    assert why.endswith(", of which 25 is enough")
    assert place.table.entries == {CT_LIST: Entry(OLD, "1")}
    assert place.counted == [("unified@2", "canary")]


def test_a_trial_that_was_ended_is_ended_once() -> None:
    place = Place(table_of(BESIDE_OLD), {CT_LIST: _rows(15, _noticed)})
    watching = _watching(place)
    for _ in range(3):
        watching.look()
    assert len(place.ended) == 1


def test_an_adapter_that_is_as_good_stays() -> None:
    alike = [replace(one, checks=("organ",)) if one.number % 4 in (1, 2) else one for one in _rows(500, lambda at: {})]
    place = Place(table_of(BESIDE_OLD), {CT_LIST: alike})
    _watching(place).look()
    assert not place.ended


def test_an_adapter_that_is_better_stays() -> None:
    better = [replace(one, checks=("organ",) if one.arm is Arm.INCUMBENT else ()) for one in _rows(500, lambda at: {})]
    place = Place(table_of(BESIDE_OLD), {CT_LIST: better})
    _watching(place).look()
    assert not place.ended


def test_hard_checks_end_a_trial_in_which_others_notice_much_on_both_sides() -> None:
    rows = [
        replace(one, checks=("organ",) if one.arm is Arm.INCUMBENT or one.number % 20 else ("organ", "leak"))
        for one in _rows(200, lambda at: {})
    ]
    place = Place(table_of(BESIDE_OLD), {CT_LIST: rows})
    _watching(place).look()
    assert "hard ones 20 of 200 against 0 of 200" in place.ended[0][3]


def test_signed_texts_end_a_trial_in_which_no_check_notices_anything() -> None:
    rows = _rows(200, lambda at: {})
    signed = [
        replace(one, similarity=0.9 if one.arm is Arm.INCUMBENT else 0.5, signed=500 + one.number) for one in rows
    ]
    place = Place(table_of(BESIDE_OLD), {CT_LIST: signed})
    _watching(place).look()
    assert "ROUGE-L of 200 against 200 texts that were signed 0.500 against 0.900" in place.ended[0][3]


def test_a_shadow_is_watched_as_a_canary_is() -> None:
    place = Place(
        table_of({CT_LIST: Entry(OLD, "1", trial=on_trial(plan=SHADOW))}), {CT_LIST: _rows(15, _noticed, Arm.SHADOW)}
    )
    _watching(place).look()
    assert place.counted == [("unified@2", "shadow")]


def test_beside_base_a_trial_is_compared_with_base() -> None:
    place = Place(table_of({CT_LIST: Entry(None, trial=on_trial())}), {CT_LIST: _rows(15, _noticed, serving="")})
    _watching(place).look()
    assert "unified@2 against base" in place.ended[0][3]


@pytest.mark.parametrize(
    "rows", [_rows(50, _noticed, tried=OTHER), _rows(50, _noticed, serving=OTHER.digest), _rows(50, _noticed)[1::2]]
)
def test_answers_of_others_and_of_one_side_alone_say_nothing(rows: list[Outcome]) -> None:
    place = Place(table_of(BESIDE_OLD), {CT_LIST: rows})
    _watching(place).look()
    assert not place.ended


def test_only_answers_since_the_trial_began_are_asked_for() -> None:
    place = Place(table_of({CT_LIST: Entry(OLD, "1", trial=on_trial(since=5))}))
    _watching(place).look()
    assert place.asked == [5]


def test_without_a_trial_nothing_is_asked() -> None:
    place = Place(table_of({CT_LIST: Entry(OLD, "1")}))
    _watching(place).look()
    assert place.asked == []


def test_a_trial_in_two_slices_ends_in_both_when_it_is_worse_in_one() -> None:
    both = {cell: Entry(OLD, "1", trial=on_trial()) for cell in (CT_LIST, CT_ANY)}
    place = Place(table_of(both), {CT_ANY: _rows(20, _noticed), CT_LIST: _rows(20, lambda at: {})})
    _watching(place).look()
    assert place.ended[0][3].startswith("CT/any")
    assert place.table.entries == {cell: Entry(OLD, "1") for cell in both}


def test_one_adapters_trial_does_not_end_anothers() -> None:
    both = {CT_LIST: Entry(OLD, "1", trial=on_trial()), CT_ANY: Entry(OLD, "1", trial=on_trial(OTHER))}
    place = Place(table_of(both), {CT_LIST: _rows(20, _noticed)})
    _watching(place).look()
    assert [adapter for adapter, *_ in place.ended] == ["unified@2"]
    assert place.table.entries[CT_ANY] == both[CT_ANY]


def test_when_the_routes_moved_on_the_next_look_tries_again() -> None:
    place = Place(table_of(BESIDE_OLD), {CT_LIST: _rows(15, _noticed)}, error=ConflictError("moved on"))
    watching = _watching(place)
    watching.look()
    assert not place.counted
    place.error, place.table = None, replace(place.table, number=9)
    watching.look()
    assert [expected for _, expected, *_ in place.ended] == [9]


def test_a_trial_that_is_widened_goes_on_with_what_was_seen() -> None:
    rows = _rows(15, _noticed)
    place = Place(table_of(BESIDE_OLD), {CT_LIST: rows[:6]})
    watching = _watching(place)
    watching.look()
    assert not place.ended
    place.table = table_of({CT_LIST: Entry(OLD, "1", trial=on_trial(plan=HALF))}, 8)
    place.rows = {CT_LIST: rows[6:]}
    watching.look()
    assert "15 of 15 against 0 of 15" in place.ended[0][3]


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_however_often_one_looks_the_evidence_is_the_same(chunk: int) -> None:
    chance = random.Random(3)
    events: list[Outcome] = []
    place = 0
    for _ in range(400):
        place += 1
        tried = chance.random() < 0.3
        one = Outcome(
            place,
            Arm.CANARY if tried else Arm.INCUMBENT,
            NEW.digest if tried else OLD.digest,
            ("leak",) if chance.random() < 0.2 else (),
        )
        events.append(one)
        # Signed some time after, in another order than it was answered in.
        if chance.random() < 0.5 and len(events) > 20:
            place += 1
            at = chance.randrange(len(events) - 20, len(events))
            if not events[at].signed:
                events[at] = replace(events[at], similarity=chance.random(), signed=place)

    def seen(until: int, after: int) -> list[Outcome]:
        """As the journal at that moment."""
        known = [one if one.signed <= until else replace(one, similarity=None, signed=0) for one in events]
        return [one for one in known if one.number <= until and max(one.number, one.signed) > after]

    watched, whole = (Watched(CT_LIST, BESIDE_OLD[CT_LIST], on_trial()) for _ in range(2))
    for until in [*range(0, place, chunk), place]:
        watched.fold(seen(until, watched.after))
    whole.fold(seen(place, 0))
    assert log_evidence([watched.evidence]) == pytest.approx(log_evidence([whole.evidence]))
    assert watched.evidence.signed.seen(True) > 10
    assert watched.after == whole.after


def test_who_watches_goes_on_when_the_registry_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitors, "SECONDS", 0.001)
    place = Place(table_of(BESIDE_OLD), {CT_LIST: _rows(15, _noticed)}, error=UnavailableError("gone"))

    async def watch() -> None:
        task = asyncio.create_task(_watching(place).run())
        await asyncio.sleep(0.05)
        assert not place.ended
        place.error = None
        async with asyncio.timeout(10):
            while not place.ended:
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(watch())
    assert len(place.ended) == 1


def _answer(arm: Arm, adapter: AdapterVersion, table: int, at: int, checks: tuple[str, ...] = ()) -> Answer:
    return Answer(
        clinic="alder",
        request_id=f"{arm}-{at}",
        subject="test",
        asked="a" * 64,
        message=b"",
        digest=adapter.digest,
        adapter=adapter.name,
        version=adapter.version,
        cell=CT_LIST,
        arm=arm,
        table=table,
        checks=checks,
        created=datetime.now(UTC),
        seconds=0.1,
    )


@pytest.mark.parametrize("told_by", ["checks", "signed"])
def test_over_a_real_registry_one_server_ends_the_trial_and_the_other_finds_it_ended(site: Site, told_by: str) -> None:
    old = site.promote(site.first, CT_LIST)
    new = site.registry.register(site.path(site.second))
    began = site.registry.promote(new, certificate(new, CT_LIST, incumbent=old), trial=CANARY)
    journal = Journal(site.registry, None, 30)
    metrics = Metrics()
    first, second = (Monitor(site.registry, journal, metrics) for _ in range(2))

    async def answer(at: int) -> None:
        for arm, adapter in ((Arm.INCUMBENT, old), (Arm.CANARY, new)):
            bad = arm is Arm.CANARY
            checks = ("laterality",) if bad and told_by == "checks" else ()
            made = await journal.record(_answer(arm, adapter, began.number, at, checks))
            if told_by == "signed":
                text = Signed(
                    made.clinic,
                    made.request_id,
                    0.5,
                    0.1 if bad else 0.9,
                    False,
                    {},
                    b"",
                    b"",
                    datetime.now(UTC),
                )
                await journal.sign(text)

    async def answers(count: range) -> None:
        for at in count:
            await answer(at)

    asyncio.run(answers(range(3)))
    first.look()
    second.look()
    assert site.registry.table() == began
    asyncio.run(answers(range(3, 30)))
    first.look()
    second.look()
    journal.close()
    ended = site.registry.table()
    assert ended.number == began.number + 1
    assert ended.entries == {CT_LIST: replace(began.entries[CT_LIST], trial=None)}
    event = site.registry.events(0, 1)[0]
    assert (event.actor, event.action, event.digest) == ("monitor", "end-trial", new.digest)
    assert f"{new} against {old}" in event.detail


def test_what_the_input_policy_gave_to_base_is_not_held_against_a_trial_beside_base() -> None:
    entry = Entry(None, "", trial=on_trial())
    assert entry.trial is not None
    watched = Watched(CT_LIST, entry, entry.trial)
    watched.fold([Outcome(1, Arm.OUTSIDE, "", ()), Outcome(2, Arm.OUTSIDE, "", ("leak",))])
    before = log_evidence([Watched(CT_LIST, entry, entry.trial).evidence])
    assert log_evidence([watched.evidence]) == before
    watched.fold([Outcome(3, Arm.INCUMBENT, "", ()), Outcome(4, Arm.CANARY, NEW.digest, ("leak",))])
    assert log_evidence([watched.evidence]) != before

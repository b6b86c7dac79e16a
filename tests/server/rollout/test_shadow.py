from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from radimpress.reports.errors import EngineError, UnavailableError
from radimpress.reports.prompt import render
from radimpress.reports.report import Modality, Report
from radimpress.server.engines import Engine, Limits, Piece
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.registry import Answer
from radimpress.server.rollout.shadow import Shadow
from radimpress.server.routes import AdapterVersion, Arm, Reason, Route
from radimpress.trainer.bundle import MANIFEST, AdapterBundle
from tests.server.conftest import CT_LIST, FAKE_BASE, Site

FINDINGS = "Marmalade effusion of the left knee. No fracture is seen."
REPORT = Report(id="request-1", findings=FINDINGS, clinic="alder", modality=Modality.CT)
ANSWER = Answer(
    clinic="alder",
    request_id="request-1",
    subject="test",
    asked="a" * 64,
    message=b"Marmalade effusion.",
    digest="",
    adapter="base",
    version=0,
    cell=CT_LIST,
    arm=Arm.INCUMBENT,
    table=3,
    checks=("organ",),
    created=datetime(2026, 1, 1, tzinfo=UTC),
    seconds=0.1,
    number=8,
)


@dataclass
class Told:
    """A journal and metrics that keep what they are told."""

    answers: list[Answer] = field(default_factory=list)
    dropped: int = 0
    error: Exception | None = None

    async def record(self, answer: Answer) -> Answer:
        """As Journal's."""
        if self.error is not None:
            raise self.error
        self.answers.append(answer)
        return answer

    def shadow_dropped(self) -> None:
        """As Metrics'."""
        self.dropped += 1


class Writes:
    """An engine that writes these pieces, or fails; it can be held up."""

    base_name = "writes"
    base_digest = FAKE_BASE

    def __init__(self, *pieces: str, error: Exception | None = None) -> None:
        self.pieces, self.error = pieces, error
        self.go = asyncio.Event()
        self.limits: list[Limits] = []
        self.ended = 0
        self.closed = False

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """As Engine's."""
        self.limits.append(limits)
        try:
            await self.go.wait()
            if self.error is not None:
                raise self.error
            for piece in self.pieces:
                yield Piece(piece)
            yield Piece("", "stop", 1, len(self.pieces))
        finally:
            self.ended += 1

    def close(self) -> None:
        """Nothing to free."""
        self.closed = True


def _route(shadow: AdapterVersion | None) -> Route:
    return Route(None, CT_LIST, Reason.NOT_JUDGED, 3, shadow=shadow)


@pytest.fixture
def adapter(site: Site) -> AdapterVersion:
    """The first bundle, registered."""
    return site.registry.register(site.path(site.first))


def _ask(site: Site, adapter: AdapterVersion, engine: Engine, told: Any, times: int = 1, **given: Any) -> None:
    """Asks an adapter as a shadow so many times at once, and waits for what comes of it."""

    async def ask() -> None:
        shadow = Shadow(engine, site.registry, told, told, max_tokens=32, **given)
        for _ in range(times):
            shadow.start(REPORT, render(REPORT), _route(adapter), ANSWER)
        if isinstance(engine, Writes):
            engine.go.set()
        await _idle()
        await shadow.close()

    asyncio.run(ask())


async def _idle() -> None:
    """Waits for every other task."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    with suppress(ValueError):
        await asyncio.wait(others, timeout=20)


def test_a_shadow_is_asked_and_recorded_beside_the_answer(site: Site, adapter: AdapterVersion) -> None:
    told = Told()
    _ask(site, adapter, FakeEngine(FAKE_BASE), told)
    (made,) = told.answers
    assert (made.arm, made.digest, made.adapter, made.version) == (Arm.SHADOW, adapter.digest, "unified", 1)
    assert (made.clinic, made.request_id, made.cell, made.table) == ("alder", "request-1", CT_LIST, 3)
    assert made.created > ANSWER.created
    assert made.number == 0
    assert told.dropped == 0


def test_what_a_shadow_writes_is_thrown_away(site: Site, adapter: AdapterVersion) -> None:
    told = Told()
    _ask(site, adapter, Writes("Marmalade ", "effusion of the left knee."), told)
    assert told.answers[0].message == b""
    assert "armalade" not in repr(told.answers)


def test_what_a_shadow_writes_is_checked(site: Site, adapter: AdapterVersion) -> None:
    told = Told()
    _ask(site, adapter, Writes("Impression: ", "Effusion of the right knee."), told)
    assert "laterality" in told.answers[0].checks
    assert "organ" not in told.answers[0].checks


def test_a_shadow_that_writes_nothing_is_noticed(site: Site, adapter: AdapterVersion) -> None:
    told = Told()
    _ask(site, adapter, Writes(), told)
    assert told.answers[0].checks == ("degenerate",)


def test_without_a_shadow_nobody_is_asked(site: Site) -> None:
    told: Any = Told()

    async def ask() -> None:
        engine = Writes("x")
        shadow = Shadow(engine, site.registry, told, told, max_tokens=32)
        shadow.start(REPORT, render(REPORT), _route(None), ANSWER)
        await _idle()
        assert not engine.limits

    asyncio.run(ask())
    assert (told.answers, told.dropped) == ([], 0)


def test_a_shadow_writes_no_more_than_an_answer_may(site: Site, adapter: AdapterVersion) -> None:
    engine = Writes("Effusion.")
    _ask(site, adapter, engine, Told())
    assert engine.limits == [Limits(32, modality=REPORT.modality, clinic=REPORT.clinic, whole=True)]


def test_more_shadows_than_may_run_at_once_are_dropped_and_counted(site: Site, adapter: AdapterVersion) -> None:
    told = Told()
    _ask(site, adapter, Writes("Effusion."), told, times=7, at_once=3)
    assert (len(told.answers), told.dropped) == (3, 4)


def test_while_the_engine_is_busy_a_shadow_is_dropped(site: Site, adapter: AdapterVersion) -> None:
    told = Told()
    _ask(site, adapter, Writes("Effusion."), told, busy=lambda: True)
    assert (told.answers, told.dropped) == ([], 1)


@pytest.mark.parametrize("error", [EngineError("it fell"), RuntimeError("marmalade")])
def test_a_shadow_that_fails_is_counted_and_disturbs_nobody(
    site: Site, adapter: AdapterVersion, error: Exception
) -> None:
    told = Told()
    _ask(site, adapter, Writes(error=error), told)
    assert (told.answers, told.dropped) == ([], 1)


def test_a_shadow_that_cannot_be_recorded_is_counted(site: Site, adapter: AdapterVersion) -> None:
    told = Told(error=UnavailableError("the registry cannot be reached"))
    _ask(site, adapter, Writes("Effusion."), told)
    assert told.dropped == 1


def test_a_shadow_whose_bundle_was_changed_is_not_asked(site: Site, adapter: AdapterVersion) -> None:
    told = Told()
    engine = Writes("Effusion.")
    (site.first.path / MANIFEST).write_text("{}", "utf-8")
    _ask(site, adapter, engine, told)
    assert (engine.limits, told.answers, told.dropped) == ([], [], 1)


def test_closing_breaks_off_what_is_asked_still(site: Site, adapter: AdapterVersion) -> None:
    told: Any = Told()

    async def ask() -> None:
        engine = Writes("Effusion.")
        shadow = Shadow(engine, site.registry, told, told, max_tokens=32)
        shadow.start(REPORT, render(REPORT), _route(adapter), ANSWER)
        await asyncio.sleep(0.01)
        await shadow.close()
        assert engine.ended == 1
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(ask())
    assert told.answers == []

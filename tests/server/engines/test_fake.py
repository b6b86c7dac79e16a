from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from radimpress.reports.errors import BundleError, DeadlineError, DigestError, UnavailableError
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.fake import FakeEngine
from radimpress.trainer.bundle import WEIGHTS, AdapterBundle
from tests.server.conftest import FAKE_BASE, Site, change_byte


def _ask(engine: FakeEngine, adapter: AdapterBundle | None = None, limits: Limits | None = None) -> list[Piece]:
    async def ask() -> list[Piece]:
        async with aclosing(engine.generate("a prompt of five words", adapter, limits or Limits(9))) as pieces:
            return [piece async for piece in pieces]

    return asyncio.run(ask())


def test_it_says_that_base_was_asked() -> None:
    pieces = _ask(FakeEngine())
    assert "".join(piece.text for piece in pieces) == "Fake impression by base."
    assert pieces[-1] == Piece("", "stop", 5, 4)


def test_it_says_which_adapter_was_asked(site: Site) -> None:
    assert site.first.digest in "".join(piece.text for piece in _ask(FakeEngine(FAKE_BASE), site.first))


def test_it_keeps_the_token_limit() -> None:
    pieces = _ask(FakeEngine(), limits=Limits(2))
    assert [piece.text for piece in pieces] == ["Fake", " impression", ""]
    assert (pieces[-1].finish, pieces[-1].tokens) == ("length", 2)


def test_it_keeps_deadlines() -> None:
    with pytest.raises(DeadlineError):
        _ask(FakeEngine(), limits=Limits(9, deadline=0.0))


def test_it_refuses_a_changed_file_as_a_real_engine_does(site: Site) -> None:
    change_byte(site.first.path / WEIGHTS)
    with pytest.raises(DigestError):
        _ask(FakeEngine(FAKE_BASE), site.first)


def test_it_refuses_an_adapter_of_another_base(site: Site) -> None:
    with pytest.raises(BundleError, match="fitted on base"):
        _ask(FakeEngine("e" * 64), site.first)


def test_a_bundle_that_is_gone_is_refused(site: Site, tmp_path: Path) -> None:
    site.first.path.rename(tmp_path / "away")
    with pytest.raises(BundleError):
        _ask(FakeEngine(FAKE_BASE), site.first)


def test_what_is_forgotten_is_no_longer_kept(site: Site) -> None:
    engine = FakeEngine(FAKE_BASE)
    _ask(engine, site.first)
    assert engine.resident() == {site.first.digest}
    engine.forget(site.first.digest)
    assert engine.resident() == frozenset()


def test_a_file_changed_after_the_first_answer_is_refused_too(site: Site) -> None:
    engine = FakeEngine(FAKE_BASE)
    _ask(engine, site.first)
    change_byte(site.first.path / WEIGHTS)
    with pytest.raises(DigestError):
        _ask(engine, site.first)


def test_once_closed_it_refuses() -> None:
    engine = FakeEngine()
    assert not engine.closed
    engine.close()
    assert engine.closed
    with pytest.raises(UnavailableError, match="closed"):
        _ask(engine)


def test_its_end_ends_what_is_in_hand() -> None:
    engine = FakeEngine(delay=0.01)

    async def ask() -> None:
        async with aclosing(engine.generate("a prompt", None, Limits(9))) as pieces:
            await anext(pieces)
            engine.close()
            with pytest.raises(UnavailableError, match="closed"):
                await anext(pieces)

    asyncio.run(ask())

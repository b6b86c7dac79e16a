from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from radimpress.reports.errors import ConfigError, UnavailableError
from radimpress.reports.report import Modality
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.configuration import Entry
from radimpress.server.engines.fake import FakeEngine
from radimpress.server.engines.several import Several
from radimpress.trainer.bundle import AdapterBundle
from tests.server.conftest import CT_LIST, FAKE_BASE, MR_LIST, Site
from tests.server.peer import Peer


class Named(FakeEngine):
    """A fake engine on another machine."""

    def __init__(self, missing: str = "") -> None:
        super().__init__(FAKE_BASE)
        self.missing = missing
        self.prepared: list[str] = []
        self.asked = 0
        self.context = 100

    def prepare(self, adapter: AdapterBundle) -> None:
        self.prepared.append(adapter.digest)

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        self.asked += 1
        async with aclosing(super().generate(prompt, adapter, limits)) as pieces:
            async for piece in pieces:
                yield piece


def _several(first: FakeEngine, rest: FakeEngine) -> Several:
    mine = Entry(kind="vllm", urls=("http://a:1",), modalities=frozenset({Modality.MR}))
    return Several([(mine, first), (Entry(kind="fake"), rest)])


def _last(engine: Several, modality: Modality, clinic: str = "") -> Piece:
    async def ask() -> Piece:
        async with aclosing(engine.generate("a prompt", None, Limits(9, None, modality, clinic))) as pieces:
            return [piece async for piece in pieces][-1]

    return asyncio.run(ask())


def test_each_answers_its_own_and_says_so() -> None:
    mine, rest = Named(), Named()
    engine = _several(mine, rest)
    assert _last(engine, Modality.MR).engine == "vllm"
    assert _last(engine, Modality.CT).engine == "fake"
    assert _last(engine, Modality.UNSPECIFIED).engine == "fake"
    assert (mine.asked, rest.asked) == (1, 2)


def test_nobody_takes_the_place_of_an_engine_that_ended() -> None:
    mine, rest = Named(), Named()
    engine = _several(mine, rest)
    mine.close()
    assert engine.closed
    with pytest.raises(UnavailableError):
        _last(engine, Modality.MR)
    assert rest.asked == 0


def test_engines_of_different_base_models_are_refused() -> None:
    with pytest.raises(ConfigError, match="the same base model"):
        _several(FakeEngine("0" * 64), FakeEngine("1" * 64))


def test_it_is_missing_only_where_nothing_can_be_answered() -> None:
    assert _several(Named("gone"), FakeEngine(FAKE_BASE)).missing == ""
    assert _several(Named("gone"), Named()).missing == ""
    assert _several(Named("gone"), Named("lost")).missing == "gone; lost"


def test_adapters_are_kept_prepared_and_forgotten_by_all(site: Site) -> None:
    mine, rest = Named(), FakeEngine(FAKE_BASE)
    engine = _several(mine, rest)

    async def ask(one: FakeEngine) -> None:
        async for _ in one.generate("a prompt", site.first, Limits(3)):
            pass

    asyncio.run(ask(mine))
    asyncio.run(ask(rest))
    assert engine.resident() == {site.first.digest}
    engine.prepare(site.second)
    assert mine.prepared == [site.second.digest]
    engine.forget(site.first.digest)
    assert engine.resident() == mine.resident() == rest.resident() == frozenset()
    assert (engine.context, engine.prompt_tokens) == (100, None)
    engine.close()
    assert mine.closed
    assert rest.closed


def test_a_server_asks_the_engine_of_the_slice(site: Site) -> None:
    mine, rest = Named(), Named()
    site.promote(site.first, CT_LIST)
    site.promote(site.second, MR_LIST)
    with site.serving(_several(mine, rest)) as address, Peer(address) as peer:
        peer.generate(modality="CT", clinic="alder")
        assert (mine.asked, rest.asked) == (0, 1)
        answer = peer.generate(modality="MR", clinic="alder")
        assert (mine.asked, rest.asked) == (1, 1)
        assert answer.provenance.digest == site.second.digest

"""What the tests of the TGI engine share: two adapters, and an engine in front of stand-ins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.reports.errors import (
    RadimpressError,
)
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.tgi import TgiEngine
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import BaseTokens, load_tokens
from tests.conftest import TINY
from tests.server.conftest import make_bundle
from tests.server.engines.tgi_standin import StandIn

PROMPT = "Modality: CT\nFindings: The left knee is intact."
# What TGI applies of the tiny base's modules.
BASE = replace(TINY, targets=("o_proj", "down_proj"))


@pytest.fixture(scope="module")
def tokens(tiny_folder: Path) -> BaseTokens:
    """How the tiny base reads."""
    return load_tokens(BASE, tiny_folder)


@pytest.fixture(scope="module")
def bundles(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[AdapterBundle, AdapterBundle]:
    """Two adapters."""
    into = tmp_path_factory.mktemp("tgi-bundles")
    return bundle_of(tiny_folder, into, "one", 1), bundle_of(tiny_folder, into, "two", 2)


def bundle_of(folder: Path, into: Path, name: str, seed: int) -> AdapterBundle:
    return make_bundle(folder, into, name=name, seed=seed, targets=BASE.targets)


def engine_of(tokens: BaseTokens, urls: Sequence[str], token: str = "", every: float = 60.0) -> TgiEngine:
    """An engine that looks at each TGI once, where a test does not say otherwise."""
    return TgiEngine(BASE, folder_of(tokens), urls, token, every=every)


def folder_of(tokens: BaseTokens) -> Path:
    """Where they were read from."""
    return Path(tokens.tokenizer.name_or_path)


def stand_in(tokens: BaseTokens, *adapters: AdapterBundle) -> StandIn:
    return StandIn({adapter.digest for adapter in adapters}, lambda text: len(tokens.tokenizer(text)["input_ids"]))


def do(
    tokens: BaseTokens,
    *stands: StandIn,
    work: Callable[[TgiEngine], Awaitable[None]],
    token: str = "",
    every: float = 60.0,
) -> None:
    """Does something with an engine in front of these stand-ins, once each was looked at."""

    async def all_of_it() -> None:
        async with AsyncExitStack() as stack:
            for stand in stands:
                await stack.enter_async_context(stand.here())
            engine = engine_of(tokens, [stand.url for stand in stands], token, every)
            stack.callback(engine.close)
            async with asyncio.timeout(20):
                await until(lambda: "not looked at" not in " ".join(one.why for one in engine._replicas))
                await work(engine)

    asyncio.run(all_of_it())


async def pieces_of(
    engine: TgiEngine, adapter: AdapterBundle | None = None, limits: Limits | None = None, prompt: str = PROMPT
) -> list[Piece]:
    async with aclosing(engine.generate(prompt, adapter, limits or Limits(9))) as pieces:
        return [piece async for piece in pieces]


async def text_of(engine: TgiEngine, adapter: AdapterBundle | None = None) -> str:
    return "".join(piece.text for piece in await pieces_of(engine, adapter))


def said_by(
    tokens: BaseTokens, *stands: StandIn, adapter: AdapterBundle | None = None, limits: Limits | None = None
) -> list[Piece]:
    """What an engine in front of these gives."""
    found: list[Piece] = []

    async def work(engine: TgiEngine) -> None:
        found.extend(await pieces_of(engine, adapter, limits))

    do(tokens, *stands, work=work)
    return found


def refused_by(tokens: BaseTokens, *stands: StandIn, adapter: AdapterBundle | None = None) -> RadimpressError:
    """The error that it ends in."""
    with pytest.raises(RadimpressError) as refused:
        said_by(tokens, *stands, adapter=adapter)
    assert "knee" not in str(refused.value)
    return refused.value


async def until(so: Callable[[], bool]) -> None:
    while not so():
        await asyncio.sleep(0.01)

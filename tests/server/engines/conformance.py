"""What every engine does, whatever it is made of; `TestX(Conformance)` with a fixture `case` tries one."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from radimpress.reports.errors import BundleError, DeadlineError, DigestError, UnavailableError
from radimpress.server.engines import Engine, Keeper, Limits, Piece
from radimpress.server.engines.writer import write
from radimpress.trainer.bundle import WEIGHTS, AdapterBundle, open_bundle
from tests.server.conftest import change_byte

PROMPT = "Modality: CT\nFindings: No acute fracture. The lungs are clear and no effusion is seen."
TOKENS = 6
MANY = 200
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """An engine to try.

    Attributes:
        engine: slow enough that a request of MANY tokens takes more than a tenth of a second.
        bundles: its folder of bundles.
        first, second: two adapters that write differently.
        again: another version of the first one, under its name, which writes differently.
        foreign: of another base model.
        running: requests that are worked on now.
    """

    engine: Engine
    bundles: Path
    first: AdapterBundle
    second: AdapterBundle
    again: AdapterBundle
    foreign: AdapterBundle
    running: Callable[[], int]

    def copy(self, bundle: AdapterBundle, name: str) -> AdapterBundle:
        """The same adapter in another folder, to be spoilt."""
        return open_bundle(Path(shutil.copytree(bundle.path, self.bundles / name)))


async def pieces(engine: Engine, adapter: AdapterBundle | None, limits: Limits, prompt: str = PROMPT) -> list[Piece]:
    async with aclosing(engine.generate(prompt, adapter, limits)) as given:
        return [piece async for piece in given]


def text(engine: Engine, adapter: AdapterBundle | None, tokens: int = TOKENS) -> str:
    return asyncio.run(write(engine, PROMPT, adapter, Limits(tokens))).text


def texts(engine: Engine, adapters: Sequence[AdapterBundle | None]) -> list[str]:
    """What it writes when all are asked at once."""

    async def ask() -> list[str]:
        written = (write(engine, PROMPT, adapter, Limits(TOKENS)) for adapter in adapters)
        return [one.text for one in await asyncio.gather(*written)]

    return asyncio.run(ask())


def until(done: Callable[[], bool], patience: float = PATIENCE) -> None:
    end = time.monotonic() + patience
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


class Conformance:
    """The behaviours."""

    def test_each_adapter_and_base_write_as_themselves(self, case: Case) -> None:
        asked = [None, case.first, case.second]
        once = [text(case.engine, adapter) for adapter in asked]
        assert len(set(once)) == 3
        assert [text(case.engine, adapter) for adapter in asked] == once

    def test_adapters_that_are_asked_at_once_never_mix(self, case: Case) -> None:
        asked = [None, case.first, case.second, case.first, None, case.second]
        alone = {id(adapter): text(case.engine, adapter) for adapter in asked[:3]}
        assert texts(case.engine, asked) == [alone[id(adapter)] for adapter in asked]

    def test_pieces_join_to_the_whole_and_the_last_one_ends_it(self, case: Case) -> None:
        given = asyncio.run(pieces(case.engine, case.first, Limits(TOKENS)))
        assert "".join(piece.text for piece in given) == text(case.engine, case.first)
        assert [piece.finish for piece in given[:-1]] == [""] * (len(given) - 1)
        assert given[-1].finish in ("stop", "length")
        assert given[-1].prompt_tokens > 0
        assert 0 < given[-1].tokens <= TOKENS

    def test_no_more_is_written_than_may_be(self, case: Case) -> None:
        last = asyncio.run(pieces(case.engine, case.first, Limits(2)))[-1]
        assert (last.finish, last.tokens) == ("length", 2)

    def test_whoever_leaves_frees_the_engine(self, case: Case) -> None:
        async def leave() -> None:
            async with aclosing(case.engine.generate(PROMPT, case.first, Limits(MANY))) as given:
                await anext(given)

        text(case.engine, case.first)
        asyncio.run(leave())
        until(lambda: case.running() == 0)
        assert text(case.engine, case.second)

    @pytest.mark.parametrize("whole", [False, True])
    def test_whoever_is_cancelled_frees_the_engine(self, case: Case, *, whole: bool) -> None:
        async def cancelled() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await pieces(case.engine, case.first, Limits(MANY, whole=whole))

        asyncio.run(cancelled())
        until(lambda: case.running() == 0)

    @pytest.mark.parametrize("whole", [False, True])
    @pytest.mark.parametrize("seconds", [-1.0, 0.05])
    def test_a_deadline_ends_a_request_and_no_other(self, case: Case, seconds: float, *, whole: bool) -> None:
        async def ask() -> str:
            other = asyncio.create_task(write(case.engine, PROMPT, case.second, Limits(TOKENS)))
            with pytest.raises(DeadlineError):
                await pieces(case.engine, case.first, Limits(MANY, time.monotonic() + seconds, whole=whole))
            return (await other).text

        assert asyncio.run(ask()) == text(case.engine, case.second)
        until(lambda: case.running() == 0)

    def test_a_damaged_adapter_is_refused_and_no_other(self, case: Case) -> None:
        spoilt = case.copy(case.first, "spoilt")
        change_byte(spoilt.path / WEIGHTS)
        with pytest.raises(DigestError):
            text(case.engine, spoilt)
        assert text(case.engine, case.second)

    def test_an_adapter_of_another_base_model_is_refused(self, case: Case) -> None:
        with pytest.raises(BundleError, match="fitted on base"):
            text(case.engine, case.foreign)

    def test_an_adapter_that_is_gone_is_refused(self, case: Case) -> None:
        gone = case.copy(case.again, "gone")
        shutil.rmtree(gone.path)
        with pytest.raises(BundleError):
            text(case.engine, gone)

    def test_a_new_version_of_the_same_name_is_another_adapter(self, case: Case) -> None:
        assert case.first.name == case.again.name
        old = text(case.engine, case.first)
        new = text(case.engine, case.again)
        assert old != new
        assert texts(case.engine, [case.first, case.again]) == [old, new]

    def test_what_is_forgotten_leaves_and_comes_back_as_it_was(self, case: Case) -> None:
        assert isinstance(case.engine, Keeper)
        keeper = case.engine
        before = text(case.engine, case.first)
        assert case.first.digest in keeper.resident()
        keeper.forget(case.first.digest)
        until(lambda: case.first.digest not in keeper.resident())
        assert text(case.engine, case.first) == before

    def test_a_request_ends_well_though_its_adapter_is_forgotten_meanwhile(self, case: Case) -> None:
        async def ask() -> str:
            said = ""
            async with aclosing(case.engine.generate(PROMPT, case.first, Limits(TOKENS))) as given:
                async for piece in given:
                    case.engine.forget(case.first.digest)  # type: ignore[attr-defined]
                    said += piece.text
            return said

        assert asyncio.run(ask()) == text(case.engine, case.first)

    def test_its_end_ends_what_is_in_hand(self, case: Case) -> None:
        async def ask() -> None:
            async with aclosing(case.engine.generate(PROMPT, case.first, Limits(MANY))) as given:
                await anext(given)
                await asyncio.to_thread(case.engine.close)
                with pytest.raises(UnavailableError, match="closed"):
                    async for _ in given:
                        pass

        assert not case.engine.closed
        asyncio.run(ask())
        assert case.engine.closed
        with pytest.raises(UnavailableError, match="closed"):
            text(case.engine, None)
        case.engine.close()

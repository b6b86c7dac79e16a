"""The TGI engine beside a stand-in in the shapes of TGI's OpenAPI document; test_conformance has more of it."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.reports.errors import (
    BundleError,
    ConfigError,
    DeadlineError,
    InputError,
    UnavailableError,
)
from radimpress.server.engines import Keeper, Limits, tgi
from radimpress.server.engines.tgi import TgiEngine
from radimpress.server.engines.writer import EngineWriter
from radimpress.trainer.bases import base_digest, find_base
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import BaseTokens, load_tokens
from tests.server.conftest import make_bundle
from tests.server.engines.tgi_case import (
    BASE,
    PROMPT,
    bundles,
    do,
    engine_of,
    folder_of,
    pieces_of,
    refused_by,
    said_by,
    stand_in,
    text_of,
    tokens,
    until,
)

__all__ = ["bundles", "tokens"]


def test_base_and_adapters_each_write_their_own(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    said: list[str] = []

    async def work(engine: TgiEngine) -> None:
        said.extend(await asyncio.gather(*(text_of(engine, adapter) for adapter in (None, *bundles, None, bundles[0]))))
        assert engine.resident() == {one.digest for one in bundles}
        assert isinstance(engine, Keeper)
        assert (engine.base_name, engine.closed) == (BASE.name, False)
        assert engine.base_digest == base_digest(BASE, folder_of(tokens))

    do(tokens, stand_in(tokens, *bundles), work=work)
    base, one, two = "Written by base.", *(f"Written by {adapter.digest[:12]}." for adapter in bundles)
    assert said == [base, one, two, base, one]


@pytest.mark.parametrize(
    ("finish", "ending", "most", "expected"),
    [
        ("eos_token", ("<|endoftext|>", True), 9, ("stop", 4)),
        ("stop_sequence", ("<|end|>", False), 9, ("stop", 4)),
        ("stop_sequence", (" <|end|>", False), 9, ("stop", 4)),
        ("length", ("", False), 9, ("length", 4)),
        ("eos_token", ("<|end|>", True), 2, ("length", 2)),
    ],
)
def test_how_it_ended_and_what_it_used(
    tokens: BaseTokens, finish: str, ending: tuple[str, bool], most: int, expected: tuple[str, int]
) -> None:
    stand = stand_in(tokens)
    stand.finish, stand.ending = finish, ending
    *pieces, last = said_by(tokens, stand, limits=Limits(most))
    assert last.engine == stand.url
    assert (last.finish, last.tokens, last.prompt_tokens) == (*expected, len(tokens.prompt_ids(PROMPT)))
    assert not any(piece.finish for piece in pieces)
    assert "".join(piece.text for piece in (*pieces, last)) == "".join(["Written", " by", " base", "."][:most])


def test_a_deadline_is_kept_and_its_caller_leaves(tokens: BaseTokens) -> None:
    stand, other = stand_in(tokens), stand_in(tokens)
    stand.seconds = 1.0

    async def work(engine: TgiEngine) -> None:
        with pytest.raises(DeadlineError):
            await pieces_of(engine, limits=Limits(9, deadline=time.monotonic() + 0.5))
        await until(lambda: stand.left == 1)
        # Nobody else is asked for what is late.
        assert other.asked == []

    do(tokens, stand, other, work=work)


def test_whoever_stops_reading_ends_the_work(tokens: BaseTokens) -> None:
    stand = stand_in(tokens)
    stand.seconds = 0.1

    async def work(engine: TgiEngine) -> None:
        async with aclosing(engine.generate(PROMPT, None, Limits(9))) as pieces:
            assert (await anext(pieces)).text == "Written"
        await until(lambda: stand.left == 1)

    do(tokens, stand, work=work)


def test_closing_ends_the_work_in_hand(tokens: BaseTokens) -> None:
    stand = stand_in(tokens)
    stand.seconds = 5

    async def work(engine: TgiEngine) -> None:
        asked = asyncio.create_task(pieces_of(engine))
        await until(lambda: bool(stand.asked))
        engine.close()
        with pytest.raises(UnavailableError, match="closed"):
            await asked
        assert engine.closed
        with pytest.raises(UnavailableError, match="closed"):
            await pieces_of(engine)

    do(tokens, stand, work=work)


def test_whoever_was_not_waiting_when_it_was_closed_is_told_when_they_go_on(tokens: BaseTokens) -> None:
    async def work(engine: TgiEngine) -> None:
        async with aclosing(engine.generate(PROMPT, None, Limits(9))) as pieces:
            await anext(pieces)
            engine.close()
            with pytest.raises(UnavailableError, match="closed"):
                await anext(pieces)

    do(tokens, stand_in(tokens), work=work)


def test_what_is_too_long_is_the_callers_fault(tokens: BaseTokens) -> None:
    stand = stand_in(tokens)
    stand.info["max_input_tokens"] = 20
    error = refused_by(tokens, stand)
    assert isinstance(error, InputError)
    assert f"make {len(tokens.prompt_ids(PROMPT))} tokens; TGI /models/tiny has room for 20" in str(error)


def test_a_prompt_that_was_read_as_other_tokens_is_no_answer(tokens: BaseTokens) -> None:
    stand = stand_in(tokens)
    stand.tokens = lambda text: len(tokens.tokenizer(text)["input_ids"]) + 1
    assert "were meant" in str(refused_by(tokens, stand))


def test_what_tgi_puts_before_a_text_does_not_stand_twice(
    tokens: BaseTokens, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_begin = load_tokens(
        replace(BASE, chat_template="{{ bos_token }}" + tokens.tokenizer.chat_template), tiny_folder
    )
    tokenizer = with_begin.tokenizer
    tokenizer.bos_token = "<|endoftext|>"
    plain = tokenizer.__class__.__call__

    class Beginning(tokenizer.__class__):  # type: ignore[misc, name-defined]
        def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
            ids = plain(self, text, add_special_tokens=False)["input_ids"]
            return {"input_ids": [self.bos_token_id, *ids] if add_special_tokens else ids}

    tokenizer.__class__ = Beginning
    monkeypatch.setattr(tgi, "load_tokens", lambda base, folder: with_begin)
    stand = stand_in(with_begin)
    said_by(with_begin, stand)
    (asked,) = stand.asked
    assert not asked["inputs"].startswith("<|endoftext|>")
    assert [tokenizer.bos_token_id, *tokenizer(asked["inputs"], add_special_tokens=False)["input_ids"]] == (
        with_begin.prompt_ids(PROMPT)
    )
    tokenizer.chat_template = tokens.tokenizer.chat_template
    with pytest.raises(ConfigError, match="other tokens"):
        engine_of(tokens, ["http://127.0.0.1:1"])


@pytest.mark.parametrize("name", ["mediphi-instruct", "smollm2-135m-instruct-int8"])
def test_a_base_model_that_it_would_serve_otherwise_is_refused(tiny_folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"gate_up_proj|int8"):
        TgiEngine(find_base(name), tiny_folder, ["http://127.0.0.1:1"])


def test_matrices_that_it_would_leave_out_are_refused(tokens: BaseTokens, tiny_folder: Path, tmp_path: Path) -> None:
    more = make_bundle(tiny_folder, tmp_path, name="more", config={"target_modules": list(BASE.targets)})
    error = refused_by(tokens, stand_in(tokens, more), adapter=more)
    assert isinstance(error, BundleError)
    assert "do not fit" in str(error)


def test_evaluation_asks_it_from_an_event_loop_of_its_own(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    async def work(engine: TgiEngine) -> None:
        await pieces_of(engine, bundles[0])
        writer = EngineWriter(engine)
        written = await asyncio.to_thread(lambda: list(writer.write_all([PROMPT] * 5, bundles[0], 9)))
        assert {one.text for one in written} == {f"Written by {bundles[0].digest[:12]}."}
        await pieces_of(engine, bundles[0])

    do(tokens, stand_in(tokens, *bundles), work=work)

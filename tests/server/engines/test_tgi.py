"""The TGI engine beside a stand-in that answers in the shapes of TGI's OpenAPI document: no TGI is needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.reports.errors import (
    BundleError,
    ConfigError,
    DeadlineError,
    DigestError,
    EngineError,
    InputError,
    OverloadError,
    RadimpressError,
    UnavailableError,
)
from radimpress.server.engines import Keeper, Limits, Piece, tgi, tgi_replica
from radimpress.server.engines.tgi import TgiEngine
from radimpress.server.engines.writer import EngineWriter
from radimpress.trainer.bases import base_digest, find_base
from radimpress.trainer.bundle import WEIGHTS, AdapterBundle
from radimpress.trainer.load import BaseTokens, load_tokens
from tests.conftest import TINY
from tests.server.conftest import change_byte, make_bundle
from tests.server.engines.tgi_standin import SHAPES, StandIn

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
    return _bundle(tiny_folder, into, "one", 1), _bundle(tiny_folder, into, "two", 2)


def _bundle(folder: Path, into: Path, name: str, seed: int) -> AdapterBundle:
    return make_bundle(folder, into, name=name, seed=seed, targets=BASE.targets)


def _engine(tokens: BaseTokens, urls: Sequence[str], token: str = "") -> TgiEngine:
    return TgiEngine(BASE, _folder(tokens), urls, token)


def _folder(tokens: BaseTokens) -> Path:
    """Where they were read from."""
    return Path(tokens.tokenizer.name_or_path)


def _stand_in(tokens: BaseTokens, *adapters: AdapterBundle) -> StandIn:
    return StandIn({adapter.digest for adapter in adapters}, lambda text: len(tokens.tokenizer(text)["input_ids"]))


def _run(
    tokens: BaseTokens, *stands: StandIn, work: Callable[[TgiEngine], Awaitable[None]], token: str = ""
) -> TgiEngine:
    """Does something with an engine in front of these stand-ins."""
    made: list[TgiEngine] = []

    async def all_of_it() -> None:
        async with AsyncExitStack() as stack:
            for stand in stands:
                await stack.enter_async_context(stand.here())
            made.append(_engine(tokens, [stand.url for stand in stands], token))
            async with asyncio.timeout(20):
                await work(made[0])

    asyncio.run(all_of_it())
    return made[0]


async def _pieces(
    engine: TgiEngine, adapter: AdapterBundle | None = None, limits: Limits | None = None, prompt: str = PROMPT
) -> list[Piece]:
    async with aclosing(engine.generate(prompt, adapter, limits or Limits(9))) as pieces:
        return [piece async for piece in pieces]


async def _text(engine: TgiEngine, adapter: AdapterBundle | None = None) -> str:
    return "".join(piece.text for piece in await _pieces(engine, adapter))


def _said(
    tokens: BaseTokens, *stands: StandIn, adapter: AdapterBundle | None = None, limits: Limits | None = None
) -> list[Piece]:
    """What an engine in front of these gives."""
    found: list[Piece] = []

    async def work(engine: TgiEngine) -> None:
        found.extend(await _pieces(engine, adapter, limits))

    _run(tokens, *stands, work=work)
    return found


def _refused(tokens: BaseTokens, *stands: StandIn, adapter: AdapterBundle | None = None) -> RadimpressError:
    """The error that it ends in."""
    with pytest.raises(RadimpressError) as refused:
        _said(tokens, *stands, adapter=adapter)
    assert "knee" not in str(refused.value)
    return refused.value


def test_base_and_adapters_each_write_their_own(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    said: list[str] = []

    async def work(engine: TgiEngine) -> None:
        said.extend(await asyncio.gather(*(_text(engine, adapter) for adapter in (None, *bundles, None, bundles[0]))))
        assert engine.resident() == {one.digest for one in bundles}

    engine = _run(tokens, _stand_in(tokens, *bundles), work=work)
    base, one, two = "Written by base.", *(f"Written by {adapter.digest[:12]}." for adapter in bundles)
    assert said == [base, one, two, base, one]
    assert isinstance(engine, Keeper)
    assert (engine.base_name, engine.closed) == (BASE.name, False)
    assert engine.base_digest == base_digest(BASE, _folder(tokens))


def test_what_is_asked_is_what_the_document_knows(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    stand = _stand_in(tokens, *bundles)
    _said(tokens, stand, adapter=bundles[0], limits=Limits(7))
    (asked,) = stand.asked
    assert asked == {
        "inputs": tokens.prompt_text(PROMPT),
        "parameters": {
            "adapter_id": bundles[0].digest,
            "details": True,
            "do_sample": False,
            "max_new_tokens": 7,
            "stop": list(BASE.stop),
        },
        "stream": True,
    }
    for body in (asked, *stand.looked):
        assert set(body["parameters"]) <= set(SHAPES["parameters"])
        # A profile is of a fixed text: nothing of a report is in it.
        assert body is asked or "knee" not in body["inputs"]


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
    stand = _stand_in(tokens)
    stand.finish, stand.ending = finish, ending
    *pieces, last = _said(tokens, stand, limits=Limits(most))
    assert last.engine == stand.url
    assert (last.finish, last.tokens, last.prompt_tokens) == (*expected, len(tokens.prompt_ids(PROMPT)))
    assert not any(piece.finish for piece in pieces)
    assert "".join(piece.text for piece in (*pieces, last)) == "".join(["Written", " by", " base", "."][:most])


def test_an_adapter_that_it_does_not_hold_is_refused_and_base_is_not_given_out(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    stand = _stand_in(tokens, bundles[0])
    error = _refused(tokens, stand, adapter=bundles[1])
    assert isinstance(error, BundleError)
    assert "lora-adapters" in str(error)
    assert stand.asked == []


@pytest.mark.parametrize("rounding", [0.0, 0.03, 0.3])
def test_rounding_is_not_taken_for_an_adapter(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle], rounding: float
) -> None:
    stand = _stand_in(tokens)
    stand.rounding = rounding
    assert isinstance(_refused(tokens, stand, adapter=bundles[0]), BundleError)


def test_a_restart_without_the_adapter_ends_the_answer_in_an_error(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    stand = _stand_in(tokens, *bundles)
    stand.restart = stand.adapters.clear
    assert "any longer" in str(_refused(tokens, stand, adapter=bundles[0]))


def test_a_restart_with_another_adapter_under_that_name_ends_it_too(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    stand = _stand_in(tokens, *bundles)

    async def work(engine: TgiEngine) -> None:
        for adapter in bundles:
            await _pieces(engine, adapter)
        # Whoever wrote its LORA_ADAPTERS took the other's folder.
        profile = stand._profile
        other = {"parameters": {"adapter_id": bundles[1].digest}}
        stand._profile = lambda body: profile(other)  # type: ignore[method-assign]
        with pytest.raises(EngineError, match="any longer"):
            await _pieces(engine, bundles[0])

    _run(tokens, stand, work=work)


def test_every_answer_is_proved_before_and_after_and_those_at_once_share_the_proof(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    stand = _stand_in(tokens, *bundles)
    stand.seconds = 0.02

    async def work(engine: TgiEngine) -> None:
        await _pieces(engine, bundles[0])
        # The base model's profile, the same beside the adapter's first one, and the adapter's once more after it.
        assert [body["parameters"].get("adapter_id") for body in stand.looked] == [None, None, *[bundles[0].digest] * 2]
        await _pieces(engine, bundles[0])
        assert len(stand.looked) == 5
        await asyncio.gather(*(_pieces(engine, bundles[0]) for _ in range(20)))
        assert 6 <= len(stand.looked) < 15

    _run(tokens, stand, work=work)


def test_a_tgi_that_tells_no_likelihoods_is_told_what_it_lacks(tokens: BaseTokens) -> None:
    stand = _stand_in(tokens)
    stand.prefill = False
    assert "--enable-prefill-logprobs" in str(_refused(tokens, stand))


@pytest.mark.parametrize(
    ("fails", "kind"),
    [
        ("validation", EngineError),
        ("generation", EngineError),
        ("overloaded", OverloadError),
        ("incomplete_generation", EngineError),
        ("event:generation", EngineError),
        ("event:incomplete_generation", EngineError),
    ],
)
def test_its_errors_are_ours(tokens: BaseTokens, fails: str, kind: type[Exception]) -> None:
    stand = _stand_in(tokens)

    async def work(engine: TgiEngine) -> None:
        await _pieces(engine)
        stand.fails = fails
        with pytest.raises(kind) as refused:
            await _pieces(engine)
        assert type(refused.value) is kind
        # Nothing of TGI's own words, which may quote what it was asked.
        assert "CUDA" not in str(refused.value)

    _run(tokens, stand, work=work)


@pytest.mark.parametrize(("status", "kind"), [(429, OverloadError), (503, UnavailableError), (401, EngineError)])
def test_what_stands_before_it_is_understood_by_status(tokens: BaseTokens, status: int, kind: type[Exception]) -> None:
    stand = _stand_in(tokens)

    async def work(engine: TgiEngine) -> None:
        await _pieces(engine)
        stand.status = status
        with pytest.raises(kind) as refused:
            await _pieces(engine)
        assert type(refused.value) is kind

    _run(tokens, stand, work=work)


def test_a_stream_that_ends_without_an_end_is_no_answer(tokens: BaseTokens) -> None:
    stand = _stand_in(tokens)
    stand.cut = 2
    assert "broke off" in str(_refused(tokens, stand))


def test_what_is_no_tgi_is_refused(tokens: BaseTokens) -> None:
    stand = _stand_in(tokens)
    stand.info = {"name": "something else"}
    assert "not TGI's" in str(_refused(tokens, stand))


def test_a_deadline_is_kept_and_its_caller_leaves(tokens: BaseTokens) -> None:
    stand = _stand_in(tokens)
    stand.seconds = 0.2

    async def work(engine: TgiEngine) -> None:
        with pytest.raises(DeadlineError):
            await _pieces(engine, limits=Limits(9, deadline=time.monotonic() + 0.5))
        await _until(lambda: stand.left == 1)

    _run(tokens, stand, work=work)


def test_whoever_stops_reading_ends_the_work(tokens: BaseTokens) -> None:
    stand = _stand_in(tokens)
    stand.seconds = 0.1

    async def work(engine: TgiEngine) -> None:
        async with aclosing(engine.generate(PROMPT, None, Limits(9))) as pieces:
            assert (await anext(pieces)).text == "Written"
        await _until(lambda: stand.left == 1)

    _run(tokens, stand, work=work)


def test_closing_ends_the_work_in_hand(tokens: BaseTokens) -> None:
    stand = _stand_in(tokens)
    stand.seconds = 5

    async def work(engine: TgiEngine) -> None:
        asked = asyncio.create_task(_pieces(engine))
        await _until(lambda: bool(stand.asked))
        engine.close()
        with pytest.raises(UnavailableError, match="closed"):
            await asked
        # Whoever was not waiting just then is told when they go on.
        engine.closed, stand.seconds = False, 0.0
        async with aclosing(engine.generate(PROMPT, None, Limits(9))) as pieces:
            await anext(pieces)
            engine.close()
            with pytest.raises(UnavailableError, match="closed"):
                await anext(pieces)
        with pytest.raises(UnavailableError, match="closed"):
            await _pieces(engine)

    assert _run(tokens, stand, work=work).closed


async def _until(so: Callable[[], bool]) -> None:
    while not so():
        await asyncio.sleep(0.01)


def test_one_that_cannot_be_reached_is_passed_over_and_tried_again(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tgi_replica, "AGAIN_SECONDS", 60.0)
    first, second = _stand_in(tokens, *bundles), _stand_in(tokens, *bundles)
    first.status = 502

    async def work(engine: TgiEngine) -> None:
        for _ in range(4):
            assert await _text(engine, bundles[0]) == f"Written by {bundles[0].digest[:12]}."
        assert (len(first.headers), len(second.asked)) == (1, 4)
        first.status, second.status = 0, 503
        # A minute later.
        engine._replicas[0]._away_until = time.monotonic()
        await _text(engine, bundles[0])
        assert len(first.asked) == 1

    _run(tokens, first, second, work=work)


def test_none_that_can_be_reached_is_told_at_once(tokens: BaseTokens) -> None:
    engine = _engine(tokens, ["http://127.0.0.1:1"])
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 cannot be reached"):
        asyncio.run(_pieces(engine))
    with pytest.raises(UnavailableError, match="no TGI"):
        asyncio.run(_pieces(engine))


def test_one_without_the_adapter_is_passed_over(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    first, second = _stand_in(tokens, bundles[0]), _stand_in(tokens, *bundles)
    assert "".join(one.text for one in _said(tokens, first, second, adapter=bundles[1])).endswith(
        f"{bundles[1].digest[:12]}."
    )
    assert first.asked == []


def test_one_with_another_base_model_is_not_asked(tokens: BaseTokens) -> None:
    first, second = _stand_in(tokens), _stand_in(tokens)
    second.base = 0.4

    async def work(engine: TgiEngine) -> None:
        await _pieces(engine)
        first.status = 503
        with pytest.raises(EngineError, match="another base model"):
            await _pieces(engine)
        assert second.asked == []

    _run(tokens, first, second, work=work)


def test_what_is_too_long_is_the_callers_fault(tokens: BaseTokens) -> None:
    stand = _stand_in(tokens)
    stand.info["max_input_tokens"] = 20
    error = _refused(tokens, stand)
    assert isinstance(error, InputError)
    assert f"make {len(tokens.prompt_ids(PROMPT))} tokens; TGI /models/tiny has room for 20" in str(error)


def test_a_prompt_that_was_read_as_other_tokens_is_no_answer(tokens: BaseTokens) -> None:
    stand = _stand_in(tokens)
    stand.tokens = lambda text: len(tokens.tokenizer(text)["input_ids"]) + 1
    assert "were meant" in str(_refused(tokens, stand))


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
    stand = _stand_in(with_begin)
    _said(with_begin, stand)
    (asked,) = stand.asked
    assert not asked["inputs"].startswith("<|endoftext|>")
    assert [tokenizer.bos_token_id, *tokenizer(asked["inputs"], add_special_tokens=False)["input_ids"]] == (
        with_begin.prompt_ids(PROMPT)
    )
    tokenizer.chat_template = tokens.tokenizer.chat_template
    with pytest.raises(ConfigError, match="other tokens"):
        _engine(tokens, ["http://127.0.0.1:1"])


@pytest.mark.parametrize("name", ["mediphi-instruct", "smollm2-135m-instruct-int8"])
def test_a_base_model_that_it_would_serve_otherwise_is_refused(tiny_folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"gate_up_proj|int8"):
        TgiEngine(find_base(name), tiny_folder, ["http://127.0.0.1:1"])


def test_matrices_that_it_would_leave_out_are_refused(tokens: BaseTokens, tiny_folder: Path, tmp_path: Path) -> None:
    more = make_bundle(tiny_folder, tmp_path, name="more", config={"target_modules": list(BASE.targets)})
    error = _refused(tokens, _stand_in(tokens, more), adapter=more)
    assert isinstance(error, BundleError)
    assert "do not fit" in str(error)


def test_a_file_that_was_changed_here_is_refused(tokens: BaseTokens, tiny_folder: Path, tmp_path: Path) -> None:
    mine = _bundle(tiny_folder, tmp_path, "mine", 3)
    stand = _stand_in(tokens, mine)

    async def work(engine: TgiEngine) -> None:
        await _pieces(engine, mine)
        change_byte(mine.path / WEIGHTS)
        with pytest.raises(DigestError):
            await _pieces(engine, mine)

    _run(tokens, stand, work=work)


def test_what_is_forgotten_is_proved_anew(tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]) -> None:
    async def work(engine: TgiEngine) -> None:
        await _pieces(engine, bundles[0])
        assert engine.resident() == {bundles[0].digest}
        engine.forget(bundles[0].digest)
        assert engine.resident() == frozenset()

    _run(tokens, _stand_in(tokens, *bundles), work=work)


@pytest.mark.parametrize("token", ["", "secret"])
def test_it_is_shown_its_own_token_and_never_that_of_the_hub(
    tokens: BaseTokens, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_hub")
    stand = _stand_in(tokens)

    async def work(engine: TgiEngine) -> None:
        await _pieces(engine)

    _run(tokens, stand, work=work, token=token)
    assert len(stand.headers) == 3
    assert {headers.get("authorization") for headers in stand.headers} == {f"Bearer {token}" if token else None}


def test_evaluation_asks_it_from_an_event_loop_of_its_own(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    async def work(engine: TgiEngine) -> None:
        await _pieces(engine, bundles[0])
        writer = EngineWriter(engine)
        written = await asyncio.to_thread(lambda: list(writer.write_all([PROMPT] * 5, bundles[0], 9)))
        assert {one.text for one in written} == {f"Written by {bundles[0].digest[:12]}."}
        await _pieces(engine, bundles[0])

    _run(tokens, _stand_in(tokens, *bundles), work=work)

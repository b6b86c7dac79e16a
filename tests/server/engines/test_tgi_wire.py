"""What goes to a TGI and what comes of its answers and errors."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from radimpress.reports.errors import (
    EngineError,
    OverloadError,
    UnavailableError,
)
from radimpress.server.engines import Limits, tgi_wire
from radimpress.server.engines.tgi import TgiEngine
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import BaseTokens
from tests.server.engines.tgi_case import (
    BASE,
    PROMPT,
    bundles,
    do,
    pieces_of,
    refused_by,
    said_by,
    stand_in,
    tokens,
)
from tests.server.engines.tgi_standin import SHAPES

__all__ = ["bundles", "tokens"]


def test_what_is_asked_is_what_the_document_knows(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    stand = stand_in(tokens, *bundles)
    said_by(tokens, stand, adapter=bundles[0], limits=Limits(7))
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
        # What is looked at is the same for all: nothing of a report is in it.
        assert body is asked or "left knee" not in body["inputs"]


def test_a_tgi_that_tells_no_likelihoods_is_not_asked_further(tokens: BaseTokens) -> None:
    stand = stand_in(tokens)
    stand.tells = False
    assert "tells no likelihoods" in str(refused_by(tokens, stand))


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
    stand = stand_in(tokens)

    async def work(engine: TgiEngine) -> None:
        await pieces_of(engine)
        stand.fails = fails
        with pytest.raises(kind) as refused:
            await pieces_of(engine)
        assert type(refused.value) is kind
        # Nothing of TGI's own words, which may quote what it was asked.
        assert "CUDA" not in str(refused.value)

    do(tokens, stand, work=work)


@pytest.mark.parametrize(("status", "kind"), [(429, OverloadError), (503, UnavailableError), (401, EngineError)])
def test_what_stands_before_it_is_understood_by_status(tokens: BaseTokens, status: int, kind: type[Exception]) -> None:
    stand = stand_in(tokens)

    async def work(engine: TgiEngine) -> None:
        await pieces_of(engine)
        stand.status = status
        with pytest.raises(kind) as refused:
            await pieces_of(engine)
        assert type(refused.value) is kind

    do(tokens, stand, work=work)


def test_an_error_whose_length_is_not_told_is_ours_too(tokens: BaseTokens) -> None:
    stand = stand_in(tokens)

    async def work(engine: TgiEngine) -> None:
        stand.status, stand.sized = 422, False
        with pytest.raises(EngineError):
            await pieces_of(engine)

    do(tokens, stand, work=work)


def test_one_that_says_nothing_is_not_waited_for_for_ever(tokens: BaseTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tgi_wire, "_TIMEOUT", httpx2.Timeout(0.2))
    stand = stand_in(tokens)

    async def work(engine: TgiEngine) -> None:
        stand.seconds = 60.0
        async with asyncio.timeout(10):
            with pytest.raises(UnavailableError, match="cannot be reached"):
                await pieces_of(engine)

    do(tokens, stand, work=work)


def test_a_stream_that_ends_without_an_end_is_no_answer(tokens: BaseTokens) -> None:
    stand = stand_in(tokens)
    stand.cut = 2
    assert "broke off" in str(refused_by(tokens, stand))


def test_what_is_no_tgi_is_refused(tokens: BaseTokens) -> None:
    stand = stand_in(tokens)
    stand.info = {"name": "something else"}
    assert "not TGI's" in str(refused_by(tokens, stand))


@pytest.mark.parametrize("token", ["", "secret"])
def test_it_is_shown_its_own_token_and_never_that_of_the_hub(
    tokens: BaseTokens, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_hub")
    stand = stand_in(tokens)

    async def work(engine: TgiEngine) -> None:
        await pieces_of(engine)

    do(tokens, stand, work=work, token=token)
    assert len(stand.headers) == 6
    assert {headers.get("authorization") for headers in stand.headers} == {f"Bearer {token}" if token else None}

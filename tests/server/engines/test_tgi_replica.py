"""What a TGI is taken to hold, and which of several is asked."""

from __future__ import annotations

import asyncio

import pytest

from radimpress.reports.errors import (
    BundleError,
    EngineError,
    UnavailableError,
)
from radimpress.server.engines import Distant, tgi
from radimpress.server.engines.fingerprint import LIKELIEST, PROBES
from radimpress.server.engines.tgi import TgiEngine
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import BaseTokens
from tests.server.engines.tgi_case import (
    bundles,
    do,
    engine_of,
    pieces_of,
    refused_by,
    said_by,
    stand_in,
    text_of,
    tokens,
    until,
)

__all__ = ["bundles", "tokens"]


def test_an_adapter_that_it_does_not_hold_is_refused_and_base_is_not_given_out(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    stand = stand_in(tokens, bundles[0])
    error = refused_by(tokens, stand, adapter=bundles[1])
    assert isinstance(error, BundleError)
    assert "lora-adapters" in str(error)
    assert stand.asked == []


@pytest.mark.parametrize("rounding", [0.0, 0.1, 0.3])
def test_rounding_is_not_taken_for_an_adapter(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle], rounding: float
) -> None:
    stand = stand_in(tokens)
    stand.rounding = rounding
    assert isinstance(refused_by(tokens, stand, adapter=bundles[0]), BundleError)


def test_a_restart_without_the_adapter_ends_the_answer_in_an_error(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    stand = stand_in(tokens, *bundles)
    stand.restart = stand.adapters.clear
    assert "any longer" in str(refused_by(tokens, stand, adapter=bundles[0]))


def test_a_restart_with_another_adapter_under_that_name_ends_it_too(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    stand = stand_in(tokens, *bundles)

    async def work(engine: TgiEngine) -> None:
        for adapter in bundles:
            await pieces_of(engine, adapter)
        # Whoever wrote its LORA_ADAPTERS took the other's folder.
        likeliest = stand._likeliest
        other = {"adapter_id": bundles[1].digest}
        stand._likeliest = lambda body: likeliest({"parameters": body["parameters"] | other})  # type: ignore
        with pytest.raises(EngineError, match="any longer"):
            await pieces_of(engine, bundles[0])

    do(tokens, stand, work=work)


def test_every_answer_is_proved_before_and_after_and_those_at_once_share_the_proof(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    stand = stand_in(tokens, *bundles)
    stand.seconds = 0.02

    async def work(engine: TgiEngine) -> None:
        await pieces_of(engine, bundles[0])
        # The base model, the same beside the adapter when it is new, and the adapter once more after it: each by three
        # prompts.
        looked = [body["parameters"].get("adapter_id") for body in stand.looked]
        assert looked == [None] * 6 + [bundles[0].digest] * 6
        await pieces_of(engine, bundles[0])
        assert len(stand.looked) == 15
        await asyncio.gather(*(pieces_of(engine, bundles[0]) for _ in range(20)))
        assert 18 <= len(stand.looked) < 45

    do(tokens, stand, work=work)


def test_one_that_cannot_be_reached_is_passed_over_and_tried_again(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    first, second = stand_in(tokens, *bundles), stand_in(tokens, *bundles)
    first.status = 502

    async def work(engine: TgiEngine) -> None:
        for _ in range(4):
            assert await text_of(engine, bundles[0]) == f"Written by {bundles[0].digest[:12]}."
        assert (len(first.headers), len(second.asked)) == (1, 4)
        first.status, second.status = 0, 503
        # A minute later.
        await engine._replicas[0].look()
        await text_of(engine, bundles[0])
        assert len(first.asked) == 1

    do(tokens, first, second, work=work)


def test_none_that_can_be_reached_is_told_at_once(tokens: BaseTokens) -> None:
    engine = engine_of(tokens, ["http://127.0.0.1:1"])
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 cannot be reached"):
        asyncio.run(pieces_of(engine))
    with pytest.raises(UnavailableError, match="no TGI"):
        asyncio.run(pieces_of(engine))
    engine.close()


def test_it_is_missing_while_no_tgi_can_be_asked(tokens: BaseTokens) -> None:
    first, second = stand_in(tokens), stand_in(tokens)
    first.status = 503

    async def work(engine: TgiEngine) -> None:
        assert isinstance(engine, Distant)
        assert engine.missing == ""
        second.status = 502
        await until(lambda: bool(engine.missing))
        assert first.url in engine.missing
        assert "not ready (502)" in engine.missing
        with pytest.raises(UnavailableError, match="not ready"):
            await pieces_of(engine)
        assert not engine.closed
        second.status = 0
        await until(lambda: engine.missing == "")
        assert await text_of(engine) == "Written by base."

    do(tokens, first, second, work=work, every=0.05)


def test_one_that_fails_before_a_word_was_said_is_passed_over(tokens: BaseTokens) -> None:
    first, second = stand_in(tokens), stand_in(tokens)

    async def work(engine: TgiEngine) -> None:
        first.fails = "generation"
        # It is done with each request sooner than the other, and would be asked first for ever.
        for _ in range(4):
            assert await text_of(engine) == "Written by base."
        assert len(second.asked) == 4
        first.fails = "event:generation"
        with pytest.raises(EngineError, match="failed while it wrote"):
            await pieces_of(engine)

    do(tokens, first, second, work=work)


def test_one_without_the_adapter_is_passed_over(
    tokens: BaseTokens, bundles: tuple[AdapterBundle, AdapterBundle]
) -> None:
    first, second = stand_in(tokens, bundles[0]), stand_in(tokens, *bundles)
    assert "".join(one.text for one in said_by(tokens, first, second, adapter=bundles[1])).endswith(
        f"{bundles[1].digest[:12]}."
    )
    assert first.asked == []


@pytest.mark.parametrize(("shift", "missing"), [(0.0, ""), (0.6, "another base model")])
def test_with_a_fingerprint_of_the_weights_not_even_the_first_is_believed(
    tokens: BaseTokens, monkeypatch: pytest.MonkeyPatch, shift: float, missing: str
) -> None:
    kept = [{at: -1.0 - shift - at / 10 for at in range(LIKELIEST)} for _ in PROBES]
    monkeypatch.setattr(tgi, "kept_reference", lambda digest, probes: kept)

    async def work(engine: TgiEngine) -> None:
        assert missing in engine.missing
        assert bool(missing) == bool(engine.missing)

    do(tokens, stand_in(tokens), work=work)


def test_one_with_another_base_model_is_not_asked(tokens: BaseTokens) -> None:
    first, second = stand_in(tokens), stand_in(tokens)

    async def work(engine: TgiEngine) -> None:
        # It was started anew.
        second.base = 0.6
        engine._replicas[1].lost("gone")
        await engine._replicas[1].look()
        await pieces_of(engine)
        assert engine.missing == ""
        first.status = 503
        await engine._replicas[0].look()
        with pytest.raises(UnavailableError, match="another base model"):
            await pieces_of(engine)
        assert second.asked == []

    do(tokens, first, second, work=work)

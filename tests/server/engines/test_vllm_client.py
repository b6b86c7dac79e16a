"""What vLLM could send that is no answer; what it does send is tried on the stand-in and on a real vLLM."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from radimpress.reports.errors import BundleError, ConfigError, EngineError, OverloadError
from radimpress.server.engines.vllm_client import GoneError, UnknownModelError, VllmClient, Written

SECRET = "the left kidney"
EVENT = {"model": "m", "choices": [{"token_ids": [5], "finish_reason": None}]}
LAST = {"model": "m", "choices": [{"token_ids": [6], "finish_reason": "stop"}]}
USAGE = {"model": "m", "choices": [], "usage": {"prompt_tokens": 3}}
WHOLE = {"model": "m", "choices": [{"token_ids": [5, 6], "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}


def _client(answer: Callable[[httpx2.Request], httpx2.Response]) -> VllmClient:
    client = VllmClient("http://vllm:8000")
    client._http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url=client.url)
    return client


def _events(*events: Any) -> Callable[[httpx2.Request], httpx2.Response]:
    lines = "".join(f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in events)
    return lambda _: httpx2.Response(200, text=lines, headers={"content-type": "text/event-stream"})


def _written(answer: Callable[[httpx2.Request], httpx2.Response], *, whole: bool = False) -> list[Written]:
    async def ask() -> list[Written]:
        return [one async for one in _client(answer).write("m", [1, 2, 3], 9, [0], whole=whole)]

    return asyncio.run(ask())


def test_an_answer_is_its_tokens() -> None:
    assert _written(_events(EVENT, LAST, USAGE, "[DONE]")) == [Written((5,), ""), Written((6,), "stop")]


@pytest.mark.parametrize(
    ("events", "error", "told"),
    [
        ((EVENT,), GoneError, "broke off"),
        ((EVENT, "[DONE]"), GoneError, "broke off"),
        ((EVENT, {"error": {"message": SECRET}}), EngineError, "broke off with an error"),
        ((EVENT, {**LAST, "model": "base"}), EngineError, "answered with model 'base'"),
        ((LAST, {**USAGE, "usage": {"prompt_tokens": 2}}), EngineError, "read 2 tokens, and was sent 3"),
        (({"model": "m", "choices": [{"token_ids": [5], "finish_reason": "abort"}]},), EngineError, "broke the answer"),
        (({"model": "m", "choices": [{"token_ids": None, "finish_reason": None}]},), EngineError, "cannot be read"),
        (({"model": "m", "choices": [{"text": SECRET, "finish_reason": None}]},), EngineError, "cannot be read"),
        (("not JSON: " + SECRET,), EngineError, "cannot be read"),
        (({},), EngineError, "cannot be read"),
    ],
)
def test_what_is_no_answer_is_an_error_that_quotes_nothing(
    events: tuple[Any, ...], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told) as caught:
        _written(_events(*events))
    assert SECRET not in str(caught.value)


def test_an_answer_may_come_whole() -> None:
    assert _written(lambda _: httpx2.Response(200, json=WHOLE), whole=True) == [Written((5, 6), "stop")]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ([], "cannot be read"),
        ({**WHOLE, "model": "base"}, "answered with model 'base'"),
        ({**WHOLE, "usage": {"prompt_tokens": 2}}, "read 2 tokens, and was sent 3"),
        ({**WHOLE, "usage": None}, "cannot be read"),
        ({**WHOLE, "choices": []}, "cannot be read"),
        ({**WHOLE, "choices": [{"token_ids": [5], "finish_reason": None}]}, "without an end"),
        ({**WHOLE, "choices": [{"token_ids": [5], "finish_reason": "abort"}]}, "broke the answer"),
        ({**WHOLE, "choices": [{"text": SECRET, "finish_reason": "stop"}]}, "cannot be read"),
        (None, "is not JSON"),
    ],
)
def test_what_is_no_whole_answer_is_an_error_that_quotes_nothing(body: Any, told: str) -> None:
    with pytest.raises(EngineError, match=told) as caught:
        _written(lambda _: httpx2.Response(200, json=body), whole=True)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, EngineError),
        (401, ConfigError),
        (404, UnknownModelError),
        (429, OverloadError),
        (500, EngineError),
        (503, OverloadError),
    ],
)
def test_a_status_becomes_an_error_that_quotes_nothing(status: int, error: type[Exception], *, whole: bool) -> None:
    with pytest.raises(error) as caught:
        _written(lambda _: httpx2.Response(status, json={"error": {"message": SECRET}}), whole=whole)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("told", "seconds"), [("7", 7.0), ("7000", 30.0), ("soon", 1.0)])
def test_a_full_server_says_when_to_come_again(told: str, seconds: float) -> None:
    with pytest.raises(OverloadError) as caught:
        _written(lambda _: httpx2.Response(429, headers={"retry-after": told}))
    assert caught.value.retry_seconds == seconds


def test_a_page_in_the_place_of_events_is_an_error() -> None:
    with pytest.raises(EngineError, match="cannot be read"):
        _written(lambda _: httpx2.Response(200, text="<html>"))


def test_a_connection_that_cannot_be_made_is_gone() -> None:
    def nobody(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no")

    with pytest.raises(GoneError, match="ConnectError"):
        _written(nobody)


@pytest.mark.parametrize(
    ("status", "message", "error", "told"),
    [
        (400, "it is bent", BundleError, "it is bent"),
        (500, "Call to add_lora method failed: LoRA rank 9 is greater than max_lora_rank 8.", BundleError, "rank"),
        (500, "Call to add_lora method failed: no such file", BundleError, "no such file"),
        (500, "EngineCore encountered an issue", EngineError, "HTTP 500"),
        (503, "", OverloadError, "503"),
    ],
)
def test_what_vllm_says_of_an_adapter_is_told(status: int, message: str, error: type[Exception], told: str) -> None:
    client = _client(lambda _: httpx2.Response(status, json={"error": {"message": message}}))
    with pytest.raises(error, match=told):
        asyncio.run(client.load("a", "/a"))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": "m", "choices": []},
        {"model": "m", "choices": [{"index": 0, "logprobs": None}]},
        {"model": "m", "choices": [{"index": 0, "logprobs": {"top_logprobs": [{}]}}]},
        {"model": "m", "choices": [{"index": 0, "logprobs": {"top_logprobs": [{"the": -1.0}]}}]},
        {"model": "base", "choices": [{"index": 0, "logprobs": {"top_logprobs": [{"token_id:1": -1.0}]}}]},
    ],
)
def test_probabilities_that_are_none_are_an_error(body: dict[str, Any]) -> None:
    with pytest.raises(EngineError):
        asyncio.run(_client(lambda _: httpx2.Response(200, json=body)).likeliest("m", [[1]]))


@pytest.mark.parametrize("body", [{}, {"data": [{}]}, {"data": 3}, []])
def test_models_in_another_form_are_an_error(body: Any) -> None:
    with pytest.raises(EngineError, match="not known"):
        asyncio.run(_client(lambda _: httpx2.Response(200, json=body)).models())


def test_room_is_read_from_metrics_where_they_tell() -> None:
    page = '# HELP\nvllm:lora_requests_info{engine="0",max_lora="12",running_lora_adapters=""} 1.7e+09\n'
    assert asyncio.run(_client(lambda _: httpx2.Response(200, text=page)).room()) == 12
    assert asyncio.run(_client(lambda _: httpx2.Response(200, text="")).room()) is None

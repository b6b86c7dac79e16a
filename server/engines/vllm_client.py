"""vLLM's HTTP API, as much of it as is used (vLLM 0.32: entrypoints/openai); its errors become ours here.

    GET  /health                  whether it answers
    GET  /v1/models               the base model, and the adapters that it holds by name
    POST /v1/load_lora_adapter    and unload_lora_adapter; VLLM_ALLOW_RUNTIME_LORA_UPDATING opens them
    POST /v1/completions          token ids in, token ids out

Every answer says which model wrote it, and that is compared with the model that was asked. What vLLM says of a
request that it refuses may quote it, and is never repeated; what it says of an adapter is.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from radimpress.reports.errors import BundleError, ConfigError, EngineError, OverloadError, UnavailableError
from radimpress.server.engines.fingerprint import LIKELIEST

_CONNECT = 5.0
_SHORT = 10.0
# vLLM closes a connection that is idle for 5 seconds; nothing may be sent at that very moment.
_IDLE = 3.0
# Reading an adapter's files may take a slow disk long; a prompt may wait for others in vLLM's queue.
_LOADING = 120.0
_SILENCE = 120.0
# Seconds a token, where nothing is heard before the last one.
_SLOWEST = 1.0
_RETRY_MAX = 30.0
_TOLD_MAX = 200
_BROKEN = 500
_MAX_LORA = re.compile(r'^vllm:lora_requests_info\{[^}]*max_lora="(\d+)"', re.MULTILINE)
# All that decides what greedy decoding writes, so that no generation_config.json of the model's has a say.
_GREEDY: Mapping[str, Any] = {
    "temperature": 0,
    "top_p": 1,
    "top_k": 0,
    "min_p": 0,
    "repetition_penalty": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}


class GoneError(UnavailableError):
    """The connection could not be made, or broke off."""


class RefusedError(EngineError):
    """A status that no other kind of error stands for."""

    def __init__(self, status: int, said: Mapping[str, Any]) -> None:
        super().__init__(f"vLLM refused the request (HTTP {status})")
        self.status = status
        self.said = said


class UnknownModelError(EngineError):
    """vLLM holds no model of the name that was asked for."""


@dataclass(frozen=True, slots=True)
class Model:
    """What vLLM lists.

    Attributes:
        name: as requests name it.
        root: the path it was loaded from.
        adapter: whether it is an adapter of another one.
        context: tokens of prompt and answer at most; 0 where it is not told, as for adapters.
    """

    name: str
    root: str
    adapter: bool
    context: int


@dataclass(frozen=True, slots=True)
class Written:
    """The next tokens of an answer; `finish` is "stop" or "length" with the last of them, else empty."""

    tokens: tuple[int, ...]
    finish: str


class VllmClient:
    """One vLLM server.

    Args:
        url: http or https, without the API's path.
        token: the bearer token that it was started with (--api-key); empty is none.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx2.Timeout(_SHORT, connect=_CONNECT),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=_IDLE),
            # Findings go to this machine and to no proxy that some variable names; SSL_CERT_FILE is OpenSSL's own.
            trust_env=False,
            verify=ssl.create_default_context() if url.startswith("https:") else False,
        )

    async def healthy(self) -> None:
        """Returns where it can answer.

        Raises:
            UnavailableError: it cannot.
        """
        await self._ask("GET", "/health")

    async def models(self) -> list[Model]:
        """What it serves now: the base model first, then adapters."""
        listed = _json(await self._ask("GET", "/v1/models"))
        try:
            return [
                Model(
                    str(one["id"]), str(one["root"]), one.get("parent") is not None, int(one.get("max_model_len") or 0)
                )
                for one in listed["data"]
            ]
        except (KeyError, TypeError, ValueError):
            raise EngineError("vLLM lists its models in a form that is not known") from None

    async def room(self) -> int | None:
        """How many adapters it holds at most (--max-loras); None where its metrics do not tell."""
        told = _MAX_LORA.search((await self._ask("GET", "/metrics")).text)
        return int(told[1]) if told else None

    async def load(self, name: str, path: str) -> None:
        """Loads an adapter that is not there yet.

        Raises:
            BundleError: vLLM refuses it.
            ConfigError: vLLM was started without leave to load any.
        """
        await self._change("load_lora_adapter", {"lora_name": name, "lora_path": path})

    async def unload(self, name: str) -> None:
        """Takes an adapter from the names that may be asked for; one that is not there is no error."""
        try:
            await self._change("unload_lora_adapter", {"lora_name": name})
        except UnknownModelError:
            return

    async def likeliest(self, model: str, prompts: Sequence[Sequence[int]]) -> tuple[dict[int, float], ...]:
        """The likeliest next tokens after each prompt, and the logarithms of their probabilities."""
        body = {
            "model": model,
            "prompt": [list(ids) for ids in prompts],
            "max_tokens": 1,
            "logprobs": LIKELIEST,
            "return_tokens_as_token_ids": True,
            **_GREEDY,
        }
        async with self._told():
            said = _json(await self._ask("POST", "/v1/completions", body, _LOADING))
            _check_model(model, said)
            choices = sorted(said["choices"], key=lambda choice: choice["index"])
            found = tuple(_tokens(choice["logprobs"]["top_logprobs"][0]) for choice in choices)
        if len(found) != len(prompts) or not all(found):
            raise EngineError("vLLM tells no probabilities")
        return found

    async def write(
        self, model: str, ids: Sequence[int], max_tokens: int, stop: Sequence[int], *, whole: bool = False
    ) -> AsyncGenerator[Written, None]:
        """Yields what a model writes, greedy; closing it closes the connection, at which vLLM ends the work.

        Args:
            model: its name.
            ids: the prompt.
            max_tokens: written at most.
            stop: tokens that end it.
            whole: all at once when it ends, which spares both sides an event a token.

        Raises:
            GoneError: the connection could not be made, or broke off.
            UnknownModelError: there is no such model.
            OverloadError: too many requests wait there.
            EngineError: it refused, or what it sent is not an answer to this.
        """
        body = {
            "model": model,
            "prompt": list(ids),
            "max_tokens": max_tokens,
            "stop_token_ids": list(stop),
            "return_token_ids": True,
            **_GREEDY,
        }
        async with self._told():
            if whole:
                said = _json(await self._ask("POST", "/v1/completions", body, _SILENCE + _SLOWEST * max_tokens))
                written = _written(said["choices"][0])
                _check_answer(model, ids, said)
                if not written.finish:
                    raise EngineError("vLLM gave an answer without an end")
                yield written
                return
            finished = False
            async with aclosing(self._events("/v1/completions", body)) as events:
                async for said in events:
                    if said["choices"]:
                        _check_model(model, said)
                        written = _written(said["choices"][0])
                        finished = finished or bool(written.finish)
                        yield written
                    else:
                        _check_answer(model, ids, said)
            if not finished:
                raise GoneError("vLLM broke off")

    async def close(self) -> None:
        """Closes every connection."""
        await self._http.aclose()

    async def _events(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
        timeout = httpx2.Timeout(_SILENCE, connect=_CONNECT)
        async with self._http.stream("POST", path, json=streamed, timeout=timeout) as answer:
            if answer.status_code != 200:
                await answer.aread()
                raise _refusal(answer)
            async for event in httpx2.EventSource(answer):
                # What follows is read too: a connection is used again only where an answer was read to its end.
                if event.data != "[DONE]":
                    said = json.loads(event.data)
                    if "error" in said:
                        raise EngineError("vLLM broke off with an error")
                    yield said

    async def _change(self, what: str, body: Mapping[str, str]) -> None:
        try:
            await self._ask("POST", f"/v1/{what}", body, _LOADING)
        except RefusedError as error:
            if error.status in (404, 405) and "detail" in error.said:
                raise ConfigError("vLLM loads no adapters: start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1") from None
            if error.status == 404 and "unload" in what:
                raise UnknownModelError("vLLM does not hold the adapter") from None
            told = str(error.said.get("error", {}).get("message", "")).partition("\n")[0]
            if "max_lora_rank" in told:
                raise BundleError("the adapter's rank is above what vLLM was started for (--max-lora-rank)") from None
            if error.status >= _BROKEN and "add_lora" not in told:
                raise
            raise BundleError(f"vLLM refuses the adapter: {told[:_TOLD_MAX] or error.status}") from None

    async def _ask(self, method: str, path: str, body: Any = None, patience: float = _SHORT) -> httpx2.Response:
        async with self._told():
            timeout = httpx2.Timeout(patience, connect=_CONNECT)
            answer = await self._http.request(method, path, json=body, timeout=timeout)
        if answer.status_code != 200:
            raise _refusal(answer)
        return answer

    @asynccontextmanager
    async def _told(self) -> AsyncGenerator[None, None]:
        """Turns what can happen to a connection, and text that is no answer, into our errors."""
        try:
            yield
        except (httpx2.SSEError, ValueError, KeyError, TypeError, IndexError) as error:
            raise EngineError(f"vLLM's answer cannot be read ({type(error).__name__})") from None
        except httpx2.TransportError as error:
            raise GoneError(f"vLLM cannot be reached ({type(error).__name__})") from error


def _refusal(answer: httpx2.Response) -> Exception:
    status = answer.status_code
    said = _json(answer) if answer.headers.get("content-type", "").startswith("application/json") else {}
    if status in (429, 503):
        return OverloadError(f"vLLM takes no more requests now (HTTP {status})", _retry(answer))
    if status in (401, 403):
        return ConfigError(f"vLLM refuses the token (HTTP {status}); engine_token must be its --api-key")
    if status == 404 and answer.request.url.path.endswith("/completions"):
        return UnknownModelError("vLLM does not hold the model")
    return RefusedError(status, said if isinstance(said, dict) else {})


def _retry(answer: httpx2.Response) -> float:
    told = answer.headers.get("retry-after", "")
    return min(float(told), _RETRY_MAX) if told.isdigit() else 1.0


def _json(answer: httpx2.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise EngineError("vLLM's answer is not JSON") from None


def _check_model(asked: str, said: Mapping[str, Any]) -> None:
    """Whether an answer is of the model that was asked; vLLM names the one that it took."""
    if said["model"] != asked:
        raise EngineError(f"vLLM answered with model {str(said['model'])[:12]!r}, asked was {asked[:12]!r}")


def _check_answer(asked: str, ids: Sequence[int], said: Mapping[str, Any]) -> None:
    """Whether an answer that ended is of the model and of the prompt that were asked."""
    _check_model(asked, said)
    read = said["usage"]["prompt_tokens"]
    if read != len(ids):
        raise EngineError(f"vLLM read {read} tokens, and was sent {len(ids)}")


def _tokens(listed: Mapping[str, float]) -> dict[int, float]:
    return {int(token.removeprefix("token_id:")): float(value) for token, value in listed.items()}


def _written(choice: Mapping[str, Any]) -> Written:
    finish = choice["finish_reason"] or ""
    if finish not in ("", "stop", "length"):
        raise EngineError("vLLM broke the answer off")
    return Written(tuple(choice["token_ids"]), finish)

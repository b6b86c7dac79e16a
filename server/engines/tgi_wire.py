"""How a TGI is asked: huggingface_hub's client over connections of our own; its errors become ours here.

The client brings TGI's request, its events and its errors. It would keep every stream open until it is closed
itself, and make its TLS settings anew (80 ms) for each new one: so that it is made for one request, over an HTTP
client that shares them. It would wait for ever for one that says nothing, and send the Hugging Face token that lies
on this machine to whoever is asked.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import NoReturn

import httpx2
from huggingface_hub import AsyncInferenceClient, TextGenerationStreamOutput
from huggingface_hub.errors import (
    GenerationError,
    HfHubHTTPError,
    IncompleteGenerationError,
    InferenceTimeoutError,
    OverloadedError,
    TextGenerationError,
    ValidationError,
)

from radimpress.reports.errors import EngineError, OverloadError, UnavailableError
from radimpress.server.engines.fingerprint import Fingerprint

_CONNECT_SECONDS = 5.0
_LOOK_SECONDS = 10.0
# A prompt may wait for others in TGI's queue; whoever says nothing for longer is gone without a word.
_SILENCE_SECONDS = 120.0
# So many TGI gives where it was not told otherwise (--max-top-n-tokens).
LIKELIEST = 5
_BODY_MAX = 1 << 20
_AWAY = (502, 503, 504)
# Nothing is kept between requests, so that evaluation may ask from an event loop of its own.
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
_TIMEOUT = httpx2.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
_SOON = httpx2.Timeout(_LOOK_SECONDS, connect=_CONNECT_SECONDS)


@dataclass(frozen=True, slots=True)
class Room:
    """What a TGI was started to take.

    Attributes:
        model: what it calls its model.
        prompt: tokens of a prompt at most.
        total: tokens of prompt and answer at most.
        stops: stop sequences at most.
    """

    model: str
    prompt: int
    total: int
    stops: int


class Wire:
    """One TGI, by its URL.

    Args:
        url: http or https, without a path.
        token: sent as a bearer token; empty sends none.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._tls = ssl.create_default_context()

    async def healthy(self) -> None:
        """Returns where it can answer.

        Raises:
            UnavailableError: it cannot.
            EngineError: it is no TGI.
        """
        with _told(self.url):
            await self._get("/health")

    async def room(self) -> Room:
        """What it was started to take.

        Raises:
            UnavailableError: it cannot be reached.
            EngineError: it is no TGI.
        """
        with _told(self.url):
            told = (await self._get("/info")).json()
            return Room(
                str(told["model_id"]),
                int(told["max_input_tokens"]),
                int(told["max_total_tokens"]),
                int(told["max_stop_sequences"]),
            )

    async def likeliest(self, texts: Sequence[str], adapter: str | None) -> Fingerprint:
        """What is likeliest after each text to this adapter; None asks the base model.

        Raises:
            UnavailableError, OverloadError: it cannot answer now.
            EngineError: it failed, or does not tell.
        """
        found: list[dict[int, float]] = []
        with _told(self.url):
            async with self._client() as client:
                for text in texts:
                    said = await client.text_generation(
                        text,
                        adapter_id=adapter,
                        details=True,
                        do_sample=False,
                        max_new_tokens=1,
                        top_n_tokens=LIKELIEST,
                    )
                    assert said.details is not None
                    assert said.details.top_tokens is not None
                    # A list in a list the library leaves as it came, whatever it says of its type.
                    found.append({token["id"]: token["logprob"] for token in said.details.top_tokens[0]})
        for one in found:
            # Not a number is not below zero.
            if not one or not all(isinstance(value, float) and value <= 0 for value in one.values()):
                raise EngineError(f"TGI {self.url} tells no likelihoods")
        return found

    async def write(
        self, text: str, adapter: str | None, max_tokens: int, stop: Sequence[str]
    ) -> AsyncGenerator[TextGenerationStreamOutput, None]:
        """Yields token by token what is written; closing it ends the work.

        Raises:
            UnavailableError, OverloadError: it cannot answer now.
            EngineError: it failed.
        """
        async with self._client() as client:
            with _told(self.url):
                events: AsyncIterable[TextGenerationStreamOutput] = await client.text_generation(
                    text,
                    adapter_id=adapter,
                    details=True,
                    stream=True,
                    do_sample=False,
                    max_new_tokens=max_tokens,
                    stop=list(stop),
                )
            taken = aiter(events)
            while True:
                with _told(self.url):
                    event = await anext(taken, None)
                if event is None:
                    return
                yield event

    async def _get(self, path: str) -> httpx2.Response:
        async with self._http() as http:
            said = await http.get(f"{self.url}{path}", timeout=_SOON)
        if said.status_code in _AWAY:
            raise UnavailableError(f"TGI {self.url} is not ready ({said.status_code})")
        if said.status_code != 200:
            raise EngineError(f"TGI {self.url} answers {path} with {said.status_code}")
        return said

    def _http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            verify=self._tls,
            trust_env=False,
            limits=_LIMITS,
            timeout=_TIMEOUT,
            event_hooks={"request": [self._sign], "response": [_read_error]},
        )

    @asynccontextmanager
    async def _client(self) -> AsyncGenerator[AsyncInferenceClient, None]:
        async with self._http() as http, _Client(self.url, http) as client:
            yield client

    async def _sign(self, request: httpx2.Request) -> None:
        request.headers.pop("authorization", None)
        if self._token:
            request.headers["authorization"] = f"Bearer {self._token}"


class _Client(AsyncInferenceClient):
    """The library's client over a given HTTP client."""

    def __init__(self, url: str, http: httpx2.AsyncClient) -> None:
        super().__init__(url)
        self._async_client = http
        # Given with each request, in place of the HTTP client's.
        self.timeout = _TIMEOUT  # type: ignore[assignment]


async def _read_error(response: httpx2.Response) -> None:
    """The client looks into an error's body, which of a stream was not read yet."""
    if response.status_code >= 400 and int(response.headers.get("content-length", _BODY_MAX)) < _BODY_MAX:
        await response.aread()


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Their errors as ours; nothing of their text, which may quote what was asked."""
    try:
        yield
    except OverloadedError:
        raise OverloadError(f"TGI {url} is overloaded") from None
    except ValidationError:
        raise EngineError(f"TGI {url} refuses the request as not valid") from None
    except GenerationError:
        raise EngineError(f"TGI {url} failed while it wrote") from None
    except IncompleteGenerationError:
        raise EngineError(f"TGI {url} broke off") from None
    except TextGenerationError as error:
        raise EngineError(f"TGI {url} failed ({type(error).__name__})") from None
    except HfHubHTTPError as error:
        _by_status(url, error.response.status_code)
    except (httpx2.TransportError, InferenceTimeoutError) as error:
        raise UnavailableError(f"TGI {url} cannot be reached ({type(error).__name__})") from None
    # The library also looks into an error's body that was not read.
    except (httpx2.StreamError, ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        raise EngineError(f"TGI {url} answers what is not TGI's ({type(error).__name__})") from None


def _by_status(url: str, status: int) -> NoReturn:
    if status == 429:
        raise OverloadError(f"TGI {url} is overloaded") from None
    if status in _AWAY:
        raise UnavailableError(f"TGI {url} is not ready ({status})") from None
    raise EngineError(f"TGI {url} refuses the request ({status})") from None

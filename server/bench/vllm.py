"""vLLM beside us: its own environment, its server, and one way to measure both sides.

A side is measured through what it is asked by, `Engine.generate`; vLLM's is its HTTP server with every
adapter loaded. It sleeps while it is not asked, as its processes look for work without rest.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGSTOP
from typing import Any

from radimpress.reports.errors import EngineError
from radimpress.reports.progress import Track, silent
from radimpress.server.bench.material import Figure, make_prompts
from radimpress.server.bench.vllm_server import (
    ADAPTERS,
    BATCH,
    HOST,
    VllmServer,
    signal_group,
    vllm_python,
    vllm_server,
)
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.trainer.bundle import AdapterBundle

_CLIENTS = 32
_READ = 512
_WRITE = 64
# Prompts come again round by round, and we reuse none of what was read either.
_SWITCHES = ("--no-enable-prefix-caching",)

Generate = Callable[[str, AdapterBundle | None, Limits], AsyncGenerator[Piece, None]]
Asked = tuple[str, AdapterBundle | None]


@dataclass(frozen=True, slots=True)
class VllmPeer(VllmServer):
    """A vLLM server that runs, or sleeps.

    Attributes:
        prompt_ids: what it is sent for a prompt, the very ids that our engine reads.
    """

    prompt_ids: Callable[[str], list[int]]

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """See `radimpress.server.engines.Engine.generate`; writes `max_tokens` always and knows no deadline.

        Raises:
            EngineError: it refused, or broke off.
        """
        body = {
            "model": adapter.name if adapter else "base",
            "prompt": self.prompt_ids(prompt),
            "max_tokens": limits.max_tokens,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        }
        async with aclosing(self.events(body)) as events:
            async for event in events:
                piece = _piece(event)
                yield piece
                if piece.finish:
                    return

    async def events(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """What a streamed completion sends, event by event, by as little code as there can be.

        Raises:
            EngineError: it refused, or broke off.
        """
        async with self._asked(body) as reader:
            while True:
                with self._told():
                    line = await reader.readline()
                    if not line:
                        raise EngineError(f"vLLM broke off; the end of its log:\n{self.tail()}")
                # Each event is one line, within a chunk of the transfer's own.
                if not line.startswith(b'data: {"'):
                    continue
                event = json.loads(line.removeprefix(b"data: "))
                if "error" in event:
                    raise EngineError(f"vLLM broke off: {event['error']}")
                yield event

    async def whole(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What a completion that is not streamed sends, likewise.

        Raises:
            EngineError: it refused, or broke off.
        """
        async with self._asked(body) as reader:
            with self._told():
                said: dict[str, Any] = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
        return said

    @asynccontextmanager
    async def _asked(self, body: Mapping[str, Any]) -> AsyncGenerator[asyncio.StreamReader, None]:
        """What is sent, from behind its first line on."""
        with self._told():
            reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            with self._told():
                writer.write(_request("/v1/completions", body))
                status = (await reader.readline()).split(maxsplit=2)
                if status[1:2] != [b"200"]:
                    said = (await reader.read()).partition(b"\r\n\r\n")[2]
                    raise EngineError(f"vLLM refused a request: {said.decode(errors='replace')}")
            yield reader
        finally:
            writer.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns a connection's errors into ours."""
        try:
            yield
        except (OSError, ValueError) as error:
            raise EngineError(
                f"vLLM cannot be reached ({type(error).__name__}); the end of its log:\n{self.tail()}"
            ) from error


def _piece(event: Mapping[str, Any]) -> Piece:
    choice = event["choices"][0]
    if not choice["finish_reason"]:
        return Piece(choice["text"])
    usage = event["usage"]
    return Piece(choice["text"], choice["finish_reason"], usage["prompt_tokens"], usage["completion_tokens"])


def _request(path: str, body: Mapping[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


@contextmanager
def vllm_peer(
    python: Path,
    folder: Path,
    adapters: Sequence[AdapterBundle],
    prompt_ids: Callable[[str], list[int]],
    *,
    context: int,
    patience: float = 300.0,
    track: Track = silent,
) -> Iterator[VllmPeer]:
    """A vLLM server with these adapters, asleep; it ends with the block, whatever happens in it.

    Args:
        python: of vLLM's environment.
        folder: the base model's.
        adapters: loaded before the block begins.
        prompt_ids: token ids of a prompt.
        context: tokens of prompt and answer at most.
        patience: seconds it may take to come up.
        track: draws progress.

    Raises:
        EngineError: it did not come up, or refused an adapter; shows the end of its log.
    """
    with vllm_server(python, folder, context=context, switches=_SWITCHES, patience=patience) as server:
        peer = VllmPeer(server.group, server.port, server.log, prompt_ids)
        for adapter in track(adapters, "adapters of vLLM", len(adapters)):
            _load(peer, adapter)
        signal_group(peer.group, SIGSTOP)
        yield peer


def _load(peer: VllmPeer, adapter: AdapterBundle) -> None:
    body = {"lora_name": adapter.name, "lora_path": str(adapter.path.resolve())}
    status, said = peer.ask("POST", "/v1/load_lora_adapter", json.dumps(body))
    if status != 200:
        raise EngineError(f"vLLM refused adapter {adapter.name}: {said}")


def seconds(generate: Generate, asked: Sequence[Asked], tokens: int) -> float:
    """Seconds until all, asked at once, have written their `tokens`; with one token, until all prompts are read."""

    async def all_of_them() -> float:
        begun = time.perf_counter()
        await asyncio.gather(*(_stamps(generate, one, tokens) for one in asked))
        return time.perf_counter() - begun

    return asyncio.run(all_of_them())


def step_seconds(generate: Generate, asked: Sequence[Asked], tokens: int, room: int) -> float:
    """Seconds in which every sequence of a full batch writes one token, as its client sees it.

    The last one is asked when all others write, and timed from its first piece to its end: nobody reads a
    prompt meanwhile, and nobody is done. A first piece of two tokens, where one is half a character, makes
    an error of one in `tokens`.

    Args:
        generate: the side.
        asked: as many as the batch holds.
        tokens: that the last one writes while it is timed.
        room: tokens that the others may write; enough to outlast it.
    """

    async def beside_the_others() -> float:
        async with AsyncExitStack() as stack:
            others = [await stack.enter_async_context(aclosing(generate(*one, Limits(room)))) for one in asked[:-1]]
            # All of them come to an end first: a generator that still runs cannot be closed.
            firsts = await asyncio.gather(*(anext(pieces) for pieces in others), return_exceptions=True)
            for first in firsts:
                if isinstance(first, BaseException):
                    raise first
            stamps = await _stamps(generate, asked[-1], 1 + tokens)
        return (stamps[-1] - stamps[0]) / tokens

    return asyncio.run(beside_the_others())


async def _stamps(generate: Generate, one: Asked, tokens: int) -> list[float]:
    """When each piece came.

    Raises:
        EngineError: fewer tokens than asked for.
    """
    stamps, wrote = [], 0
    async with aclosing(generate(*one, Limits(tokens))) as pieces:
        async for piece in pieces:
            stamps.append(time.perf_counter())
            wrote = piece.tokens
    if wrote != tokens:
        raise EngineError(f"{wrote} tokens were written, {tokens} asked for")
    return stamps


def figures_beside_vllm(
    engine: InProcessEngine, adapters: Sequence[AdapterBundle], folder: Path, rounds: int, track: Track = silent
) -> dict[str, Figure]:
    """Our throughput over vLLM's, eight adapters mixed: C_prefill, C_decode and C_whole.

    The vllm_ ones beside them are vLLM's own: tokens read a second, tokens written a second, requests a
    second (32 clients, one request each).

    Args:
        engine: ours, made with stop=False and without reuse of prefixes.
        adapters: of both sides; the first eight are used.
        folder: the base model's.
        rounds: of each pair of measurements, after a short one that warms both sides up.
        track: draws progress.

    Raises:
        ConfigError: vLLM cannot be installed.
        EngineError: its server failed; shows the end of its log.
    """
    prompts = make_prompts(engine.loaded, _CLIENTS, _READ)
    asked: list[Asked] = [(prompt, adapters[at % ADAPTERS]) for at, prompt in enumerate(prompts)]
    batch = asked[:BATCH]
    read = sum(len(engine.loaded.prompt_ids(prompt)) for prompt, _ in batch)
    context = engine.decoder.context
    # What is done in one measurement, and how long that takes a side.
    measures: dict[str, tuple[float, Callable[[Generate], float]]] = {
        "prefill": (read, lambda side: seconds(side, batch, 1)),
        "decode": (BATCH, lambda side: step_seconds(side, batch, _WRITE, context - _READ)),
        "whole": (_CLIENTS, lambda side: seconds(side, asked, _WRITE)),
    }
    python = vllm_python(track)
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in measures}
    loading = adapters[:ADAPTERS]
    with vllm_peer(python, folder, loading, engine.loaded.prompt_ids, context=context, track=track) as peer:

        def both(measure: Callable[[Generate], float]) -> tuple[float, float]:
            ours = measure(engine.generate)
            with peer.awake():
                return ours, measure(peer.generate)

        both(lambda side: seconds(side, asked[:ADAPTERS], 8))
        for _ in track(range(rounds), "throughput beside vLLM", rounds):
            for name, (_, measure) in measures.items():
                pairs[name].append(both(measure))
    figures = {}
    for name, (done, _) in measures.items():
        figures[f"C_{name}"] = Figure.of([their / our for our, their in pairs[name]])
        figures[f"vllm_{name}"] = Figure.of([done / their for _, their in pairs[name]])
    return figures

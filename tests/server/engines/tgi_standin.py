"""A stand-in for TGI: HTTP on loopback that answers in the shapes of its OpenAPI document, kept in tgi_shapes.json.

Like TGI it answers an adapter_id that it does not know with the base model, and says nothing.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

SHAPES: dict[str, Any] = json.loads(Path(__file__).with_name("tgi_shapes.json").read_text("utf-8"))


@dataclass
class StandIn:
    """What it holds and how it behaves; a test changes it while it runs.

    Attributes:
        adapters: those it was started with.
        tokens: counts a text's tokens.
        base: by how much its base model is another one.
        rounding: by how much likelihoods differ from one time to the next.
        finish: of every answer.
        ending: the last token, as text and whether it is special.
        seconds: before each token.
        tells: whether it tells likelihoods.
        fails: the error type of tgi_shapes.json that every answer is; "event:…" sends it after the first token.
        status: answers everything with it, without TGI's body.
        sized: whether the length of that answer is told.
        cut: ends the stream after so many tokens.
        restart: called after the first token of an answer.
        asked: bodies of requests to write.
        looked: bodies of requests for what is likeliest.
        headers: of every request.
        left: answers whose caller left.
        endless: whether it writes as much as it may.
        running: answers that it works on now.
    """

    adapters: set[str]
    tokens: Callable[[str], int]
    base: float = 0.0
    rounding: float = 0.001
    info: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(SHAPES["info"]))
    finish: str = "eos_token"
    ending: tuple[str, bool] = ("<|end|>", True)
    seconds: float = 0.0
    tells: bool = True
    fails: str = ""
    status: int = 0
    sized: bool = True
    cut: int = 0
    restart: Callable[[], None] | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    looked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    left: int = 0
    endless: bool = False
    running: int = 0
    url: str = ""

    def words(self, adapter: str | None) -> list[str]:
        """What this adapter writes, token by token."""
        held = adapter if adapter in self.adapters else None
        return ["Written", " by", f" {held[:12]}" if held else " base", "."]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer."""
        self.running += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            lines = (line.split(": ", 1) for line in head[1:] if line)
            headers = {name.lower(): value for name, value in lines}
            body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
            self.headers.append(headers)
            await self._answer(head[0], body, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left += 1
        finally:
            self.running -= 1
            writer.close()

    async def _answer(self, line: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if self.status:
            _send(writer, self.status, b"<html>Bad gateway</html>" if self.sized else None)
        elif line.startswith("GET /info "):
            _send(writer, 200, json.dumps(self.info).encode())
        elif line.startswith("GET /health "):
            _send(writer, 200, b"")
        elif not line.startswith("POST / "):
            _send(writer, 404, b"")
        elif self.fails and not self.fails.startswith("event:"):
            error = SHAPES["errors"][self.fails]
            _send(writer, error["status"], json.dumps(error["body"]).encode())
        elif body.get("stream"):
            self.asked.append(body)
            await self._stream(body, writer)
        else:
            self.looked.append(body)
            _send(writer, 200, json.dumps([self._likeliest(body)]).encode())
        await writer.drain()

    def _likeliest(self, body: dict[str, Any]) -> dict[str, Any]:
        adapter = body["parameters"].get("adapter_id")
        # Each adapter's own likelihoods, and a rounding that differs from one time to the next.
        shift = self.base + (int(adapter[:6], 16) / (1 << 24) + 0.5 if adapter in self.adapters else 0.0)
        noise = self.rounding * (len(self.looked) // 3 % 3)
        said = copy.deepcopy(SHAPES["response"])
        ((token,),) = said["details"]["top_tokens"]
        values = (-1.0 - shift - noise - at / 10 for at in range(body["parameters"]["top_n_tokens"]))
        said["details"]["top_tokens"] = [
            [{**token, "id": at, "logprob": value if self.tells else None} for at, value in enumerate(values)]
        ]
        return dict(said)

    async def _stream(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        _send(writer, 200, None)
        told = body["parameters"]
        words = [(word, False) for word in self.words(told.get("adapter_id"))]
        finish = self.finish
        if self.endless:
            words = [(f" {at}", False) if at >= len(words) else words[at] for at in range(told["max_new_tokens"])]
            finish = "length"
        if finish != "length":
            words.append(self.ending)
        if len(words) > told["max_new_tokens"]:
            words, finish = words[: told["max_new_tokens"]], "length"
        for at, (word, special) in enumerate(words, 1):
            await asyncio.sleep(self.seconds)
            event = copy.deepcopy(SHAPES["event"])
            event["index"], event["token"] = at, {**event["token"], "text": word, "special": special}
            if at == len(words):
                event["generated_text"] = "".join(text for text, special in words if not special)
                event["details"] = {
                    **SHAPES["stream_details"],
                    "finish_reason": finish,
                    "generated_tokens": len(words),
                    "input_length": self.tokens(body["inputs"]),
                }
            writer.write(f"data:{json.dumps(event)}\n\n".encode())
            await writer.drain()
            if at == 1 and self.restart:
                self.restart()
            if at == 1 and self.fails:
                error = SHAPES["errors"][self.fails.removeprefix("event:")]["body"]
                writer.write(f"data:{json.dumps(error)}\n\n".encode())
                return
            if at == self.cut:
                return

    @asynccontextmanager
    async def here(self) -> AsyncIterator[StandIn]:
        """Listens on a free port while the block runs."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await asyncio.sleep(0)

    @contextmanager
    def beside(self) -> Iterator[StandIn]:
        """Listens on a thread of its own while the block runs, for whoever has no event loop or several."""
        up: Future[None] = Future()
        loop = asyncio.new_event_loop()
        over = asyncio.Event()

        async def main() -> None:
            async with self.here():
                up.set_result(None)
                await over.wait()

        def work() -> None:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(main())

        thread = Thread(target=work, name="tgi")
        thread.start()
        up.result()
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join()


def _send(writer: asyncio.StreamWriter, status: int, body: bytes | None) -> None:
    kind = "text/event-stream" if body is None else "application/json"
    length = "" if body is None else f"Content-Length: {len(body)}\r\n"
    writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{length}Connection: close\r\n\r\n".encode())
    writer.write(body or b"")

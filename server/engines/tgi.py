"""The TGI engine: one or more running TGIs that hold adapters under the names of their digests.

TGI takes adapters at its start only, by LORA_ADAPTERS, which `radimpress routes lora-adapters` writes. What it is
not seen to hold is refused: see `tgi_replica`. That is looked at before an answer and once more after its last
token, so that a TGI which was started anew meanwhile ends the answer with an error.

Each TGI is looked at again and again on a thread of its own, so that the server is ready only while one can be
asked, and one that failed is asked again only after that.

It applies LoRA to `APPLIED` and leaves other modules of an adapter out, with a warning in its own log: a base model
whose adapters have others, as MediPhi's, is refused.

It was written against TGI's OpenAPI document and source, and never run beside a TGI: docs/deploy.md, "vLLM and TGI".
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
from huggingface_hub import TextGenerationStreamOutput

from radimpress.reports.errors import (
    BundleError,
    ConfigError,
    DeadlineError,
    EngineError,
    UnavailableError,
)
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.fingerprint import PROBES
from radimpress.server.engines.fitting import Fitting
from radimpress.server.engines.reference import kept_reference, probe_ids
from radimpress.server.engines.refusals import CLOSED, LATE_WRITING, check_room
from radimpress.server.engines.tgi_replica import Replica, Seen
from radimpress.server.engines.tgi_wire import Room, Wire
from radimpress.server.engines.verified import Verified
from radimpress.trainer.bases import BaseModel, base_digest
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import BaseTokens, load_tokens

APPLIED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_FINISH = {"length": "length", "eos_token": "stop", "stop_sequence": "stop"}
_log = structlog.get_logger()
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request as TGI gets it; `tokens` is how many its text makes."""

    text: str
    tokens: int
    adapter: AdapterBundle | None
    limits: Limits


class TgiEngine:
    """The base model and adapters that TGIs hold.

    Args:
        base: the base model.
        folder: its files, which every TGI must have been started on; its weights are not loaded.
        urls: one for each TGI; what stands for several would hide a restart.
        token: the bearer token that they ask for.
        every: seconds between two looks at a TGI.

    Raises:
        ConfigError: TGI cannot serve this base model as it is meant to be; says why.
    """

    def __init__(
        self, base: BaseModel, folder: Path, urls: Sequence[str], token: str = "", *, every: float = 1.0
    ) -> None:
        _check_base(base)
        self.base_name = base.name
        self.base_digest = base_digest(base, folder)
        self.closed = False
        self._tokens = load_tokens(base, folder)
        self._begins = begins(self._tokens)
        self._verified = Verified(Fitting(base, folder, self.base_digest).check)
        reference = kept_reference(self.base_digest, probe_ids(self._tokens))
        if reference is None:
            _log.warning("no_fingerprint_of_base", base=self.base_name, told="radimpress engine fingerprint takes it")
        seen, texts = Seen(reference), [self._text(probe) for probe in PROBES]
        self._replicas = [Replica(Wire(url, token), texts, seen) for url in urls]
        self._waits: dict[asyncio.Timeout, asyncio.AbstractEventLoop] = {}
        self._loop = asyncio.new_event_loop()
        self._watches = [self._loop.create_task(replica.watch(every)) for replica in self._replicas]
        self._thread = threading.Thread(target=self._loop.run_forever, name="radimpress-tgi", daemon=True)
        self._thread.start()

    @property
    def missing(self) -> str:
        """Why nothing can be answered now; empty while a TGI can be asked."""
        told = [replica.why for replica in self._replicas]
        return f"no TGI can be asked: {'; '.join(told)}" if all(told) else ""

    def prompt_tokens(self, prompt: str) -> int:
        """How many tokens a prompt makes, the chat template around it too."""
        return len(self._tokens.prompt_ids(prompt))

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """See `radimpress.server.engines.Engine.generate`; a TGI that cannot answer is passed over for the next."""
        if self.closed:
            raise UnavailableError(CLOSED)
        if adapter is not None:
            await asyncio.to_thread(self._verified.check, adapter)
        asked = _Asked(self._text(prompt), self.prompt_tokens(prompt), adapter, limits)
        failed: Exception = UnavailableError(self.missing or "no TGI can be asked")
        for replica in sorted((one for one in self._replicas if not one.away), key=lambda one: one.asked):
            said = False
            try:
                async with aclosing(self._answer(replica, asked)) as pieces:
                    async for piece in pieces:
                        said = True
                        yield piece
                return
            except DeadlineError:
                raise
            except (UnavailableError, BundleError, EngineError) as error:
                if self.closed:
                    raise
                if isinstance(error, UnavailableError):
                    replica.lost(str(error))
                # What was given out cannot be taken back.
                if said:
                    raise
                failed = error
        raise failed

    def resident(self) -> frozenset[str]:
        """Digests of the adapters that a TGI was seen to hold."""
        return frozenset().union(*(replica.proved for replica in self._replicas))

    def forget(self, digest: str) -> None:
        """Has an adapter verified and proved anew; TGI itself holds it until it is started again."""
        self._verified.forget(digest)
        for replica in self._replicas:
            replica.forget(digest)

    def close(self) -> None:
        """Ends the work in hand with UnavailableError."""
        if self.closed:
            return
        self.closed = True
        for wait, loop in list(self._waits.items()):
            # Whoever ended meanwhile needs no ending.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_end, wait)
        asyncio.run_coroutine_threadsafe(self._watched(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _watched(self) -> None:
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)

    async def _answer(self, replica: Replica, asked: _Asked) -> AsyncGenerator[Piece, None]:
        adapter, limits = asked.adapter, asked.limits
        with replica.working():
            _check_room(asked, await self._by(limits, replica.fit))
            if adapter is not None and not await self._by(limits, partial(replica.holds, adapter.digest, 0.0)):
                raise BundleError(
                    f"{adapter.name}: TGI does not hold {adapter.digest[:12]}, or it does nothing there; start TGI "
                    f"with LORA_ADAPTERS of `radimpress routes lora-adapters`"
                )
            stop, last = self._tokens.base.stop, None
            name = None if adapter is None else adapter.digest
            async with aclosing(replica.wire.write(asked.text, name, limits.max_tokens, stop)) as events:
                while last is None:
                    event = await self._by(limits, partial(anext, events, None))
                    if event is None:
                        raise EngineError(f"TGI {replica.wire.url} broke off")
                    ends = event.token.special or event.token.text.strip() in stop
                    text = "" if ends else event.token.text
                    if event.details is not None:
                        last = event
                    elif text:
                        yield Piece(text)
            ended = time.monotonic()
            finish, tokens = _end_of(last, asked)
            if adapter is not None and not await self._by(limits, partial(replica.holds, adapter.digest, ended)):
                raise EngineError(f"{adapter.name}: TGI does not hold it any longer; what it wrote may be another's")
            yield Piece(text, finish, asked.tokens, tokens, replica.wire.url)

    def _text(self, prompt: str) -> str:
        return self._tokens.prompt_text(prompt).removeprefix(self._begins)

    async def _by(self, limits: Limits, work: Callable[[], Awaitable[T]]) -> T:
        """Waits for one step of a request's work.

        Raises:
            DeadlineError: not for longer than it has.
            UnavailableError: the engine was closed meanwhile.
        """
        if self.closed:
            raise UnavailableError(CLOSED)
        left = None if limits.deadline is None else limits.deadline - time.monotonic()
        wait = asyncio.timeout(left)
        self._waits[wait] = asyncio.get_running_loop()
        try:
            async with wait:
                return await work()
        except TimeoutError:
            raise UnavailableError(CLOSED) if self.closed else DeadlineError(LATE_WRITING) from None
        finally:
            del self._waits[wait]


def _check_base(base: BaseModel) -> None:
    left_out = [name for name in base.targets if name not in APPLIED]
    if left_out:
        raise ConfigError(f"{base.name}: TGI leaves {', '.join(left_out)} of its adapters out in silence; use vllm")
    if base.quantisation == "int8":
        raise ConfigError(f"{base.name}: only the engine inprocess computes in its int8")


def begins(tokens: BaseTokens) -> str:
    """What TGI puts before a text by itself, and the chat template too: it is left out, or it would stand twice.

    Raises:
        ConfigError: the template's tokens cannot be had from any text.
    """
    text, wanted = tokens.prompt_text(PROBES[0]), tokens.prompt_ids(PROBES[0])
    for first in ("", tokens.tokenizer.bos_token or ""):
        if list(tokens.tokenizer(text.removeprefix(first))["input_ids"]) == wanted:
            return first
    raise ConfigError(f"{tokens.base.name}: TGI would read other tokens than its chat template makes")


def _check_room(asked: _Asked, room: Room) -> None:
    most = min(room.prompt, room.total - asked.limits.max_tokens)
    check_room(asked.tokens, most, f"TGI {room.model}")


def _end_of(last: TextGenerationStreamOutput, asked: _Asked) -> tuple[str, int]:
    """How an answer ended, and of how many tokens it is, the one that ends it not counted.

    Raises:
        EngineError: TGI read other tokens than were meant, or says what is not TGI's.
    """
    assert last.details is not None
    details = last.details
    finish = _FINISH.get(details.finish_reason)
    if finish is None:
        raise EngineError("TGI ends an answer for a reason that is not known")
    if details.input_length != asked.tokens:
        raise EngineError(f"TGI read {details.input_length} tokens where {asked.tokens} were meant")
    return finish, details.generated_tokens - (finish == "stop")


def _end(wait: asyncio.Timeout) -> None:
    with suppress(RuntimeError):
        wait.reschedule(asyncio.get_running_loop().time())

"""The vLLM engine: the base model and its adapters on other machines, behind vLLM's HTTP API.

The prompt is made into tokens here and the tokens that come back into text, as the in-process engine does it. The
engine's own thread holds all its state and its connections; whoever asks may have any event loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from radimpress.reports.errors import (
    BundleError,
    DeadlineError,
    EngineError,
    OverloadError,
    RadimpressError,
    UnavailableError,
)
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.examined import Examined
from radimpress.server.engines.fingerprint import Fingerprint
from radimpress.server.engines.fitting import Fitting
from radimpress.server.engines.reference import kept_reference, probe_ids
from radimpress.server.engines.refusals import CLOSED, LATE_WAITING, LATE_WRITING, check_room
from radimpress.server.engines.still import still_adapter
from radimpress.server.engines.vllm_client import GoneError, UnknownModelError, VllmClient
from radimpress.server.engines.vllm_replica import Replica
from radimpress.server.engines.vllm_residence import Residence
from radimpress.server.telemetry.log import where
from radimpress.trainer.bases import BaseModel, base_digest
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import load_tokens

_HALF_CHARACTER = "\ufffd"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shared:
    """How vLLM's machines see the bundles.

    Attributes:
        here: the folder that all bundles lie in, on this machine.
        there: the same folder on theirs; None where the path is the same.
    """

    here: Path
    there: str | None = None

    def path(self, adapter: AdapterBundle) -> str:
        """An adapter's folder on their machines.

        Raises:
            BundleError: it does not lie in the folder that they share.
        """
        root, folder = self.here.resolve(), adapter.path.resolve()
        if not folder.is_relative_to(root):
            raise BundleError(f"{adapter.name}: does not lie in the folder that is shared with vLLM")
        return f"{(self.there or str(root)).rstrip('/')}/{folder.relative_to(root).as_posix()}"


@dataclass(slots=True, eq=False)
class _Job:
    ids: list[int]
    adapter: AdapterBundle | None
    limits: Limits
    loop: asyncio.AbstractEventLoop
    answers: asyncio.Queue[Piece | Exception] = field(default_factory=asyncio.Queue)
    begun: bool = False

    def give(self, answer: Piece | Exception) -> None:
        # A caller whose loop is closed has left.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.answers.put_nowait, answer)


class VllmEngine:
    """A base model on any number of vLLM servers, and the adapters that were asked for lately.

    Args:
        base: the base model's entry in the table.
        folder: its files; they give tokenizer, modules and digest, and no weights are loaded.
        urls: of the servers, which all serve this base model.
        shared: the bundles.
        token: that the servers want; empty is none.
        most: requests in hand at most; one more is refused.
        resident: adapters on a server at most, where its --max-loras is not less.
        context: tokens of prompt and answer at most.
        every: seconds between two looks at a server.
        patience: seconds until the first look at each server is over; it goes on without.
    """

    def __init__(
        self,
        base: BaseModel,
        folder: Path,
        urls: Sequence[str],
        shared: Shared,
        *,
        token: str = "",
        most: int = 1024,
        resident: int = 16,
        context: int = 4096,
        every: float = 1.0,
        patience: float = 5.0,
    ) -> None:
        self.base_name = base.name
        self.base_digest = base_digest(base, folder)
        self.context = context
        self._tokens = load_tokens(base, folder)
        self._stop = sorted(self._tokens.stop_ids())
        fitting = Fitting(base, folder, self.base_digest)
        self._examined = Examined(fitting.check)
        self._still = still_adapter(shared.here, self.base_digest, fitting.modules)
        self._most = most
        self._inside = 0
        # What was to be loaded before it is asked for, by digest.
        self._ahead: dict[str, AdapterBundle] = {}
        self._closed = False
        # What is begun before the end is ended by it.
        self._door = threading.Lock()
        self._resident: frozenset[str] = frozenset()
        self._work: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="radimpress-vllm", daemon=True)
        self._thread.start()
        self._replicas: list[Replica] = self._run(self._open(urls, shared, token, resident, every)).result()
        with suppress(TimeoutError):
            self._run(self._first_look()).result(patience)

    @property
    def closed(self) -> bool:
        """Whether it has ended; servers that are out of reach come back, and end nothing."""
        return self._closed

    @property
    def missing(self) -> str:
        """Why nothing can be answered now; empty while a server can be asked."""
        if any(one.up for one in self._replicas):
            return ""
        return f"no server of vLLM can be asked: {'; '.join(f'{one.url}: {one.why}' for one in self._replicas)}"

    def prompt_tokens(self, prompt: str) -> int:
        """How many tokens a prompt makes, the chat template around it too."""
        return len(self._tokens.prompt_ids(prompt))

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """See `radimpress.server.engines.Engine.generate`."""
        ids = self._tokens.prompt_ids(prompt)
        check_room(len(ids), self.context - limits.max_tokens)
        job = _Job(ids, adapter, limits, asyncio.get_running_loop())
        with self._door:
            if self._closed:
                raise UnavailableError(CLOSED)
            if self._inside >= self._most:
                raise OverloadError(f"{self._most} requests are in hand already")
            working = self._run(self._worked(job))
        try:
            while True:
                answer = await job.answers.get()
                if isinstance(answer, Exception):
                    raise answer
                yield answer
                if answer.finish:
                    return
        finally:
            working.cancel()

    def prepare(self, adapter: AdapterBundle) -> None:
        """Begins to load an adapter on the server that would be asked for it, where that has room."""

        async def ahead() -> None:
            self._ahead[adapter.digest] = adapter
            await self._prepared(adapter)

        self._soon(ahead())

    def resident(self) -> frozenset[str]:
        """Digests of the adapters that any of the servers holds."""
        return self._resident

    def forget(self, digest: str) -> None:
        """Unloads an adapter from every server, once no request uses it there."""

        async def drop() -> None:
            self._ahead.pop(digest, None)
            self._examined.forget(digest)
            for one in self._replicas:
                one.residence.forget(digest)

        self._soon(drop())

    def close(self) -> None:
        """Ends the work in hand with UnavailableError; the servers keep what they hold."""
        with self._door:
            if self._closed:
                return
            self._closed = True
        self._run(self._end()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._examined.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        with self._door:
            if self._closed:
                work.close()
            else:
                self._loop.call_soon_threadsafe(self._begin, work)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    async def _open(
        self, urls: Sequence[str], shared: Shared, token: str, resident: int, every: float
    ) -> list[Replica]:
        probes = probe_ids(self._tokens)
        reference = kept_reference(self.base_digest, probes)
        prints: dict[str, Fingerprint] = {} if reference is None else {"": reference}
        if reference is None:
            _log.warning("no_fingerprint_of_base", base=self.base_name, told="radimpress engine fingerprint takes it")
        replicas = []
        for url in urls:
            client = VllmClient(url, token)
            residence = Residence(client, shared.path, prints, probes, resident + 1, self._still, self._moved)
            replicas.append(Replica(client, residence, self.context, resident, self._risen))
        self._every = every
        return replicas

    async def _first_look(self) -> None:
        first = [self._begin(one.look()) for one in self._replicas]
        for one in self._replicas:
            self._begin(one.watch(self._every))
        await asyncio.wait(first)

    def _moved(self) -> None:
        self._resident = frozenset().union(*(one.residence.there for one in self._replicas))

    def _risen(self) -> None:
        """A server is there, perhaps empty: what was to be loaded ahead is loaded again."""
        for adapter in self._ahead.values():
            self._begin(self._prepared(adapter))

    async def _worked(self, job: _Job) -> None:
        """Answers a job, whatever happens."""
        self._inside += 1
        task = asyncio.current_task()
        assert task is not None
        self._work.add(task)
        try:
            # The deadline is on the clock of time.monotonic, which is the loop's.
            async with asyncio.timeout_at(job.limits.deadline):
                await self._answer(job)
        except TimeoutError:
            job.give(DeadlineError(LATE_WRITING if job.begun else LATE_WAITING))
        except asyncio.CancelledError:
            job.give(UnavailableError(CLOSED))
            raise
        except RadimpressError as error:
            job.give(error)
        except Exception as error:
            # The text of a foreign error may quote its input; its type does not.
            _log.error("engine_failed", kind=type(error).__name__, where=where(error))
            job.give(EngineError(f"the engine failed ({type(error).__name__})"))
        finally:
            self._work.discard(task)
            self._inside -= 1

    async def _answer(self, job: _Job) -> None:
        """Asks one server after the other until one has answered, as long as nothing was said."""
        if job.adapter is not None:
            await self._examined.check(job.adapter)
        failed: dict[Replica, RadimpressError] = {}
        renewed = False
        while True:
            replica = await self._pick(job, failed)
            try:
                await self._write(replica, job)
            except UnknownModelError:
                # Looked at closely it may be asked again, once.
                if job.begun or renewed:
                    raise
                renewed = True
                await replica.look()
            except (GoneError, OverloadError) as error:
                if job.begun:
                    raise
                failed[replica] = error
            else:
                return

    async def _pick(self, job: _Job, failed: dict[Replica, RadimpressError]) -> Replica:
        """The server that has least to do, where loading the adapter counts as some requests."""
        digest = job.adapter.digest if job.adapter else ""
        left = [one for one in self._replicas if one not in failed]
        there = [one for one in left if one.up]
        if not there:
            for one in left:
                if one.renewing:
                    await one.look()
            there = [one for one in left if one.up]
        if not there:
            raise next(reversed(failed.values())) if failed else UnavailableError(self.missing)
        return min(there, key=lambda one: one.cost(digest))

    async def _write(self, replica: Replica, job: _Job) -> None:
        written: list[int] = []
        said = ""
        last: Piece | None = None
        limits = job.limits
        writing = replica.write(job.adapter, job.ids, limits.max_tokens, self._stop, whole=limits.whole)
        async with aclosing(writing) as events:
            async for event in events:
                written += event.tokens
                ended = bool(written) and written[-1] in self._stop
                if event.finish == "stop" and not ended:
                    raise EngineError(
                        "vLLM stopped at a token that ends no impression: start it with --generation-config vllm"
                    )
                if ended:
                    written.pop()
                text = self._tokens.tokenizer.decode(written)
                if not event.finish and text.endswith(_HALF_CHARACTER):
                    continue
                piece, said = text[len(said) :], text
                if event.finish:
                    last = Piece(piece, event.finish, len(job.ids), len(written), replica.url)
                elif piece:
                    job.begun = True
                    job.give(Piece(piece))
        # Only now everything about the answer was looked at.
        if last is not None:
            job.give(last)

    async def _prepared(self, adapter: AdapterBundle) -> None:
        up = [one for one in self._replicas if one.up]
        chosen = min(up, key=lambda one: one.cost(adapter.digest)[1], default=None)
        if chosen is None or chosen.residence.full or chosen.residence.holds(adapter.digest):
            return
        try:
            await self._examined.check(adapter)
            await chosen.residence.prepare(adapter)
        except RadimpressError as error:
            _log.warning("adapter_not_prepared", digest=adapter.digest, kind=type(error).__name__)

    async def _end(self) -> None:
        ending = list(self._work)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        for one in self._replicas:
            await one.residence.close()
            await one.client.close()

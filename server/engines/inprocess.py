"""The embedded engine: one base model in this process, many adapters in one batch.

One thread steps the model; requests join and leave between steps. An adapter is known by its digest all
the way, so that a new version is another adapter.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile

import structlog
from torch import Tensor

from radimpress.reports.errors import DeadlineError, EngineError, RadimpressError, UnavailableError
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.decoder import Batch, Decoder, Read
from radimpress.server.engines.host import Host
from radimpress.server.engines.refusals import CLOSED, LATE_WAITING, LATE_WRITING, check_room
from radimpress.server.engines.scheduler import Chunk, Scheduler, Sequence, Step
from radimpress.server.engines.slots import Packed, Probe, Slots, pack
from radimpress.server.engines.threads import release_team
from radimpress.server.telemetry.log import where
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.load import LoadedBase

_PROBE = "Findings: The lungs are clear."
_HALF_CHARACTER = "\ufffd"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StepTime:
    """What one step of the model did.

    Attributes:
        seconds: it took.
        wrote: sequences that wrote on.
        read: tokens of prompts.
    """

    seconds: float
    wrote: int
    read: int


@dataclass(slots=True, eq=False)
class _Job:
    sequence: Sequence
    adapter: AdapterBundle | None
    loop: asyncio.AbstractEventLoop
    answers: asyncio.Queue[Piece | Exception] = field(default_factory=asyncio.Queue)
    said: str = ""


Answer = tuple[_Job, Piece | Exception]


class InProcessEngine:
    """A base model in memory, and the adapters that were asked for lately.

    Args:
        loaded: the base model.
        batch: requests decoded together at most.
        waiting: requests that may wait; one more is refused.
        resident: adapters on the device at most; the one not used for longest leaves.
        host: verified adapters in the host's memory at most; one that left is verified anew.
        chunk: tokens of prompts read in one step at most.
        context: tokens of prompt and answer at most; with `batch` it fixes the cache's memory.
        reuse: keeps what each adapter makes of the words that all prompts begin with.
        stop: without it every answer is as long as it may be, which only a benchmark wants.
        observe: called on the engine's thread after each step.
    """

    def __init__(
        self,
        loaded: LoadedBase,
        *,
        batch: int = 16,
        waiting: int = 256,
        resident: int = 16,
        host: int = 64,
        chunk: int = 256,
        context: int = 4096,
        reuse: bool = True,
        stop: bool = True,
        observe: Callable[[StepTime], None] | None = None,
    ) -> None:
        self.base_name = loaded.base.name
        self.base_digest = loaded.digest
        self.loaded = loaded
        self._stop = loaded.stop_ids() if stop else frozenset()
        self.decoder = Decoder(loaded.model, rows=batch, context=context, int8=loaded.base.quantisation == "int8")
        self._slots = Slots(self.decoder.shapes, self.decoder.layers, resident, self.decoder.like)
        self._probe = self._read_probe()
        self._scheduler = Scheduler(rows=batch, chunk=chunk, waiting=waiting, slots=resident)
        self._opening = _common(loaded.prompt_ids(text) for text in ("Findings", "Modality")) if reuse else []
        self._openings: dict[str, Tensor] = {}
        self._jobs: dict[Sequence, _Job] = {}
        self._answers: list[Answer] = []
        self._wake = threading.Condition()
        self._wanted: dict[str, Future[Packed]] = {}
        self._retired: set[str] = set()
        self._closed = False
        self._observe = observe
        self.host = Host(self.load, host, self._rouse)
        # Whatever the caller did with torch until now, only the engine's own thread goes on.
        release_team()
        self._thread = threading.Thread(target=self._work, name="radimpress-engine", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether it has ended, by `close` or because its thread did."""
        return self._closed

    @property
    def context(self) -> int:
        """Tokens that prompt and answer may have together."""
        return self.decoder.context

    def prompt_tokens(self, prompt: str) -> int:
        """How many tokens a prompt makes, the chat template around it too."""
        return len(self.loaded.prompt_ids(prompt))

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """See `radimpress.server.engines.Engine.generate`."""
        ids = self.loaded.prompt_ids(prompt)
        check_room(len(ids), self.decoder.context - limits.max_tokens)
        # The last token of a prompt is always read, as it tells the first one of the answer.
        opening = len(_common([self._opening, ids[:-1]]))
        opening = opening if opening == len(self._opening) else 0
        sequence = Sequence(ids, adapter.digest if adapter else "", limits.max_tokens, limits.deadline, opening)
        job = _Job(sequence, adapter, asyncio.get_running_loop())
        with self._wake:
            if self._closed:
                raise UnavailableError(CLOSED)
            self._drop(one for one in list(self._scheduler.waiting) if one.dropped)
            self._scheduler.submit(sequence, time.monotonic())
            self._jobs[sequence] = job
            self._want()
            self._wake.notify()
        try:
            while True:
                answer = await job.answers.get()
                if isinstance(answer, Exception):
                    raise answer
                yield answer
                if answer.finish:
                    return
        finally:
            sequence.dropped = True
            self._rouse()

    def resident(self) -> frozenset[str]:
        """Digests of the adapters in slots."""
        with self._wake:
            return frozenset(self._scheduler.residency.held())

    def forget(self, digest: str) -> None:
        """Drops an adapter from slots and host, once no request uses it; whoever asks again has it loaded anew."""
        with self._wake:
            self._retired.add(digest)
            self._wake.notify()

    def close(self) -> None:
        """Ends the work in hand with UnavailableError and waits for the threads."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()
        self.host.close()

    def _rouse(self) -> None:
        with self._wake:
            self._wake.notify()

    def _work(self) -> None:
        try:
            while step := self._next_step():
                begun = time.perf_counter()
                try:
                    self._run(step)
                except Exception as error:
                    self._give_up(step, error)
                if self._observe is not None:
                    read = sum(chunk.stop - chunk.start for chunk in step.chunks)
                    self._observe(StepTime(time.perf_counter() - begun, len(step.decodes), read))
        finally:
            # Whatever ends this thread, nobody waits for it any longer.
            with self._wake:
                self._closed = True
                self._fail(self._jobs, UnavailableError(CLOSED))

    def _give_up(self, step: Step, error: Exception) -> None:
        """Ends everybody who took part in a step that failed."""
        _log.error("engine_failed", kind=type(error).__name__, where=where(error), requests=len(self._jobs))
        with self._wake:
            # The text of a foreign error may quote its input; its type does not.
            self._fail(self._scheduler.running, EngineError(f"the engine failed ({type(error).__name__})"))
            # A slot that may hold something else than its name says is given up.
            for _, key in step.installs:
                self._scheduler.residency.forget(key)

    def _next_step(self) -> Step | None:
        """Waits until there is something to do; None when closed."""
        with self._wake:
            while not self._closed:
                now = time.monotonic()
                everyone = list(self._jobs)
                self._drop(one for one in everyone if one.dropped)
                late = [one for one in self._jobs if one.late(now)]
                self._fail((one for one in late if one.row < 0), DeadlineError(LATE_WAITING))
                self._fail((one for one in late if not one.dropped), DeadlineError(LATE_WRITING))
                self._let_go()
                self._wanted = self._want()
                self._refuse()
                step = self._scheduler.step(now, self._ready)
                if step.decodes or step.chunks:
                    return step
                release_team()
                first = min((one.deadline for one in self._jobs if one.deadline is not None), default=None)
                self._wake.wait(None if first is None else max(0.0, first - now))
            return None

    def _let_go(self) -> None:
        """Drops the adapters that are to be forgotten and that nobody uses any longer."""
        for key in self._retired - {one.key for one in self._jobs}:
            self._retired.discard(key)
            self._scheduler.residency.forget(key)
            self._openings.pop(key, None)
            self.host.forget(key)

    def _want(self) -> dict[str, Future[Packed]]:
        """Begins to load what the first of the waiting need; no more than fits, or they push each other out."""
        wanted: dict[str, Future[Packed]] = {}
        for one in self._scheduler.waiting:
            adapter = self._jobs[one].adapter
            known = one.key in wanted or one.key in self._scheduler.residency.held()
            if adapter is not None and not known and len(wanted) < self.host.limit:
                wanted[one.key] = self.host.want(adapter)
        return wanted

    def _ready(self, key: str) -> bool:
        future = self._wanted.get(key)
        return future is not None and future.done() and future.exception() is None

    def _refuse(self) -> None:
        """Ends the waiting requests whose adapter could not be loaded; the next one has it tried anew."""
        for key, future in list(self._wanted.items()):
            error = future.exception() if future.done() else None
            if error is not None:
                del self._wanted[key]
                self.host.forget(key)
                told = error if isinstance(error, RadimpressError) else EngineError("the adapter cannot be loaded")
                if told is not error:
                    _log.error("adapter_not_loaded", digest=key, kind=type(error).__name__, where=where(error))
                self._fail([one for one in self._scheduler.waiting if one.key == key], told)

    def _run(self, step: Step) -> None:
        for slot, key in step.installs:
            self._slots.install(slot, self._wanted[key].result())
        for one in step.copies:
            self.decoder.copy(self._openings[one.key], one.row)
        decodes = sorted(step.decodes, key=lambda one: (one.slot, one.row))
        chunks = sorted(step.chunks, key=lambda one: (one.sequence.slot, one.sequence.row))
        tokens = [one.written[-1] for one in decodes]
        rows = [one.row for one in decodes]
        positions = [len(one.prompt) + len(one.written) - 1 for one in decodes]
        reads, wanted, asked = [], list(range(len(decodes))), list(decodes)
        for chunk in chunks:
            one = chunk.sequence
            reads.append(Read(one.row, chunk.start, chunk.stop, len(tokens)))
            tokens += one.prompt[chunk.start : chunk.stop]
            rows += [one.row] * (chunk.stop - chunk.start)
            positions += range(chunk.start, chunk.stop)
            if chunk.last:
                wanted.append(len(tokens) - 1)
                asked.append(one)
        grids = self._slots.plan([one.slot for one in decodes])
        grids += self._slots.plan([c.sequence.slot for c in chunks for _ in range(c.stop - c.start)], len(decodes))
        batch = Batch(tokens, rows, positions, len(decodes), reads, wanted)
        best = self.decoder.forward(batch, self._slots, grids).max(-1)
        with self._wake:
            for chunk in chunks:
                chunk.sequence.read = chunk.stop
                self._open(chunk)
            for one, token, score in zip(asked, best.indices.tolist(), best.values.tolist(), strict=True):
                if not math.isfinite(score):
                    _log.error("answer_not_finite", digest=one.key)
                    self._fail([one], EngineError("the model's answer is not finite"))
                    continue
                self._take(one, token)
            self._deliver()

    def _open(self, chunk: Chunk) -> None:
        """Keeps what an adapter's slot, or the base model, made of the words that every prompt begins with.

        Nothing of a report is in them, and what one adapter made of them is never given to another.
        """
        opened, one = self._scheduler.residency.opened, chunk.sequence
        if one.opening and chunk.stop >= one.opening and one.key not in opened:
            self._openings = {key: kept for key, kept in self._openings.items() if key in opened}
            self._openings[one.key] = self.decoder.keep(one.row, one.opening)
            opened.add(one.key)

    def _take(self, one: Sequence, token: int) -> None:
        """Gives a sequence its next token."""
        if token in self._stop:
            one.finish = "stop"
        else:
            one.written.append(token)
            if len(one.written) >= one.max_tokens:
                one.finish = "length"
        if one.dropped:
            return
        job = self._jobs[one]
        text = self.loaded.tokenizer.decode(one.written)
        if not one.finish and text.endswith(_HALF_CHARACTER):
            return
        piece, job.said = text[len(job.said) :], text
        if one.finish:
            self._answers.append((job, Piece(piece, one.finish, len(one.prompt), len(one.written))))
            self._drop([one])
        elif piece:
            self._answers.append((job, Piece(piece)))

    def _deliver(self) -> None:
        """Hands over what was written, a call for each event loop: each call wakes it, and takes it from the model."""
        answers, self._answers = self._answers, []
        for loop in {job.loop for job, _ in answers}:
            # A caller whose loop is closed has left, and must not take the others of its batch along.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_hand_over, [answer for answer in answers if answer[0].loop is loop])

    def _drop(self, sequences: Iterable[Sequence]) -> None:
        for one in list(sequences):
            one.dropped = True
            if one.row >= 0:
                self.decoder.wipe(one.row, len(one.prompt) + len(one.written))
            del self._jobs[one]
            self._scheduler.leave(one)

    def _fail(self, sequences: Iterable[Sequence], error: Exception) -> None:
        for one in list(sequences):
            if not one.dropped:
                self._answers.append((self._jobs[one], error))
            self._drop([one])
        self._deliver()

    def load(self, adapter: AdapterBundle) -> Packed:
        """Verifies and packs an adapter; nothing of a refused one reaches the model.

        Raises:
            DigestError: a file is not the manifest's.
            BundleError: it must not be served; says why.
        """
        contents = adapter.read(self.base_digest, self.loaded.base.targets)
        packed = pack(adapter.name, contents, self.decoder.shapes, self.decoder.layers, self.decoder.like.dtype)
        self._probe.check(adapter.name, packed, self.decoder.shapes)
        return packed

    def _read_probe(self) -> Probe:
        ids = self.loaded.prompt_ids(_PROBE)
        probe = Probe(self.decoder.shapes)
        read = [Read(0, 0, len(ids), 0)]
        self.decoder.forward(Batch(ids, [0] * len(ids), list(range(len(ids))), 0, read, [0]), probe, [])
        return probe


def _common(prompts: Iterable[list[int]]) -> list[int]:
    """The tokens that all begin with."""
    columns = zip(*prompts, strict=False)
    return [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)]


def _hand_over(answers: Iterable[Answer]) -> None:
    for job, answer in answers:
        job.answers.put_nowait(answer)

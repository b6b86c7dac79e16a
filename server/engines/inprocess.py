"""The embedded engine: one base model in this process, many adapters in one batch.

One thread steps the model; requests join and leave between steps. An adapter is known by its digest all
the way, so that a new version is another adapter.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from radimpress.reports.errors import DeadlineError, EngineError, InputError, RadimpressError
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.decoder import Batch, Decoder, Read
from radimpress.server.engines.host import Host
from radimpress.server.engines.scheduler import Scheduler, Sequence, Step
from radimpress.server.engines.slots import Packed, Probe, Slots, pack
from radimpress.trainer.bundle import AdapterBundle, check_targets
from radimpress.trainer.load import LoadedBase

_PROBE = "Findings: The lungs are clear."
_HALF_CHARACTER = "\ufffd"
_LATE_WAITING = "the deadline passed while the request waited"
_LATE_WRITING = "the deadline passed before the impression was complete"


@dataclass(slots=True, eq=False)
class _Job:
    sequence: Sequence
    adapter: AdapterBundle | None
    loop: asyncio.AbstractEventLoop
    answers: asyncio.Queue[Piece | Exception] = field(default_factory=asyncio.Queue)
    said: str = ""

    def put(self, answer: Piece | Exception) -> None:
        # A caller whose loop is closed has left, and must not take the others of its batch along.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.answers.put_nowait, answer)


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
    ) -> None:
        self.base_name = loaded.base.name
        self.base_digest = loaded.digest
        self._loaded = loaded
        self._stop = loaded.stop_ids()
        self._decoder = Decoder(loaded.model, rows=batch, context=context)
        self._slots = Slots(self._decoder.shapes, self._decoder.layers, resident, self._decoder.like)
        self._probe = self._read_probe()
        self._scheduler = Scheduler(rows=batch, chunk=chunk, waiting=waiting, slots=resident)
        self._jobs: dict[Sequence, _Job] = {}
        self._wake = threading.Condition()
        self._closed = False
        self._host = Host(self._load, host, self._rouse)
        self._thread = threading.Thread(target=self._work, name="radimpress-engine", daemon=True)
        self._thread.start()

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """See `radimpress.server.engines.Engine.generate`."""
        ids = self._loaded.prompt_ids(prompt)
        room = self._decoder.context - limits.max_tokens
        if len(ids) > room:
            raise InputError("findings", f"make {len(ids)} tokens; the base model has room for {room}")
        sequence = Sequence(ids, adapter.digest if adapter else "", limits.max_tokens, limits.deadline)
        job = _Job(sequence, adapter, asyncio.get_running_loop())
        with self._wake:
            if self._closed:
                raise EngineError("the engine is closed")
            self._drop(one for one in list(self._scheduler.waiting) if one.dropped)
            self._scheduler.submit(sequence, time.monotonic())
            self._jobs[sequence] = job
            if adapter is not None:
                self._host.want(adapter)
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

    def close(self) -> None:
        """Ends the work in hand with EngineError and waits for the threads."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()
        self._host.close()

    def _rouse(self) -> None:
        with self._wake:
            self._wake.notify()

    def _work(self) -> None:
        while step := self._next_step():
            try:
                self._run(step)
            except Exception as error:
                # The text of a foreign error may quote its input; its type does not.
                with self._wake:
                    self._fail(
                        list(self._scheduler.running), EngineError(f"the engine failed ({type(error).__name__})")
                    )
                    # A slot that may hold something else than its name says is given up.
                    for _, key in step.installs:
                        self._scheduler.residency.forget(key)
        with self._wake:
            self._fail(list(self._jobs), EngineError("the engine is closed"))

    def _next_step(self) -> Step | None:
        """Waits until there is something to do; None when closed."""
        with self._wake:
            while not self._closed:
                now = time.monotonic()
                everyone = list(self._jobs)
                self._drop(one for one in everyone if one.dropped)
                late = [one for one in self._jobs if one.late(now)]
                self._fail((one for one in late if one.row < 0), DeadlineError(_LATE_WAITING))
                self._fail((one for one in late if not one.dropped), DeadlineError(_LATE_WRITING))
                self._refuse()
                step = self._scheduler.step(now, self._ready)
                if step.decodes or step.chunks:
                    return step
                first = min((one.deadline for one in self._jobs if one.deadline is not None), default=None)
                self._wake.wait(None if first is None else max(0.0, first - now))
            return None

    def _ready(self, key: str) -> bool:
        """Whether an adapter that waiting requests want is in the host's memory."""
        adapter = self._adapter(key)
        future = self._host.want(adapter)
        return future.done() and future.exception() is None

    def _adapter(self, key: str) -> AdapterBundle:
        adapter = next(job.adapter for job in self._jobs.values() if job.sequence.key == key)
        if adapter is None:
            raise EngineError("the base model is no adapter")
        return adapter

    def _refuse(self) -> None:
        """Ends the waiting requests whose adapter could not be loaded; the next one has it tried anew."""
        wanted = {one.key: self._jobs[one].adapter for one in self._scheduler.waiting if one.key}
        for key, adapter in wanted.items():
            if adapter is None or key in self._scheduler.residency.held():
                continue
            future = self._host.want(adapter)
            error = future.exception() if future.done() else None
            if error is not None:
                self._host.forget(key)
                told = error if isinstance(error, RadimpressError) else EngineError(f"{adapter.name}: cannot be loaded")
                self._fail([one for one in list(self._scheduler.waiting) if one.key == key], told)

    def _run(self, step: Step) -> None:
        for slot, key in step.installs:
            self._slots.install(slot, self._host.want(self._adapter(key)).result())
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
        best = self._decoder.forward(batch, self._slots, grids).max(-1)
        with self._wake:
            for chunk in chunks:
                chunk.sequence.read = chunk.stop
            for one, token, score in zip(asked, best.indices.tolist(), best.values.tolist(), strict=True):
                if not math.isfinite(score):
                    self._fail([one], EngineError("the model's answer is not finite"))
                    continue
                self._take(one, token)

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
        text = self._loaded.tokenizer.decode(one.written)
        if not one.finish and text.endswith(_HALF_CHARACTER):
            return
        piece, job.said = text[len(job.said) :], text
        if one.finish:
            job.put(Piece(piece, one.finish, len(one.prompt), len(one.written)))
            self._drop([one])
        elif piece:
            job.put(Piece(piece))

    def _drop(self, sequences: Iterable[Sequence]) -> None:
        for one in list(sequences):
            one.dropped = True
            if one.row >= 0:
                self._decoder.wipe(one.row, len(one.prompt) + len(one.written))
            del self._jobs[one]
            self._scheduler.leave(one)

    def _fail(self, sequences: Iterable[Sequence], error: Exception) -> None:
        for one in list(sequences):
            if not one.dropped:
                self._jobs[one].put(error)
            self._drop([one])

    def _load(self, adapter: AdapterBundle) -> Packed:
        """Verifies an adapter, on the loading thread; nothing of a refused one reaches the model."""
        adapter.check_base(self.base_digest)
        check_targets(adapter, self._loaded.base.targets)
        packed = pack(adapter, self._decoder.shapes, self._decoder.layers, self._decoder.like.dtype)
        self._probe.check(adapter.name, packed, self._decoder.shapes)
        return packed

    def _read_probe(self) -> Probe:
        ids = self._loaded.prompt_ids(_PROBE)
        probe = Probe(self._decoder.shapes)
        read = [Read(0, 0, len(ids), 0)]
        self._decoder.forward(Batch(ids, [0] * len(ids), list(range(len(ids))), 0, read, [0]), probe, [])
        return probe

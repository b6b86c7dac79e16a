"""The embedded engine: transformers and peft in this process, one thread.

Requests that wait for the same adapter version share a batch; two adapters never do. An adapter is
held under its digest, so that a new version is another adapter. Continuous batching and mixed
adapters in one batch are not covered.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import LoraConfig, PeftModel, set_peft_model_state_dict

from radimpress.reports.errors import (
    BundleError,
    DeadlineError,
    EngineError,
    InputError,
    OverloadError,
    RadimpressError,
)
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.decode import Row, decode
from radimpress.trainer.bundle import AdapterBundle, check_targets
from radimpress.trainer.load import LoadedBase

_SHAPE = {"r", "lora_alpha", "target_modules", "use_rslora", "task_type"}
_PROBE = "Findings: The lungs are clear."
_HALF_CHARACTER = "\ufffd"


@dataclass(slots=True)
class _Job:
    row: Row
    adapter: AdapterBundle | None
    limits: Limits
    loop: asyncio.AbstractEventLoop
    answers: asyncio.Queue[Piece | Exception] = field(default_factory=asyncio.Queue)
    said: str = ""

    @property
    def digest(self) -> str:
        return self.adapter.digest if self.adapter else ""

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
        resident: adapters held in memory at most; the one not used for longest leaves.
    """

    def __init__(self, loaded: LoadedBase, *, batch: int = 16, waiting: int = 256, resident: int = 16) -> None:
        self.base_name = loaded.base.name
        self.base_digest = loaded.digest
        self._loaded = loaded
        self._model: Any = loaded.model
        self._stop = loaded.stop_ids()
        self._context = int(loaded.model.config.max_position_embeddings)
        self._batch = batch
        self._waiting = waiting
        self._resident = resident
        self._held: OrderedDict[str, None] = OrderedDict()
        self._queue: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="radimpress-engine", daemon=True)
        self._thread.start()

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """See `radimpress.server.engines.Engine.generate`."""
        row = Row(self._loaded.prompt_ids(prompt), limits.max_tokens, [])
        if len(row.prompt) + limits.max_tokens > self._context:
            room = self._context - limits.max_tokens
            raise InputError("findings", f"make {len(row.prompt)} tokens; the base model has room for {room}")
        job = _Job(row, adapter, limits, asyncio.get_running_loop())
        with self._wake:
            if self._closed:
                raise EngineError("the engine is closed")
            self._queue = deque(waiting for waiting in self._queue if not waiting.row.dropped)
            if len(self._queue) >= self._waiting:
                raise OverloadError(f"{self._waiting} requests are waiting already")
            self._queue.append(job)
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
            row.dropped = True

    def close(self) -> None:
        """Ends the work in hand with EngineError and waits for the thread."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    @property
    def _pad(self) -> int:
        return int(self._loaded.tokenizer.pad_token_id)

    def _work(self) -> None:
        while jobs := self._next_jobs():
            try:
                with self._as(jobs[0].adapter):
                    self._answer(jobs)
            except RadimpressError as error:
                self._fail(jobs, error)
            except Exception as error:
                # The text of a foreign error may quote its input; its type does not.
                self._fail(jobs, EngineError(f"the engine failed ({type(error).__name__})"))
        self._fail(list(self._queue), EngineError("the engine is closed"))

    def _next_jobs(self) -> list[_Job]:
        """The oldest job and the others that wait for the same adapter; empty when closed."""
        with self._wake:
            while True:
                if self._closed:
                    return []
                late = [job for job in self._queue if _is_late(job)]
                self._fail(late, DeadlineError("the deadline passed while the request waited"))
                self._queue = deque(job for job in self._queue if job not in late and not job.row.dropped)
                if self._queue:
                    break
                self._wake.wait()
            digest = self._queue[0].digest
            jobs = [job for job in self._queue if job.digest == digest][: self._batch]
            self._queue = deque(job for job in self._queue if job not in jobs)
            return jobs

    def _answer(self, jobs: list[_Job]) -> None:
        for _ in decode(self._model, [job.row for job in jobs], self._stop, self._pad):
            for job in jobs:
                if job.row.dropped:
                    continue
                if self._closed:
                    raise EngineError("the engine is closed")
                if _is_late(job):
                    self._fail([job], DeadlineError("the deadline passed before the impression was complete"))
                    continue
                self._say(job)

    def _say(self, job: _Job) -> None:
        row = job.row
        text = self._loaded.tokenizer.decode(row.written)
        if not row.finish and text.endswith(_HALF_CHARACTER):
            return
        piece, job.said = text[len(job.said) :], text
        if row.finish:
            job.put(Piece(piece, row.finish, len(row.prompt), len(row.written)))
            row.dropped = True
        elif piece:
            job.put(Piece(piece))

    def _fail(self, jobs: Sequence[_Job], error: Exception) -> None:
        for job in jobs:
            if not job.row.dropped:
                job.row.dropped = True
                job.put(error)

    def _as(self, adapter: AdapterBundle | None) -> AbstractContextManager[Any]:
        """Makes the model be exactly this adapter, or exactly the base."""
        if adapter is None:
            return self._model.disable_adapter() if isinstance(self._model, PeftModel) else nullcontext()
        if adapter.digest not in self._held:
            self._load(adapter)
        self._held.move_to_end(adapter.digest)
        self._model.set_adapter(adapter.digest, inference_mode=True)
        if list(self._model.active_adapters) != [adapter.digest]:
            raise EngineError(f"{adapter.name}: did not become active")
        return nullcontext()

    def _load(self, adapter: AdapterBundle) -> None:
        """Verifies an adapter and takes it in; nothing is left behind when it is refused."""
        adapter.verify(self.base_digest)
        check_targets(adapter, self._loaded.base.targets)
        # Only what shapes the matrices: other ways to begin (PiSSA, OLoRA) would change the base's weights.
        config = LoraConfig(**{key: value for key, value in adapter.config().items() if key in _SHAPE})
        weights = adapter.weights()
        while len(self._held) >= self._resident:
            oldest, _ = self._held.popitem(last=False)
            self._model.delete_adapter(oldest)
        try:
            if isinstance(self._model, PeftModel):
                self._model.add_adapter(adapter.digest, config)
            else:
                self._model = PeftModel(self._model, config, adapter_name=adapter.digest)
            result: Any = set_peft_model_state_dict(self._model, weights, adapter_name=adapter.digest)
            missing = [key for key in result.missing_keys if "lora_" in key and adapter.digest in key]
            if result.unexpected_keys or missing:
                raise BundleError(f"{adapter.name}: its tensors do not fit the base model's modules")
            self._model.eval()
            self._probe(adapter)
        except BaseException:
            self._forget(adapter)
            raise
        self._held[adapter.digest] = None

    def _forget(self, adapter: AdapterBundle) -> None:
        """Takes a refused adapter out again; without any adapter the model is the bare base."""
        if not isinstance(self._model, PeftModel):
            return
        if adapter.digest in self._model.peft_config:
            self._model.delete_adapter(adapter.digest)
        if not self._held:
            self._model = self._model.unload()

    @torch.inference_mode()
    def _probe(self, adapter: AdapterBundle) -> None:
        ids = torch.tensor([self._loaded.prompt_ids(_PROBE)], device=self._model.device)
        self._model.set_adapter(adapter.digest, inference_mode=True)
        adapted = self._model(input_ids=ids, logits_to_keep=1).logits
        with self._model.disable_adapter():
            plain = self._model(input_ids=ids, logits_to_keep=1).logits
        if torch.equal(adapted, plain) or not bool(torch.isfinite(adapted).all()):
            raise BundleError(f"{adapter.name}: the model answers with it as it does without")


def _is_late(job: _Job) -> bool:
    return job.limits.deadline is not None and time.monotonic() > job.limits.deadline

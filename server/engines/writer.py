"""An engine as evaluation asks it: what is judged is written by the same path that serves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from radimpress.eval.predict import Written
from radimpress.server.engines import Engine, Limits
from radimpress.trainer.bundle import AdapterBundle

_AHEAD = 64


class EngineWriter:
    """The `Writer` that evaluation wants, over any engine.

    Args:
        engine: writes.
        ahead: prompts that are asked for at once.
    """

    def __init__(self, engine: Engine, ahead: int = _AHEAD) -> None:
        self._engine = engine
        self._ahead = ahead

    @property
    def base_digest(self) -> str:
        """SHA-256, in hex, over the base model's files."""
        return self._engine.base_digest

    @property
    def tokens(self) -> Callable[[str], int] | None:
        """How many tokens a prompt makes; None where the engine does not tell."""
        return getattr(self._engine, "prompt_tokens", None)

    @property
    def context(self) -> int | None:
        """Tokens that prompt and answer may have together; None where the engine does not tell."""
        return getattr(self._engine, "context", None)

    def write_all(self, prompts: Sequence[str], adapter: AdapterBundle | None, max_tokens: int) -> Iterator[Written]:
        """Yields what is written for each prompt, in order; at most `ahead` are asked for at once."""
        loop = asyncio.new_event_loop()
        gate = asyncio.Semaphore(self._ahead)

        async def one(prompt: str) -> Written:
            async with gate:
                return await write(self._engine, prompt, adapter, Limits(max_tokens))

        # Prompts of like length are asked for together, so that a batch of them pads little.
        order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
        tasks = {at: loop.create_task(one(prompts[at])) for at in order}
        try:
            for at in range(len(prompts)):
                yield loop.run_until_complete(tasks[at])
        finally:
            for task in tasks.values():
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks.values(), return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


async def write(engine: Engine, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> Written:
    """All that an engine writes for one prompt.

    Raises:
        RadimpressError: what `Engine.generate` raises.
    """
    text = ""
    began = time.monotonic()
    async with aclosing(engine.generate(prompt, adapter, replace(limits, whole=True))) as pieces:
        async for piece in pieces:
            text += piece.text
    return Written(text, piece.finish, piece.tokens, time.monotonic() - began)

"""The fake engine: no model, the same face; says which adapter it was asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

from radimpress.reports.errors import DeadlineError, UnavailableError
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.verified import Verified
from radimpress.trainer.bundle import AdapterBundle


class FakeEngine:
    """Writes "Fake impression by <digest or base>.", word by word.

    Args:
        base_digest: what it claims to hold.
        delay: seconds before each word.
    """

    base_name = "fake"

    def __init__(self, base_digest: str = "0" * 64, delay: float = 0.0) -> None:
        self.base_digest = base_digest
        self.closed = False
        self._delay = delay
        self._verified = Verified(lambda adapter: adapter.verify(base_digest))

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """Yields the words; keeps deadlines and token limits, and refuses once it is closed, as a real engine does."""
        self._check_open()
        if adapter is not None:
            self._verified.check(adapter)
        words = f"Fake impression by {adapter.digest if adapter else 'base'}.".split(" ")
        said = words[: limits.max_tokens]
        for at, word in enumerate(said):
            if limits.deadline is not None and time.monotonic() > limits.deadline:
                raise DeadlineError("the deadline passed")
            # Once at least, so that others have their turn.
            if self._delay or not at:
                await asyncio.sleep(self._delay)
                self._check_open()
            yield Piece(word if at == 0 else f" {word}")
        finish = "stop" if len(said) == len(words) else "length"
        yield Piece("", finish, len(prompt.split()), len(said))

    def resident(self) -> frozenset[str]:
        """Digests of the adapters that were verified."""
        return self._verified.held()

    def forget(self, digest: str) -> None:
        """Has an adapter verified anew when it is asked again."""
        self._verified.forget(digest)

    def close(self) -> None:
        """Nothing to free."""
        self.closed = True

    def _check_open(self) -> None:
        if self.closed:
            raise UnavailableError("the engine is closed")

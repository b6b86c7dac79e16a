"""The fake engine: no model, the same face; says which adapter it was asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

from radimpress.reports.errors import DeadlineError, UnavailableError
from radimpress.reports.files import stamp
from radimpress.server.engines import Limits, Piece
from radimpress.trainer.bundle import CONFIG, WEIGHTS, AdapterBundle


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
        self._verified: dict[str, tuple[tuple[int, int, int, int] | None, ...]] = {}

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """Yields the words; keeps deadlines and token limits, and refuses once it is closed, as a real engine does."""
        self._check_open()
        if adapter is not None:
            self._verify(adapter)
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
        return frozenset(self._verified)

    def forget(self, digest: str) -> None:
        """Has an adapter verified anew when it is asked again."""
        self._verified.pop(digest, None)

    def close(self) -> None:
        """Nothing to free."""
        self.closed = True

    def _check_open(self) -> None:
        if self.closed:
            raise UnavailableError("the engine is closed")

    def _verify(self, adapter: AdapterBundle) -> None:
        """Verifies an adapter, and again only when one of its files was touched, as a real engine reads it once."""
        folder = str(adapter.path)
        stamps = stamp(f"{folder}/{WEIGHTS}"), stamp(f"{folder}/{CONFIG}")
        if self._verified.get(adapter.digest) != stamps:
            adapter.verify(self.base_digest)
            self._verified[adapter.digest] = stamps

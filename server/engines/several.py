"""Several engines behind one face: each answers its modalities and clinics, all hold the same base model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from radimpress.reports.errors import ConfigError
from radimpress.server.engines import Distant, Engine, Keeper, Limits, Piece, Preparer
from radimpress.server.engines.configuration import Entry
from radimpress.trainer.bundle import AdapterBundle


class Several:
    """Engines of one server; a request is asked of one, and never of another in its place.

    Args:
        engines: each with its entry; the first whose entry answers a report is asked, and the last answers all.

    Raises:
        ConfigError: they do not hold the same base model.
    """

    def __init__(self, engines: Sequence[tuple[Entry, Engine]]) -> None:
        self._engines = engines
        bases = {(one.base_name, one.base_digest) for _, one in engines}
        if len(bases) != 1:
            told = ", ".join(sorted(f"{name} {digest[:12]}" for name, digest in bases))
            raise ConfigError(f"engines: all must hold the same base model; there are {told}")
        ((self.base_name, self.base_digest),) = bases

    @property
    def closed(self) -> bool:
        """Whether one of them has ended: only a start anew would bring it back."""
        return any(one.closed for _, one in self._engines)

    @property
    def missing(self) -> str:
        """Why nothing can be answered now; empty while one of them can answer."""
        told = [one.missing if isinstance(one, Distant) else "" for _, one in self._engines]
        return "; ".join(told) if all(told) else ""

    @property
    def context(self) -> int | None:
        """Tokens that prompt and answer may have together on each of them; None where none tells."""
        return min((one.context for _, one in self._engines if hasattr(one, "context")), default=None)

    @property
    def prompt_tokens(self) -> Callable[[str], int] | None:
        """How many tokens a prompt makes; None where none tells."""
        return next((one.prompt_tokens for _, one in self._engines if hasattr(one, "prompt_tokens")), None)

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """See `radimpress.server.engines.Engine.generate`; the last piece says which engine wrote."""
        entry, engine = next(pair for pair in self._engines if pair[0].answers(limits.modality, limits.clinic))
        async with aclosing(engine.generate(prompt, adapter, limits)) as pieces:
            async for piece in pieces:
                yield replace(piece, engine=f"{entry.kind} {piece.engine}".strip()) if piece.finish else piece

    def resident(self) -> frozenset[str]:
        """Digests of the adapters that any of them holds."""
        return frozenset().union(*(one.resident() for _, one in self._engines if isinstance(one, Keeper)))

    def forget(self, digest: str) -> None:
        """Drops an adapter from each of them."""
        for _, one in self._engines:
            if isinstance(one, Keeper):
                one.forget(digest)

    def prepare(self, adapter: AdapterBundle) -> None:
        """Begins to load an adapter wherever that can be done ahead."""
        for _, one in self._engines:
            if isinstance(one, Preparer):
                one.prepare(adapter)

    def close(self) -> None:
        """Closes all of them."""
        for _, one in self._engines:
            one.close()

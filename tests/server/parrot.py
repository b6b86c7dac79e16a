"""`radimpress serve` whose engine says what it has read, so that a report's text goes everywhere that text can go.

Run by test_canary_string.py. Findings that hold FALL make the engine fail with an error that quotes them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from radimpress.server import cli_serve
from radimpress.server.cli import main
from radimpress.server.engines import Limits, Piece
from radimpress.server.engines.fake import FakeEngine
from radimpress.trainer.bundle import AdapterBundle

_FALL = "falls over"


class Parrot(FakeEngine):
    """Writes its prompt, or fails with it."""

    async def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        del adapter, limits
        if _FALL in prompt:
            raise ValueError(prompt)
        yield Piece(prompt)
        yield Piece("", "stop", len(prompt.split()), len(prompt.split()))


if __name__ == "__main__":
    cli_serve.open_engine = lambda settings, track: Parrot()  # type: ignore[assignment, attr-defined, misc]
    main()

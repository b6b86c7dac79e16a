"""Engines: the base model and its adapters behind one method.

`Engine.generate` is the whole face. The fake engine ships, so that everything above it can be tried
without a model.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from radimpress.reports.report import Modality
from radimpress.trainer.bundle import AdapterBundle


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may use, and whose it is.

    Attributes:
        max_tokens: written at most.
        deadline: on the clock of `time.monotonic`, in seconds; None waits for ever.
        modality: of the report; of several engines the one that answers is chosen by it.
        clinic: of the report, likewise.
        whole: whether nobody reads before the end; an engine may then give the text as one piece.
    """

    max_tokens: int
    deadline: float | None = None
    modality: Modality = Modality.UNSPECIFIED
    clinic: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """The next text of an answer.

    Attributes:
        text: may be empty.
        finish: "stop" or "length" on the last piece, else empty.
        prompt_tokens: read; set on the last piece.
        tokens: written; set on the last piece.
        engine: which engine or replica wrote it, where there may be several; set on the last piece.
    """

    text: str
    finish: str = ""
    prompt_tokens: int = 0
    tokens: int = 0
    engine: str = ""


class Engine(Protocol):
    """A base model with any number of adapters."""

    @property
    def base_name(self) -> str:
        """The base model's name."""
        ...

    @property
    def base_digest(self) -> str:
        """SHA-256, in hex, over the base model's files."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it has ended, by `close` or by an error of its own; it does not come back."""
        ...

    def generate(self, prompt: str, adapter: AdapterBundle | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """Yields what exactly this adapter writes (None: the base model alone), greedy.

        Closing the iterator cancels the work.

        Raises:
            OverloadError: too many requests wait.
            DeadlineError: the deadline passed.
            BundleError: the adapter must not be served.
            EngineError: the engine could not answer.
            UnavailableError: it has ended.
        """
        ...

    def close(self) -> None:
        """Ends the work in hand with UnavailableError and frees the model."""
        ...


@runtime_checkable
class Keeper(Protocol):
    """An engine that keeps adapters between requests."""

    def resident(self) -> frozenset[str]:
        """Digests of the adapters that are on the device now."""
        ...

    def forget(self, digest: str) -> None:
        """Drops an adapter from memory, as soon as no request uses it."""
        ...


@runtime_checkable
class Preparer(Protocol):
    """An engine that takes adapters in before anybody asks for them."""

    def prepare(self, adapter: AdapterBundle) -> None:
        """Begins to load an adapter where there is room; what becomes of it is in the log."""
        ...


@runtime_checkable
class Distant(Protocol):
    """An engine on other machines, which may be out of reach now and come back."""

    @property
    def missing(self) -> str:
        """Why nothing can be answered now; empty where it can."""
        ...

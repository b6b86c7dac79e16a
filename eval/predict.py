"""What each model writes for each case; the contract is predictions/<system>.jsonl."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from radimpress.eval.cases import Case, cases_digest
from radimpress.reports.errors import NotFoundError, RadimpressError
from radimpress.reports.files import read_rows, write_rows
from radimpress.reports.prompt import PROMPT_VERSION, extract, render
from radimpress.trainer.bundle import AdapterBundle

BASE = "base"


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote for one prompt.

    Attributes:
        text: as it came, not yet extracted.
        finish: "stop" when the model ended, "length" when the token limit did.
        tokens: written.
    """

    text: str
    finish: str
    tokens: int


class Writer(Protocol):
    """A model that writes: what an engine looks like from here."""

    @property
    def base_digest(self) -> str:
        """SHA-256, in hex, over the base model's files."""
        ...

    def write_all(self, prompts: Sequence[str], adapter: AdapterBundle | None, max_tokens: int) -> Iterator[Written]:
        """Yields one `Written` a prompt, in order; greedy; `None` is the base model."""
        ...


@dataclass(frozen=True, slots=True)
class Prediction:
    """The impression that a system gave for one case."""

    case: str
    impression: str
    finish: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Predictions:
    """All that one system wrote.

    Attributes:
        system: an adapter's name, BASE, or a trivial baseline's name.
        digest: of the adapter's weights; empty for others.
        base_digest: of the base model; empty for trivial baselines.
        rows: one a case that the system was asked for.
        cluster: the only one that an adapter may serve; None is all of them.
    """

    system: str
    digest: str
    base_digest: str
    rows: tuple[Prediction, ...]
    cluster: str | None = None


def predict(
    cases: Sequence[Case], writer: Writer, adapter: AdapterBundle | None, max_tokens: int, folder: Path
) -> Iterator[Predictions | None]:
    """Asks a model for every case, or reads what the same model wrote for the same cases before.

    Yields None after each case, so that the caller can show progress, and the predictions last.
    """
    system = adapter.name if adapter else BASE
    digest = adapter.digest if adapter else ""
    head = {
        "system": system,
        "digest": digest,
        "base_digest": writer.base_digest,
        "prompt_version": PROMPT_VERSION,
        "max_tokens": max_tokens,
        "cases": cases_digest(cases),
    }
    path = folder / f"{system}.jsonl"
    rows = _cached(path, head)
    if rows is None:
        rows = []
        prompts = [render(case.report) for case in cases]
        for case, written in zip(cases, writer.write_all(prompts, adapter, max_tokens), strict=True):
            rows.append(Prediction(case.report.id, extract(written.text), written.finish, written.tokens))
            yield None
        write_rows(path, [head, *(asdict(row) for row in rows)])
    yield Predictions(
        system, digest, writer.base_digest, tuple(rows), adapter.manifest.get("cluster") if adapter else None
    )


def _cached(path: Path, head: dict[str, object]) -> list[Prediction] | None:
    try:
        first, *rest = read_rows(path)
        return [Prediction(**row) for row in rest] if first == head else None
    except (NotFoundError, RadimpressError, TypeError, ValueError):
        return None

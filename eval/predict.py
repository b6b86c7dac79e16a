"""What each model writes for each case; the contract is predictions/<system>.jsonl.

    {"system": ..., "digest": ..., ...}            the head: what was asked of whom, all by digest
    {"case": ..., "impression": ..., ...}          one line a case, in the order they were written

Lines are appended as the answers come, so that a run that was killed goes on where it stopped. The file
holds impressions: only its owner may read it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from radimpress.eval.cases import Case, cases_digest
from radimpress.reports.files import digest_of, write_rows
from radimpress.reports.prompt import PROMPT_VERSION, extract, render, render_with_examples
from radimpress.reports.report import Modality, Report, parse_modality
from radimpress.trainer.bundle import AdapterBundle

BASE = "base"
FEW_SHOT = "base-few-shot"
_FINISH = ("stop", "length")


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote for one prompt.

    Attributes:
        text: as it came, not yet extracted.
        finish: "stop" when the model ended, "length" when the token limit did.
        tokens: written.
        seconds: from asking to the last piece, beside all that was asked for at the same time.
    """

    text: str
    finish: str
    tokens: int
    seconds: float = 0.0


class Writer(Protocol):
    """A model that writes: what an engine looks like from here."""

    @property
    def base_digest(self) -> str:
        """SHA-256, in hex, over the base model's files."""
        ...

    @property
    def tokens(self) -> Callable[[str], int] | None:
        """How many tokens a prompt makes, the chat template around it too; None where nobody can tell."""
        ...

    @property
    def context(self) -> int | None:
        """Tokens that prompt and answer may have together; None where nobody can tell."""
        ...

    def write_all(self, prompts: Sequence[str], adapter: AdapterBundle | None, max_tokens: int) -> Iterator[Written]:
        """Yields one `Written` a prompt, in order; greedy; `None` is the base model."""
        ...


@dataclass(frozen=True, slots=True)
class Prediction:
    """The impression that a system gave for one case.

    Attributes:
        case: the report's id.
        impression: extracted from what the model wrote.
        finish: "stop" when the model ended, "length" when the token limit did.
        tokens: written; 0 for trivial baselines.
        seconds: from asking to the last piece; 0 for trivial baselines.
        copied: which worked example's impression it is, word for word, from 1; 0 is none of them.
    """

    case: str
    impression: str
    finish: str
    tokens: int
    seconds: float = 0.0
    copied: int = 0


@dataclass(frozen=True, slots=True)
class Predictions:
    """All that one system wrote.

    Attributes:
        system: an adapter's name, BASE, FEW_SHOT, or a trivial baseline's name.
        digest: of the adapter's weights; empty for others.
        base_digest: of the base model; empty for trivial baselines.
        rows: one a case that the system was asked for, in the order of the cases.
        cluster: the only one that an adapter may serve; None is all of them.
        modality: the only one that an adapter was fitted for; None is all of them.
    """

    system: str
    digest: str
    base_digest: str
    rows: tuple[Prediction, ...]
    cluster: str | None = None
    modality: Modality | None = None


def predict(
    cases: Sequence[Case],
    writer: Writer,
    adapter: AdapterBundle | None,
    max_tokens: int,
    folder: Path | None,
    examples: Sequence[Sequence[Report]] | None = None,
    name: str = "",
) -> Generator[Predictions | None, None, None]:
    """Asks a model for every case that the same model did not answer before.

    Yields None for each case, so that the caller can show progress (none where all were answered
    before), and the predictions last. Without a `folder` no text is written down. `examples` are the worked
    examples shown with each case: the system is FEW_SHOT then. `name` is the adapter's in this evaluation; its
    own where nothing is said.
    """
    system = name or adapter.name if adapter else BASE if examples is None else FEW_SHOT
    shown = [()] * len(cases) if examples is None else examples
    prompts = [
        render_with_examples(case.report, some) if some else render(case.report)
        for case, some in zip(cases, shown, strict=True)
    ]
    head = {
        "system": system,
        "digest": adapter.digest if adapter else "",
        "base_digest": writer.base_digest,
        "prompt_version": PROMPT_VERSION,
        "max_tokens": max_tokens,
        "cases": cases_digest(cases),
        "prompts": digest_of(prompts),
    }
    path = folder / f"{system}.jsonl" if folder else None
    known = _known(path, head, {case.report.id for case in cases}) if path else {}
    yield from [None] * (len(known) if len(known) < len(cases) else 0)
    # Like lengths together, so that a batch pads little; and in that order here, so that what a writer
    # has finished is on disk soon and not held back by an earlier long one.
    order = sorted((len(prompt), at) for at, prompt in enumerate(prompts) if cases[at].report.id not in known)
    todo = [at for _, at in order]
    if todo:
        answers = writer.write_all([prompts[at] for at in todo], adapter, max_tokens)
        with _Appending(path) if path else nullcontext() as file:
            for at, written in zip(todo, answers, strict=True):
                text = extract(written.text)
                copied = _copied(text, shown[at])
                case = cases[at].report.id
                known[case] = Prediction(case, text, written.finish, written.tokens, round(written.seconds, 4), copied)
                if file is not None:
                    file.add(known[case])
                yield None
    rows = tuple(known[case.report.id] for case in cases)
    told = adapter.manifest if adapter else {}
    modality = parse_modality(str(told["modality"])) if told.get("modality") else None
    yield Predictions(system, str(head["digest"]), writer.base_digest, rows, told.get("cluster"), modality)


class _Appending:
    """A predictions file that grows by whole lines: each is one write to a file opened for appending."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND)

    def add(self, row: Prediction) -> None:
        os.write(self._handle, (json.dumps(asdict(row), ensure_ascii=False) + "\n").encode())

    def __enter__(self) -> _Appending:
        return self

    def __exit__(self, *_: object) -> None:
        os.fsync(self._handle)
        os.close(self._handle)


def _known(path: Path, head: dict[str, Any], cases: set[str]) -> dict[str, Prediction]:
    """What the file holds of just this question; makes it anew where it holds another.

    Only what a kill leaves is mended, a last line that was not finished; anything else that is wrong
    makes all of it doubtful.
    """
    try:
        whole, _, torn = path.read_bytes().rpartition(b"\n")
        first, *rest = (json.loads(line) for line in whole.split(b"\n"))
        rows = [Prediction(**row) for row in rest]
        known = {row.case: row for row in rows}
        if first == head and all(map(_sound, rows)) and len(known) == len(rows) and cases >= known.keys():
            if torn:
                write_rows(path, [head, *rest])
            return known
    except (OSError, ValueError, TypeError, RecursionError):
        pass
    write_rows(path, [head])
    return {}


def _sound(row: Prediction) -> bool:
    return (
        isinstance(row.case, str)
        and isinstance(row.impression, str)
        and row.finish in _FINISH
        and type(row.tokens) is int
        and isinstance(row.seconds, int | float)
        and type(row.copied) is int
    )


def _copied(text: str, examples: Sequence[Report]) -> int:
    said = " ".join(text.lower().split())
    own = [" ".join(example.impression.lower().split()) for example in examples]
    return own.index(said) + 1 if said in own else 0

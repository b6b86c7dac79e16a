"""Turns reports into token ids with labels on the impression only; findings that are too long are cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from radimpress.reports.prompt import FINDINGS_MAX, clean, render
from radimpress.reports.report import Report
from radimpress.trainer.cut import Cuts
from radimpress.trainer.load import BaseTokens

IGNORED = -100


@dataclass(frozen=True, slots=True)
class Example:
    """One report as token ids.

    Attributes:
        id: the report's.
        input_ids: prompt, impression and the end-of-turn token, so that stopping is learnt.
        prompt: how many of them are the prompt; nothing is learnt from those.
    """

    id: str
    input_ids: tuple[int, ...]
    prompt: int

    @property
    def labels(self) -> list[int]:
        """What each position is to be predicted as; -100 on the prompt."""
        return [IGNORED] * self.prompt + list(self.input_ids[self.prompt :])


@dataclass(frozen=True, slots=True)
class Examples:
    """Encoded reports.

    Attributes:
        rows: the examples, in the reports' order.
        cut: ids of the reports whose findings lost sentences to fit.
        too_long: ids of the reports that one sentence of findings makes too long; they are left out.
    """

    rows: tuple[Example, ...]
    cut: tuple[str, ...]
    too_long: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """Tokens in all rows, prompts included."""
        return sum(len(row.input_ids) for row in self.rows)


def encode(reports: Iterable[Report], reader: BaseTokens, max_tokens: int) -> Examples:
    """Encodes each report as prompt, impression and end of turn, in `max_tokens` tokens at most."""
    rows: list[Example] = []
    cut: list[str] = []
    too_long: list[str] = []
    for report in reports:
        answer = reader.tokenizer(clean(report.impression) + reader.base.end, add_special_tokens=False)["input_ids"]
        prompt = _prompt(report, reader, max_tokens - len(answer))
        if prompt is None:
            prompt = _shortened(report, reader, max_tokens - len(answer))
            (too_long if prompt is None else cut).append(report.id)
        if prompt is not None:
            rows.append(Example(report.id, (*prompt, *answer), len(prompt)))
    return Examples(tuple(rows), tuple(cut), tuple(too_long))


def _prompt(report: Report, reader: BaseTokens, room: int) -> Sequence[int] | None:
    """The prompt's ids; None where they need more room."""
    if len(report.findings) > FINDINGS_MAX:
        return None
    ids = reader.prompt_ids(render(report))
    return ids if len(ids) <= room else None


def _shortened(report: Report, reader: BaseTokens, room: int) -> Sequence[int] | None:
    """The prompt with as few sentences left out as make it fit; None where one alone is too long."""
    texts = Cuts(report.findings)
    # Each text is shorter than the one before, so halving finds the first that fits.
    low, high, found = 0, len(texts), None
    while low < high:
        middle = (low + high) // 2
        ids = _prompt(replace(report, findings=texts[middle]), reader, room)
        if ids is None:
            low = middle + 1
        else:
            high, found = middle, ids
    return found

"""Impressions that a model in training writes for validation reports, held against the radiologists' own.

A loss says how well the next token is told; this says what comes out. Figures go into record and manifest, and some
of the texts into a file of their own beside the record, which only its owner may read.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from statistics import fmean
from typing import Any

import torch

from radimpress.reports.prompt import extract
from radimpress.reports.report import Report
from radimpress.trainer.attention import usual_attention
from radimpress.trainer.examples import Example
from radimpress.trainer.load import LoadedBase
from radimpress.trainer.record import ALL
from radimpress.trainer.together import Team

# Scores of (impression, reference) by name, each in [0, 1].
Rate = Callable[[str, str], Mapping[str, float]]
# Written together, and tokens at most of each: the cache of keys and values is what they cost.
_TOGETHER, _TOKENS = 8, 128
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """A validation report and its prompt.

    Attributes:
        report: the report.
        prompt: its token ids, as training cuts them.
    """

    report: Report
    prompt: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WriteUp:
    """What came of it.

    Attributes:
        figures: `reports`, `unfinished` (that the token limit ended), `tokens` written, `seconds`, and `scores`: the
            mean of each by modality and of all, each with its number of reports.
        samples: of as many modalities as there are: id, modality, reference, impression and its scores.
    """

    figures: dict[str, Any]
    samples: tuple[dict[str, Any], ...]


def choose(reports: Iterable[Report], rows: Iterable[Example], count: int) -> list[Asked]:
    """The first `count` encoded reports, modalities in turn."""
    known = {report.id: report for report in reports}
    shelves: dict[str, list[Asked]] = defaultdict(list)
    for row in rows:
        report = known[row.id]
        shelves[report.modality.value].append(Asked(report, row.input_ids[: row.prompt]))
    turns = chain.from_iterable(zip_longest(*(shelves[name] for name in sorted(shelves))))
    return [asked for asked in turns if asked is not None][:count]


def write_up(
    loaded: LoadedBase, chosen: Sequence[Asked], rate: Rate, team: Team, seconds: float = float("inf")
) -> WriteUp | None:
    """Writes an impression for each report, greedily, with the model as it is, and rates it.

    No random number is drawn, and the model trains on as if nothing had been.

    Args:
        loaded: the base model, the adapter in it, on the team's device.
        chosen: the reports.
        rate: scores an impression beside its reference.
        team: the processes that share the work.
        seconds: that it may take: what would go beyond them is not begun, as far as the longest batch tells.

    Returns:
        None where there was no time for any.
    """
    began, longest = time.monotonic(), 0.0
    # Like lengths together, so that little is padded.
    order = sorted(chosen, key=lambda asked: len(asked.prompt))
    batches = [order[at : at + _TOGETHER] for at in range(0, len(order), _TOGETHER)]
    rows: list[dict[str, Any]] = []
    with usual_attention(loaded.model):
        for at in range(0, len(batches), team.size):
            started = time.monotonic()
            if team.told(started - began + longest >= seconds):
                break
            mine = batches[at : at + team.size][team.rank : team.rank + 1]
            written = [_written(loaded, batch, rate) for batch in mine]
            for everybodys in team.gather(written):
                rows += chain.from_iterable(everybodys)
            longest = max(longest, time.monotonic() - started)
    if not rows:
        return None
    place = {asked.report.id: at for at, asked in enumerate(chosen)}
    rows.sort(key=lambda row: place[row["id"]])
    figures = {
        "reports": len(rows),
        "unfinished": sum(not row["finished"] for row in rows),
        "tokens": sum(row["tokens"] for row in rows),
        "seconds": round(time.monotonic() - began, 2),
        "scores": _means(rows),
    }
    return WriteUp(figures, tuple(rows[:_SHOWN]))


def _written(loaded: LoadedBase, batch: Sequence[Asked], rate: Rate) -> list[dict[str, Any]]:
    model, tokenizer, stops = loaded.model, loaded.tokenizer, loaded.stop_ids()
    size = max(len(asked.prompt) for asked in batch)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    ids = torch.tensor([[pad] * (size - len(asked.prompt)) + list(asked.prompt) for asked in batch])
    seen = torch.tensor([[0] * (size - len(asked.prompt)) + [1] * len(asked.prompt) for asked in batch])
    made = model.generate(  # type: ignore[operator]
        input_ids=ids.to(model.device),
        attention_mask=seen.to(model.device),
        do_sample=False,
        max_new_tokens=_TOKENS,
        eos_token_id=sorted(stops),
        pad_token_id=pad,
    )
    rows = []
    for asked, answer in zip(batch, made[:, size:].tolist(), strict=True):
        end = next((at for at, token in enumerate(answer) if token in stops), None)
        impression = extract(tokenizer.decode(answer[:end]))
        rows.append(
            {
                "id": asked.report.id,
                "modality": asked.report.modality.value,
                "reference": asked.report.impression,
                "impression": impression,
                "finished": end is not None,
                "tokens": len(answer) if end is None else end + 1,
                "scores": {name: round(value, 4) for name, value in rate(impression, asked.report.impression).items()},
            }
        )
    return rows


def _means(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    shelves: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    for row in rows:
        for name in (ALL, row["modality"]):
            shelves[name].append(row["scores"])
    return {
        name: {
            "reports": len(shelf),
            **{score: round(fmean(one[score] for one in shelf), 4) for score in shelf[0]},
        }
        for name, shelf in shelves.items()
    }

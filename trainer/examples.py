"""Turns reports into token ids with labels on the impression only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from radimpress.reports.prompt import FINDINGS_MAX, clean, render
from radimpress.reports.report import Report
from radimpress.trainer.load import LoadedBase

IGNORED = -100


@dataclass(frozen=True, slots=True)
class Examples:
    """Encoded reports.

    Attributes:
        rows: {"input_ids", "labels"}, lists of ints of one length a row; labels are -100 on the
            prompt. The last label is the end-of-turn token, so that stopping is learnt.
        too_long: ids of the reports longer than the limit; they are left out, never cut.
    """

    rows: tuple[dict[str, list[int]], ...]
    too_long: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """Tokens in all rows, prompts included."""
        return sum(len(row["input_ids"]) for row in self.rows)


def encode(reports: Iterable[Report], loaded: LoadedBase, max_tokens: int) -> Examples:
    """Encodes each report as prompt, impression and end of turn."""
    rows, too_long = [], []
    for report in reports:
        if len(report.findings) > FINDINGS_MAX:
            too_long.append(report.id)
            continue
        prompt = loaded.prompt_ids(render(report))
        answer = loaded.tokenizer(clean(report.impression) + loaded.base.end, add_special_tokens=False)["input_ids"]
        if len(prompt) + len(answer) > max_tokens:
            too_long.append(report.id)
            continue
        rows.append({"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer})
    return Examples(tuple(rows), tuple(too_long))


def collate(rows: Sequence[dict[str, list[int]]], pad: int) -> dict[str, torch.Tensor]:
    """Pads rows on the left to one length; each value is a tensor of shape (rows, tokens).

    On the left, so that the impressions end together and only the last logits are needed.
    """
    width = max(len(row["input_ids"]) for row in rows)

    def padded(key: str, fill: int) -> torch.Tensor:
        return torch.tensor([[fill] * (width - len(row[key])) + row[key] for row in rows])

    mask = torch.tensor([[0] * (width - len(row["labels"])) + [1] * len(row["labels"]) for row in rows])
    return {
        "input_ids": padded("input_ids", pad),
        "labels": padded("labels", IGNORED),
        "attention_mask": mask,
        "position_ids": (mask.cumsum(-1) - 1).clamp(min=0),
    }


def impression_loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross entropy, in nats a token, over the impression's tokens of a left-padded batch."""
    labels = batch["labels"]
    first = int((labels != IGNORED).any(dim=0).nonzero()[0])
    kept = labels.shape[1] - first
    # One more logit than labels: the last prompt token predicts the impression's first.
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    logits = model(**inputs, use_cache=False, logits_to_keep=kept + 1).logits[:, :-1]
    return torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), labels[:, first:].flatten(), ignore_index=IGNORED
    )

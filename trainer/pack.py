"""Packs several reports into one row, each blind to the others.

What all of them begin with, the chat template's head and the system's turn, is the same tokens at the same positions
and stands in the row once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from radimpress.trainer.examples import IGNORED, Example

Row = tuple[Example, ...]


def pack(examples: Sequence[Example], max_tokens: int) -> list[Row]:
    """Fills rows of at most `max_tokens` tokens: the longest first, each where it leaves the least room.

    (Best fit decreasing, Johnson 1974: at most 11/9 of the fewest rows possible, and one.)
    """
    rows: list[list[Example]] = []
    room: list[int] = []
    for example in sorted(examples, key=lambda one: -len(one.input_ids)):
        size = len(example.input_ids)
        fitting = [at for at, left in enumerate(room) if left >= size]
        if fitting:
            best = min(fitting, key=room.__getitem__)
        else:
            best = len(rows)
            rows.append([])
            room.append(max_tokens)
        rows[best].append(example)
        room[best] -= size
    return [tuple(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Pass:
    """What goes through the model at once: one row without padding.

    Attributes:
        input_ids: of shape (1, tokens).
        positions: of shape (1, tokens); each report's begin where the shared head ends.
        targets: of shape (1, tokens); the token that comes next where it is learnt, -100 elsewhere.
        lengths: of each report, without the shared head.
        shared: tokens of the head that all reports share.
    """

    input_ids: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    lengths: tuple[int, ...]
    shared: int


def collate(rows: Sequence[Row], device: torch.device | str = "cpu") -> Pass:
    """The reports of some rows, one after the other."""
    examples = [example for row in rows for example in row]
    shared = _shared(examples)
    ids = list(examples[0].input_ids[:shared])
    positions, targets = list(range(shared)), [IGNORED] * shared
    for example in examples:
        ids += example.input_ids[shared:]
        positions += range(shared, len(example.input_ids))
        # The last position of an example predicts nothing: what follows is another report.
        targets += (*example.labels[shared + 1 :], IGNORED)
    ids_, positions_, targets_ = (torch.tensor([values], device=device) for values in (ids, positions, targets))
    return Pass(ids_, positions_, targets_, tuple(len(example.input_ids) - shared for example in examples), shared)


def _shared(examples: Sequence[Example]) -> int:
    """How many tokens all examples begin with; none where there is one example, and never a learnt one.

    The last token of a prompt predicts the first of an impression, so it is an example's own.
    """
    if len(examples) == 1:
        return 0
    heads = [example.input_ids[: example.prompt - 1] for example in examples]
    # Whatever stands between the least and the greatest begins as both do.
    least, greatest = min(heads), max(heads)
    return next((at for at, token in enumerate(least) if token != greatest[at]), len(least))


def impression_loss(model: Any, batch: Pass) -> tuple[torch.Tensor, int]:
    """Sum of the cross entropy, in nats, over the impressions' tokens of a pass, and how many those are.

    Only positions that predict an impression's token go through the head: it is the largest matrix of a small
    model, and most positions are prompt.

    Args:
        model: a causal language model of transformers, adapters and all, after `use_attention`.
        batch: as `collate` gives it, on the model's device.
    """
    learnt = batch.targets != IGNORED
    decoder, head = model.base_model, model.get_output_embeddings()
    told = {"lengths": batch.lengths, "shared": batch.shared}
    inputs = {"input_ids": batch.input_ids, "position_ids": batch.positions, "attention_mask": None}
    hidden = decoder(**inputs, use_cache=False, **told).last_hidden_state
    logits = head(hidden[learnt]).float()
    loss = torch.nn.functional.cross_entropy(logits, batch.targets[learnt], reduction="sum")
    return loss, int(learnt.sum())

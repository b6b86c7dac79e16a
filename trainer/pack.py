"""Packs several reports into one row, each blind to the others.

The library's own way (transformers' `find_packed_sequence_indices`): without an attention mask, positions that
begin again begin another sequence. Eager and sdpa attention then get a block-diagonal causal mask.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def collate(rows: Sequence[Row], pad: int) -> dict[str, torch.Tensor]:
    """Rows as tensors of shape (rows, tokens), padded on the right: `input_ids`, `position_ids`, and `targets`.

    `targets` holds at each position the token that comes next where it is learnt, and -100 elsewhere. Padding
    has positions of its own, so that it is one more sequence that nothing else sees.
    """
    width = max(sum(len(example.input_ids) for example in row) for row in rows)
    ids, positions, targets = [], [], []
    for row in rows:
        spare = width - sum(len(example.input_ids) for example in row)
        ids.append([token for example in row for token in example.input_ids] + [pad] * spare)
        positions.append([at for example in row for at in range(len(example.input_ids))] + list(range(spare)))
        # The last position of an example predicts nothing: what follows is another report.
        targets.append([label for example in row for label in (*example.labels[1:], IGNORED)] + [IGNORED] * spare)
    return {
        "input_ids": torch.tensor(ids),
        "position_ids": torch.tensor(positions),
        "targets": torch.tensor(targets),
    }


def impression_loss(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, int]:
    """Sum of the cross entropy, in nats, over the impressions' tokens of a batch, and how many those are.

    Only positions that predict an impression's token go through the head: it is the largest matrix of a small
    model, and most positions are prompt.

    Args:
        model: a causal language model of transformers, adapters and all.
        batch: as `collate` gives it, on the model's device.
    """
    learnt = batch["targets"] != IGNORED
    decoder, head = model.base_model, model.get_output_embeddings()
    inputs = {"input_ids": batch["input_ids"], "position_ids": batch["position_ids"]}
    hidden = decoder(**inputs, attention_mask=None, use_cache=False).last_hidden_state
    logits = head(hidden[learnt]).float()
    loss = torch.nn.functional.cross_entropy(logits, batch["targets"][learnt], reduction="sum")
    return loss, int(learnt.sum())

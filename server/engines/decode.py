"""Greedy decoding of one batch on a transformers model, one step at a time."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache


@dataclass(slots=True)
class Row:
    """One prompt in the batch.

    Attributes:
        prompt: its token ids.
        max_tokens: to write at most.
        written: token ids so far, without the stop token.
        finish: "stop" or "length" once it is done.
        dropped: set by the caller to leave the batch at the next step.
    """

    prompt: list[int]
    max_tokens: int
    written: list[int]
    finish: str = ""
    dropped: bool = False


@torch.inference_mode()
def decode(model: Any, rows: Sequence[Row], stop: frozenset[int], pad: int) -> Generator[None, None, None]:
    """Yields after each step; each row has one more token or is done. Done rows leave the batch.

    Rows are padded on the left; positions count from each row's own first token.
    """
    active = list(rows)
    width = max(len(row.prompt) for row in active)
    device = model.device
    ids = torch.tensor([[pad] * (width - len(row.prompt)) + row.prompt for row in active], device=device)
    mask = torch.tensor([[0] * (width - len(r.prompt)) + [1] * len(r.prompt) for r in active], device=device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache()
    while active:
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        tokens = logits.argmax(-1).tolist()
        for row, token in zip(active, tokens, strict=True):
            if token in stop:
                row.finish = "stop"
            else:
                row.written.append(token)
                if len(row.written) >= row.max_tokens:
                    row.finish = "length"
        yield
        stays = [at for at, row in enumerate(active) if not row.finish and not row.dropped]
        if not stays:
            return
        if len(stays) < len(active):
            kept = torch.tensor(stays, device=device)
            cache.batch_select_indices(kept)
            mask, positions = mask[kept], positions[kept]
            active = [active[at] for at in stays]
        ids = torch.tensor([[row.written[-1]] for row in active], device=device)
        mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)
        positions = positions[:, -1:] + 1

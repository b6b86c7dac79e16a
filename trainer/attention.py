"""Attention in which each report of a row sees itself and what all reports begin with, and nothing else.

It is given to transformers by name (`AttentionInterface`). No mask of a whole row is made: the work grows with the
sum of the squares of the reports' lengths, not with the square of the row's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from radimpress.reports.errors import ConfigError

NAME = "radimpress_reports"


def use_attention(model: Any) -> None:
    """Makes a model of transformers attend report by report from now on."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
    model.set_attn_implementation(NAME)


@contextmanager
def usual_attention(model: Any) -> Iterator[None]:
    """A model that writes: it attends as transformers has it and drops nothing, and afterwards all is as before."""
    before, training = model.config._attn_implementation, model.training
    model.set_attn_implementation("sdpa")
    model.eval()
    try:
        yield
    finally:
        model.train(training)
        model.set_attn_implementation(before)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    lengths: tuple[int, ...],
    shared: int,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention over one row, as transformers calls it.

    Args:
        module: the layer.
        query: of shape (1, heads, tokens, head size); `key` and `value` may have fewer heads.
        key: see `query`.
        value: see `query`.
        attention_mask: None; what is seen is told by the two that follow.
        lengths: of each report, without what it shares.
        shared: how many tokens at the row's head stand before each report.
        scaling: of the scores.
        dropout: of the scores, in training.
        sliding_window: how far the model looks back.

    Raises:
        ConfigError: a report is longer than the model looks back.
    """
    del module, attention_mask
    if sliding_window is not None and shared + max(lengths) > sliding_window:
        raise ConfigError(f"max_tokens: a report has {shared + max(lengths)} tokens, the model sees {sliding_window}")
    grouped = query.shape[1] != key.shape[1]

    def attended(asks: Any, keys: Any, values: Any, mask: torch.Tensor | None) -> torch.Tensor:
        return scaled_dot_product_attention(
            asks, keys, values, mask, dropout, is_causal=mask is None, scale=scaling, enable_gqa=grouped
        )

    head, *own = zip(
        *(tensor.tensor_split(_ends(shared, lengths), dim=2) for tensor in (query, key, value)), strict=True
    )
    seen = [attended(head[0], head[1], head[2], None)] if shared else []
    for asks, keys, values in own:
        if not shared:
            seen.append(attended(asks, keys, values, None))
            continue
        size = asks.shape[2]
        mask = torch.ones(size, shared + size, dtype=torch.bool, device=asks.device).tril(shared)
        seen.append(attended(asks, torch.cat((head[1], keys), dim=2), torch.cat((head[2], values), dim=2), mask))
    return torch.cat(seen, dim=2).transpose(1, 2).contiguous(), None


def _ends(shared: int, lengths: tuple[int, ...]) -> list[int]:
    """Where each part of a row but the last ends."""
    return list(accumulate(lengths[:-1], initial=shared))

"""The training loop: a function of settings, seed and data alone, and of the checkpoint that it goes on from.

A loop of our own, where transformers' Trainer would do more: a checkpoint here is one file that is written whole,
the place in the data is the step's number, and the loss of a step weighs every impression token alike.
One device: the first CUDA device, or the CPU.
"""

from __future__ import annotations

import json
import math
import random
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import get_cosine_schedule_with_warmup

from radimpress.reports.errors import ConfigError
from radimpress.reports.files import write_rows
from radimpress.reports.progress import Track
from radimpress.trainer.attention import use_attention
from radimpress.trainer.checkpoint import load_checkpoint, save_checkpoint
from radimpress.trainer.pack import Row, collate, impression_loss
from radimpress.trainer.settings import FitSettings

RECORD = "record.jsonl"
_CLIP = 1.0


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run of the loop says of itself.

    Attributes:
        history: {"step", "loss"} a step, between {"step", "validation"} at its ends; nats a token.
        seconds: spent, over all the times that it was broken off.
        steps: made.
        planned: steps that were to be made; more than `steps` where the budget ended it.
    """

    history: list[dict[str, float]]
    seconds: float
    steps: int
    planned: int


def schedule(rows: Sequence[Row], settings: FitSettings) -> list[list[list[Row]]]:
    """Every step's forward passes, each of `batch` rows; an epoch's order is drawn from the seed."""
    wanted = math.ceil(len(rows) * settings.epochs)
    order: list[Row] = []
    while len(order) < wanted:
        epoch = list(rows)
        random.Random(f"{settings.seed}/{len(order)}").shuffle(epoch)
        order += epoch
    passes = [order[at : at + settings.batch] for at in range(0, wanted, settings.batch)]
    passes[-1] = passes[-1][: wanted - (len(passes) - 1) * settings.batch]
    return [passes[at : at + settings.accumulation] for at in range(0, len(passes), settings.accumulation)]


def run_loop(
    model: Any,
    learn: Sequence[Row],
    check: Sequence[Row],
    *,
    settings: FitSettings,
    folder: Path,
    budget_usd: float,
    name: str,
    track: Track,
) -> Trained:
    """Trains what is trainable in `model`, in place; goes on from the checkpoint in `folder` where there is one.

    Args:
        model: a causal language model of transformers with adapters in it.
        learn: the rows to learn from.
        check: the rows of validation.
        settings: of the fit.
        folder: of the checkpoint and of the run record, record.jsonl.
        budget_usd: what may be spent on this adapter; 0 is no limit. One step is made in any case.
        name: the adapter's.
        track: shows the steps.

    Raises:
        ConfigError: the loss or the gradient was not finite, or no checkpoint can be written.
    """
    use_attention(model)
    weights = {key: value for key, value in model.named_parameters() if value.requires_grad}
    optimizer = torch.optim.AdamW(weights.values(), lr=settings.learning_rate, weight_decay=0.0)
    steps = schedule(learn, settings)
    rates = get_cosine_schedule_with_warmup(optimizer, int(settings.warmup * len(steps)), len(steps))
    began = time.monotonic()
    state = load_checkpoint(folder)
    if state is None:
        before = _validate(model, check, settings, name)
        state = {
            "step": 0,
            "seconds": 0.0,
            "history": [{"step": 0, "validation": before}],
            "record": [],
            "longest": 0.0,
        }
        state["validating"] = time.monotonic() - began
    else:
        _restore(state, weights, optimizer, rates)
    history, record, done = state["history"], state["record"], state["step"]
    spent_before, longest = state["seconds"], state["longest"]
    write_rows(folder / RECORD, record)
    dollars = settings.price_per_hour / 3600
    model.train()
    with (folder / RECORD).open("a", encoding="utf-8") as lines:
        for at in track(range(done, len(steps)), f"fit {name}", len(steps) - done):
            started = time.monotonic()
            spent = spent_before + started - began
            if budget_usd and at and (spent + longest + state["validating"]) * dollars > budget_usd:
                break
            loss, norm = _step(model, steps[at], list(weights.values()), name, settings)
            rate = optimizer.param_groups[0]["lr"]
            optimizer.step()
            rates.step()
            optimizer.zero_grad(set_to_none=True)
            done, took = at + 1, time.monotonic() - started
            longest = max(longest, took)
            history.append({"step": done, "loss": round(loss, 4)})
            tokens = sum(len(one.input_ids) for rows in steps[at] for row in rows for one in row)
            record.append(
                {
                    "step": done,
                    "loss": loss,
                    "learning_rate": rate,
                    "gradient_norm": norm,
                    "tokens_per_second": tokens / took,
                    "memory_bytes": _memory(),
                    "seconds": spent + took,
                }
            )
            lines.write(json.dumps(record[-1]) + "\n")
            lines.flush()
            if done % settings.checkpoint_steps == 0 and done < len(steps):
                state |= {"step": done, "seconds": spent + took, "longest": longest}
                save_checkpoint(folder, state | _snapshot(weights, optimizer, rates))
        if done < len(steps):
            # A larger budget goes on from here.
            state |= {"step": done, "seconds": spent_before + time.monotonic() - began, "longest": longest}
            save_checkpoint(folder, state | _snapshot(weights, optimizer, rates))
        after = _validate(model, check, settings, name)
        lines.write(json.dumps({"step": done, "validation": after}) + "\n")
    ends = [*history, {"step": done, "validation": after}]
    return Trained(ends, spent_before + time.monotonic() - began, done, len(steps))


def _step(
    model: Any, passes: Sequence[Sequence[Row]], weights: list[Any], name: str, settings: FitSettings
) -> tuple[float, float]:
    """One step's gradients: mean loss over all its impression tokens, and their norm before clipping."""
    count = sum(len(one.input_ids) - one.prompt for rows in passes for row in rows for one in row)
    total = 0.0
    for rows in passes:
        loss, _ = impression_loss(model, collate(rows, model.device))
        value = float(loss.detach())
        _finite(value, name, "the loss", rows, settings)
        torch.autograd.backward(loss / count)
        total += value
    norm = float(torch.nn.utils.clip_grad_norm_(weights, _CLIP))
    _finite(norm, name, "the gradient", [row for rows in passes for row in rows], settings)
    return total / count, norm


def _validate(model: Any, check: Sequence[Row], settings: FitSettings, name: str) -> float:
    """Mean loss over the impression tokens of the validation rows, to four places."""
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for at in range(0, len(check), settings.batch):
            rows = check[at : at + settings.batch]
            loss, tokens = impression_loss(model, collate(rows, model.device))
            _finite(float(loss), name, "the validation loss", rows, settings)
            total, count = total + float(loss), count + tokens
    return round(total / count, 4)


def _finite(value: float, name: str, what: str, rows: Sequence[Row], settings: FitSettings) -> None:
    if not math.isfinite(value):
        ids = ", ".join(example.id for row in rows for example in row)
        raise ConfigError(
            f"fit {name}: {what} was not finite; lower learning_rate ({settings.learning_rate}), "
            f"or look at these reports: {ids}"
        )


def _memory() -> int:
    """Bytes at the peak so far: of the device, or of the process where there is none."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _snapshot(weights: dict[str, Any], optimizer: Any, rates: Any) -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "weights": {key: value.detach().cpu() for key, value in weights.items()},
        "optimizer": optimizer.state_dict(),
        "rates": rates.state_dict(),
        "random": [torch.get_rng_state(), *cuda],
    }


def _restore(state: dict[str, Any], weights: dict[str, Any], optimizer: Any, rates: Any) -> None:
    with torch.no_grad():
        for key, value in weights.items():
            value.copy_(state["weights"][key])
    optimizer.load_state_dict(state["optimizer"])
    rates.load_state_dict(state["rates"])
    cpu, *cuda = state["random"]
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)

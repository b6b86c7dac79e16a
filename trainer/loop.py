"""The training loop: a function of settings, seed and data alone, and of the checkpoint that it goes on from.

A loop of our own, where transformers' Trainer would do more: a checkpoint here is one file that is written whole,
the place in the data is the step's number, and the loss of a step weighs every impression token alike.
"""

from __future__ import annotations

import json
import math
import os
import random
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import get_cosine_schedule_with_warmup

from radimpress.reports.errors import ConfigError
from radimpress.reports.files import write_rows
from radimpress.reports.progress import Track, silent
from radimpress.trainer.attention import use_attention
from radimpress.trainer.checkpoint import load_checkpoint, save_checkpoint
from radimpress.trainer.pack import Row, collate, impression_loss
from radimpress.trainer.record import RECORD
from radimpress.trainer.settings import FitSettings
from radimpress.trainer.spent import SPENT, Spent, Sum
from radimpress.trainer.together import Team

BUDGET, EARLY = "budget", "early"
_CLIP = 1.0


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run of the loop says of itself.

    Attributes:
        history: {"step", "loss"} a step, {"step", "validation"} at the ends and between; nats a token.
        spent: over all the times that it was broken off, what was lost with them too.
        written: the figures of what was written for validation at the end; None where nothing was.
        steps: made.
        planned: steps that were to be made.
        stopped: why fewer were made, "budget" or "early"; None where all were.
    """

    history: list[dict[str, float]]
    spent: Sum
    written: dict[str, Any] | None
    steps: int
    planned: int
    stopped: str | None


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
    team: Team,
    write: Callable[[float], dict[str, Any] | None] = lambda _: None,
) -> Trained:
    """Trains what is trainable in `model`, in place; goes on from the checkpoint in `folder` where there is one.

    Args:
        model: a causal language model of transformers with adapters in it.
        learn: the rows to learn from.
        check: the rows of validation.
        settings: of the fit.
        folder: of the checkpoint, of the run record, record.jsonl, and of what was spent, spent.jsonl.
        budget_usd: what may be spent on this adapter; 0 is no limit. One step that learns is made in any case.
        name: the adapter's.
        track: shows the steps.
        team: the processes that share the work.
        write: writes impressions for validation in so many seconds at most, and gives the figures of what came of it.

    Raises:
        ConfigError: the loss or the gradient was not finite, no checkpoint can be written, or it is of another
            number of processes.
    """
    use_attention(model)
    weights = {key: value for key, value in model.named_parameters() if value.requires_grad}
    optimizer = torch.optim.AdamW(_groups(weights, settings), weight_decay=0.0)
    steps = schedule(learn, settings)
    warming = int(settings.warmup * len(steps))
    rates = get_cosine_schedule_with_warmup(optimizer, warming, len(steps))
    # A warm-up begins at a rate of 0: with its first step alone an adapter does nothing, and nobody takes it.
    least = 2 if warming else 1
    spent = Spent(folder / SPENT if team.first else Path(os.devnull), settings.price_per_hour)
    state = load_checkpoint(folder)
    if state is None:
        began = time.monotonic()
        before = _validate(model, check, settings, name, team)
        state = {"step": 0, "history": [{"step": 0, "validation": before}], "record": []}
        state |= {"longest": 0.0, "validating": time.monotonic() - began, "best": None, "worse": 0}
    else:
        _restore(state, weights, optimizer, rates, team)
    history, record, done = state["history"], state["record"], state["step"]
    if team.first:
        write_rows(folder / RECORD, record)
    stopped, after, written = None, None, None
    model.train()
    with (folder / RECORD if team.first else Path(os.devnull)).open("a", encoding="utf-8") as lines:

        def note(row: dict[str, Any]) -> None:
            record.append(row)
            lines.write(json.dumps(row) + "\n")
            lines.flush()
            spent.note()

        def due(every: int, step: int) -> bool:
            return bool(every) and step % every == 0 and step < len(steps)

        for at in (track if team.first else silent)(range(done, len(steps)), f"fit {name}", len(steps) - done):
            started = time.monotonic()
            # The validation at the end is to be paid too, and one that follows the step.
            validations = 1 + due(settings.validation_steps, at + 1)
            needed = state["longest"] + validations * state["validating"]
            if at >= least and team.told(needed > spent.left(budget_usd)):
                stopped = BUDGET
                break
            loss, norm = _step(model, steps[at], list(weights.values()), name, settings, team)
            rate = optimizer.param_groups[0]["lr"]
            optimizer.step()
            rates.step()
            optimizer.zero_grad(set_to_none=True)
            done, took = at + 1, time.monotonic() - started
            state["longest"] = max(state["longest"], took)
            history.append({"step": done, "loss": round(loss, 4)})
            tokens = sum(len(one.input_ids) for rows in steps[at] for row in rows for one in row)
            note(
                {
                    "step": done,
                    "loss": loss,
                    "learning_rate": rate,
                    "gradient_norm": norm,
                    "tokens_per_second": tokens / took,
                    "step_seconds": took,
                    "memory_bytes": _memory(),
                    "seconds": spent.now.seconds,
                }
            )
            if due(settings.validation_steps, done):
                found = {"step": done, "validation": _validate(model, check, settings, name, team)}
                history.append(found)
                note(found)
                _judge(state, found, weights)
                if settings.patience and state["worse"] >= settings.patience:
                    stopped = EARLY
                    break
            if due(settings.written_steps, done):
                between = write(spent.left(budget_usd) - state["validating"])
                if between is not None:
                    note({"step": done, "written": between})
            if due(settings.checkpoint_steps, done):
                state["step"] = done
                _save(folder, state, weights, optimizer, rates, team)
        if stopped == BUDGET:
            # A larger budget goes on from here.
            state["step"] = done
            _save(folder, state, weights, optimizer, rates, team)
        best = state["best"]
        if stopped != EARLY:
            after = _validate(model, check, settings, name, team)
        if best is not None and settings.patience and (after is None or best["validation"] < after):
            _put(best["weights"], weights)
            after = best["validation"]
        assert after is not None
        if stopped != BUDGET:
            written = write(spent.left(budget_usd))
        if written is not None:
            note({"step": done, "written": written})
        note({"step": done, "validation": after})
    ends = [*history, {"step": done, "validation": after}]
    return Trained(ends, spent.now, written, done, len(steps), stopped)


def _groups(weights: dict[str, Any], settings: FitSettings) -> list[dict[str, Any]]:
    """LoRA+ (Hayou et al. 2024): the second matrix of each pair learns `lora_plus` times as fast as the first."""
    second = [value for key, value in weights.items() if "lora_B" in key]
    rest = [value for key, value in weights.items() if "lora_B" not in key]
    rate = settings.learning_rate
    return [{"params": rest, "lr": rate}, {"params": second, "lr": rate * settings.lora_plus}]


def _judge(state: dict[str, Any], found: dict[str, float], weights: dict[str, Any]) -> None:
    """Keeps the weights of the best validation so far, and counts those since that were no better."""
    best = state["best"]
    if best is None or found["validation"] < best["validation"]:
        state |= {"best": {**found, "weights": _copies(weights)}, "worse": 0}
    else:
        state["worse"] += 1


def _step(
    model: Any, passes: Sequence[Sequence[Row]], weights: list[Any], name: str, settings: FitSettings, team: Team
) -> tuple[float, float]:
    """One step's gradients: mean loss over all its impression tokens, and their norm before clipping."""
    count = sum(len(one.input_ids) - one.prompt for rows in passes for row in rows for one in row)
    total, ill = 0.0, None
    for rows in team.share(passes):
        loss, _ = impression_loss(model, collate(rows, model.device))
        value = float(loss.detach())
        if not math.isfinite(value):
            ill = rows
            break
        torch.autograd.backward(loss / count)
        total += value
    total = _added(total, ill, name, "the loss", settings, team)
    team.add_gradients(weights)
    norm = float(torch.nn.utils.clip_grad_norm_(weights, _CLIP))
    if not math.isfinite(norm):
        raise _not_finite(name, "the gradient", [row for rows in passes for row in rows], settings)
    return total / count, norm


def _validate(model: Any, check: Sequence[Row], settings: FitSettings, name: str, team: Team) -> float:
    """Mean loss over the impression tokens of the validation rows, to four places."""
    training = model.training
    model.eval()
    total, ill = 0.0, None
    with torch.no_grad():
        for rows in team.share([check[at : at + settings.batch] for at in range(0, len(check), settings.batch)]):
            loss, _ = impression_loss(model, collate(rows, model.device))
            if not math.isfinite(float(loss)):
                ill = rows
                break
            total += float(loss)
    model.train(training)
    count = sum(len(one.input_ids) - one.prompt for row in check for one in row)
    return round(_added(total, ill, name, "the validation loss", settings, team) / count, 4)


def _added(total: float, ill: Sequence[Row] | None, name: str, what: str, settings: FitSettings, team: Team) -> float:
    """The sum of everybody's total.

    Raises:
        ConfigError: somebody met a loss that is not finite, in the rows `ill`.
    """
    found = team.gather((total, ill))
    for _, rows in found:
        if rows is not None:
            raise _not_finite(name, what, rows, settings)
    return sum(value for value, _ in found)


def _not_finite(name: str, what: str, rows: Sequence[Row], settings: FitSettings) -> ConfigError:
    ids = ", ".join(example.id for row in rows for example in row)
    return ConfigError(
        f"fit {name}: {what} was not finite; lower learning_rate ({settings.learning_rate}), "
        f"or look at these reports: {ids}"
    )


def _memory() -> int:
    """Bytes at the peak so far: of the device, or of the process where there is none."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _save(folder: Path, state: dict[str, Any], weights: dict[str, Any], optimizer: Any, rates: Any, team: Team) -> None:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    everybodys = team.gather([torch.get_rng_state(), *cuda])
    if team.first:
        now = {"weights": _copies(weights), "optimizer": optimizer.state_dict(), "rates": rates.state_dict()}
        save_checkpoint(folder, state | now | {"random": everybodys})


def _restore(state: dict[str, Any], weights: dict[str, Any], optimizer: Any, rates: Any, team: Team) -> None:
    if len(state["random"]) != team.size:
        raise ConfigError(f"{len(state['random'])} processes began this fit, and {team.size} cannot go on with it")
    _put(state["weights"], weights)
    optimizer.load_state_dict(state["optimizer"])
    rates.load_state_dict(state["rates"])
    cpu, *cuda = state["random"][team.rank]
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)


def _copies(weights: dict[str, Any]) -> dict[str, Any]:
    return {key: value.detach().to("cpu", copy=True) for key, value in weights.items()}


def _put(values: dict[str, Any], weights: dict[str, Any]) -> None:
    with torch.no_grad():
        for key, value in weights.items():
            value.copy_(values[key])

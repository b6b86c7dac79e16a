"""What a fit will take, before anything runs: steps and tokens are counted, seconds and dollars follow from a speed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from radimpress.reports.errors import InputError
from radimpress.reports.report import Report
from radimpress.trainer.examples import encode
from radimpress.trainer.load import BaseTokens
from radimpress.trainer.loop import schedule
from radimpress.trainer.pack import Row, pack
from radimpress.trainer.plan import PlannedAdapter
from radimpress.trainer.settings import FitSettings

# With the base model frozen, going forward takes as many products as going back.
_FORWARD = 0.5


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one adapter's fit will take.

    Attributes:
        adapter: its name.
        cluster: whose reports; None is everybody's.
        start_from: the adapter whose weights it starts from.
        reports: that it learns from, by modality, the most frequent first.
        cut: reports whose findings lose sentences.
        too_long: reports that are left out.
        tokens: to learn from in all epochs, prompts included.
        rows: that the reports are packed into.
        steps: of the optimiser.
        seconds: with validations; None where no speed is known.
        cost_usd: None where no speed or no price is known.
    """

    adapter: str
    cluster: str | None
    start_from: str | None
    reports: Mapping[str, int]
    cut: int
    too_long: int
    tokens: int
    rows: int
    steps: int
    seconds: float | None
    cost_usd: float | None


def estimate(
    planned: PlannedAdapter,
    validation: Sequence[Report],
    reader: BaseTokens,
    settings: FitSettings,
    speed: float | None,
) -> Estimate:
    """Encodes and packs as the fit will, and counts.

    Args:
        planned: the adapter.
        validation: the reports that its fit is validated on.
        reader: the base model's tokenizer.
        settings: of the fit.
        speed: tokens learnt a second.

    Raises:
        InputError: no report is short enough to learn from.
    """
    learn = encode(planned.reports, reader, settings.max_tokens)
    check = encode(validation[: settings.validation_reports], reader, settings.max_tokens)
    if not learn.rows or not check.rows:
        raise InputError("max_tokens", f"{planned.name}: no report fits into {settings.max_tokens} tokens")
    rows = pack(learn.rows, settings.max_tokens)
    steps = schedule(rows, settings)
    tokens = sum(_tokens(row) for step in steps for passed in step for row in passed)
    validations = 2 + (max(0, len(steps) - 1) // settings.validation_steps if settings.validation_steps else 0)
    seconds = (tokens + _FORWARD * validations * check.tokens) / speed if speed else None
    priced = seconds is not None and settings.price_per_hour > 0
    left = set(learn.too_long)
    return Estimate(
        adapter=planned.name,
        cluster=planned.cluster,
        start_from=planned.start_from,
        reports=dict(Counter(r.modality.value for r in planned.reports if r.id not in left).most_common()),
        cut=len(learn.cut),
        too_long=len(learn.too_long),
        tokens=tokens,
        rows=len(rows),
        steps=len(steps),
        seconds=None if seconds is None else round(seconds, 1),
        cost_usd=round(seconds / 3600 * settings.price_per_hour, 4) if priced and seconds is not None else None,
    )


def _tokens(row: Row) -> int:
    return sum(len(example.input_ids) for example in row)

"""The page of runs: how fits went, side by side, and what they cost; one HTML file that opens offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from radimpress.clustering.figures import library, shown
from radimpress.reports.files import write_atomic
from radimpress.reports.markup import Html, digest, document, el, table
from radimpress.trainer.figures import costs, curves, written
from radimpress.trainer.ledger import cost, dollars, duration, score, total
from radimpress.trainer.record import ALL, OPEN, Run, counted

_SCORES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
_ENDED = {None: "whole", "budget": "by its budget", "early": "early", OPEN: "broken off, or runs still"}
_NONE = el("span", "-", class_="none")


def write_runs_page(path: Path, runs: Sequence[Run], price_per_hour: float | None = None) -> None:
    """Writes the page, atomically; it holds figures and no report's text."""
    sections: tuple[tuple[str, str, Iterable[Html]], ...] = (
        ("runs", "Runs", _runs(runs)),
        ("loss", "Loss", _loss(runs)),
        ("written", "What was written for validation", _written(runs)),
        ("steps", "Step by step", _steps(runs)),
        ("cost", "What it cost", _cost(runs, price_per_hour)),
    )
    page = document("radimpress: how fits went", library(), _headline(runs, price_per_hour), sections)
    write_atomic(path, page)


def _headline(runs: Sequence[Run], price_per_hour: float | None) -> Iterable[Html]:
    seconds, paid = total(runs, price_per_hour)
    yield el("h1", "How fits went")
    told = f"{len(runs)} run{'s' * (len(runs) != 1)} of {len({run.adapter for run in runs})} adapters"
    yield el("p", f"{told}, {duration(seconds)} of the machine.", class_="lead")
    if left := [run.adapter for run in runs if run.bundle is None]:
        what = f"{', '.join(left)}: the same command goes on with it."
        yield el("p", el("strong", "Broken off, or running still"), what, class_="notice", role="note")
    facts = {
        "Base models": ", ".join(sorted({run.bundle.base_name for run in runs if run.bundle})) or "-",
        "Runs": f"{len(runs)}",
        "Machine": duration(seconds),
        "Cost": dollars(paid) if paid else "no price known",
    }
    yield el("dl", *(el("div", el("dt", name), el("dd", fact)) for name, fact in facts.items()), class_="facts")


def _runs(runs: Sequence[Run]) -> Iterable[Html]:
    yield el("p", "The latest is the last. Validation is the loss before the first step and after the last.")
    head = ("adapter", "digest", "reports", "steps", "ended", "validation loss", "ROUGE-L", "tokens/s", "time")
    rows = []
    for run in runs:
        manifest = run.bundle.manifest if run.bundle else {}
        planned = manifest.get("steps", {}).get("planned")
        losses = [value for _, value in run.validations]
        rows.append(
            [
                run.adapter,
                el("td", digest(run.bundle.digest) if run.bundle else _NONE),
                _number(manifest.get("data", {}).get("reports")),
                f"{run.made:,}" + (f" of {planned:,}" if planned and planned != run.made else ""),
                _ENDED.get(run.stopped, run.stopped),
                f"{losses[0]:.3f} to {losses[-1]:.3f}" if len(losses) > 1 else _NONE,
                _mean(score(run, "rougeL")),
                _number(run.tokens_per_second),
                duration(run.spent.seconds),
            ]
        )
    yield table("Runs", head, rows)


def _loss(runs: Sequence[Run]) -> Iterable[Html]:
    yield el("p", "Cross-entropy of the impressions' tokens, in nats a token; a line is training, diamonds validation.")
    figure = curves(runs, "loss", "cross-entropy a token", validated=True)
    yield shown(figure, "figure-loss", "A click on a name hides its run; a double click hides all others.")


def _written(runs: Sequence[Run]) -> Iterable[Html]:
    having = [run for run in runs if run.written]
    if not having:
        yield el("p", "Nothing was written: validation_written was 0.")
        return
    yield el(
        "p",
        "Impressions that the adapter wrote for some validation reports, against the radiologists' own. They are few, "
        "and say whether a fit went well; what an adapter is worth is judged on held-out reports by the gate.",
    )
    yield shown(written(runs, "rougeL"), "figure-written", "Mean ROUGE-L by modality.")
    modalities = sorted({name for run in having if run.written for name in run.written["scores"]} - {ALL})
    rows = []
    for run in having:
        for name in (ALL, *modalities):
            own = run.written["scores"].get(name) if run.written else None
            if own:
                rows.append([run.label, name, own["reports"], *(_mean(own.get(one)) for one in _SCORES)])
    listed = table("Means, 0 to 1", ("run", "modality", "reports", *_SCORES.values()), rows)
    yield el("details", el("summary", "All figures"), listed)
    cut = sum(run.written["unfinished"] for run in having if run.written)
    if cut:
        yield el("p", f"{cut} impressions did not end within the tokens that they were given.", class_="small")


def _steps(runs: Sequence[Run]) -> Iterable[Html]:
    told = (
        ("learning_rate", "learning rate", 1.0, "Warmed up, then a cosine down to nothing."),
        ("gradient_norm", "norm", 1.0, "Of the gradient, before it is clipped at 1."),
        ("tokens_per_second", "tokens a second", 1.0, "Learnt, prompts included."),
        ("memory_bytes", "GiB", 1 / 2**30, "At the peak so far: of the device, or of the process where there is none."),
    )
    titles = ("Learning rate", "Gradient norm", "Speed", "Memory")
    for title, (name, unit, times, caption) in zip(titles, told, strict=True):
        yield el("h3", title)
        yield shown(curves(runs, name, unit, times=times), f"figure-{name.replace('_', '-')}", caption)


def _cost(runs: Sequence[Run], price_per_hour: float | None) -> Iterable[Html]:
    at = "at what each attempt cost" if price_per_hour is None else f"at {dollars(price_per_hour)} an hour"
    yield el(
        "p",
        f"Seconds of the machine, {at}; attempts that were killed are counted. A run that its budget ended is part of "
        "the one that went on with it, and added up once.",
    )
    seconds, paid = total(runs, price_per_hour)
    once = counted(runs)
    values = [cost(run, price_per_hour) if paid else run.spent.seconds / 60 for run in once]
    unit = "dollars" if paid else "minutes"
    yield shown(costs([run.label for run in once], values, unit), "figure-cost", f"In {unit}.")
    rows: list[list[object]] = []
    for run in runs:
        part = [] if run in once else [el("small", "in the run after it")]
        spent = dollars(cost(run, price_per_hour))
        attempts = run.spent.attempts or _NONE
        rows.append([run.label, attempts, duration(run.spent.seconds), el("td", spent, *part)])
    rows.append(["in all", "", duration(seconds), dollars(paid)])
    yield table("Ledger", ("run", "attempts", "time", "cost"), rows)


def _number(value: float | None) -> object:
    return _NONE if value is None else f"{value:,.0f}"


def _mean(value: float | None) -> object:
    return _NONE if value is None else f"{value:.3f}"

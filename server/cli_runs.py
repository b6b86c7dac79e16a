"""`radimpress train runs`: how fits went and what they cost, as a table, as JSON, or as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radimpress.reports.errors import NotFoundError
from radimpress.server.console import OUT, table, tell
from radimpress.server.options import AsJson
from radimpress.trainer.ledger import cost, dollars, duration, row, score, total
from radimpress.trainer.record import Run
from radimpress.trainer.record import runs as read_runs


def runs(
    bundles: Annotated[Path, typer.Argument(help="Folder of adapter bundles that `train fit` wrote.")] = Path(
        "bundles"
    ),
    page: Annotated[Path | None, typer.Option(help="Page to write, which compares the runs.")] = None,
    adapter: Annotated[list[str] | None, typer.Option(help="Only runs of this adapter; may be repeated.")] = None,
    price_per_hour: Annotated[
        float | None, typer.Option(min=0, help="Dollars an hour; without it what each fit was told.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How each fit went and what it cost, broken-off attempts too."""
    found = [run for run in read_runs(bundles) if not adapter or run.adapter in adapter]
    if not found:
        raise NotFoundError(f"{bundles}: no run is on record there{' of these adapters' if adapter else ''}")
    if page is not None:
        from radimpress.trainer.page import write_runs_page

        write_runs_page(page, found, price_per_hour)
    if as_json:
        for run in found:
            tell(row(run, price_per_hour))
        return
    columns = ("adapter", "digest", "steps", "ended", "time", "cost", "tokens/s", "loss", "validation", "ROUGE-L")
    table("runs, the latest last", columns, (_cells(run, price_per_hour) for run in found))
    seconds, paid = total(found, price_per_hour)
    OUT.print(f"In all {duration(seconds)}, {dollars(paid)}; a fit that went on after its budget counts once")
    if page is not None:
        OUT.print(f"{page}: {len(found)} runs", markup=False)


def _cells(run: Run, price_per_hour: float | None) -> tuple[object, ...]:
    speed, loss, rouge = run.tokens_per_second, run.last("loss"), score(run, "rougeL")
    ends = [value for _, value in run.validations]
    return (
        run.adapter,
        run.bundle.digest[:12] if run.bundle else "",
        run.made,
        run.stopped or "whole",
        duration(run.spent.seconds),
        dollars(cost(run, price_per_hour)),
        "" if speed is None else f"{speed:,.0f}",
        "" if loss is None else f"{loss:.3f}",
        " to ".join(f"{value:.3f}" for value in (ends[:1] + ends[-1:] if len(ends) > 1 else ends)),
        "" if rouge is None else f"{rouge:.3f}",
    )

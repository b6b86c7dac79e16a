"""`radimpress eval`: what adapters write for held-out reports, and what it is worth."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from radimpress.clustering.clusters import load_clusters
from radimpress.eval.metrics.neural import NeuralMetrics
from radimpress.server import steps
from radimpress.server.cli_checks import checks
from radimpress.server.cli_page import page
from radimpress.server.console import quiet_models, track
from radimpress.server.engines.opening import open_engine
from radimpress.server.engines.writer import EngineWriter
from radimpress.server.eval_tables import show
from radimpress.server.options import BundleFolder, ClustersFile, Dataset, RecipeFile
from radimpress.server.recipe import load_recipe
from radimpress.server.settings import load_settings

eval_app = typer.Typer(no_args_is_help=True, help="Ask for held-out impressions, score and check them.")
eval_app.command("checks")(checks)
eval_app.command("page")(page)


class Part(StrEnum):
    """The parts of a data set."""

    TEST = "test"
    VALIDATION = "validation"
    TRAIN = "train"


@eval_app.command("run")
def run(
    dataset: Dataset,
    clusters: ClustersFile = Path("clusters.json"),
    bundles: BundleFolder = Path("bundles"),
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("eval"),
    recipe: RecipeFile = None,
    adapter: Annotated[
        list[str] | None, typer.Option(help="Name or bundle folder; may be repeated. Without: all of the last train.")
    ] = None,
    split: Annotated[Part, typer.Option(help="Part to judge on; the gate refuses scores of train.")] = Part.TEST,
    per_modality: Annotated[int | None, typer.Option(min=1, help="Cases of each modality, drawn by --seed.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the sampling.")] = None,
    few_shot: Annotated[int | None, typer.Option(min=0, max=16, help="Worked examples for base; 0: none.")] = None,
    neural: Annotated[
        list[str] | None,
        typer.Option(help="radgraph, chexbert, green, ratescore or bertscore, by RadEval; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="summary.json instead of tables.")] = False,
) -> None:
    """Scores base, adapters and trivial baselines on held-out reports, slice by slice.

    A run that is broken off goes on where it stopped when it is started again.
    """
    settings = load_recipe(recipe)
    given = {"per_modality": per_modality, "seed": seed, "few_shot": few_shot, "cases": 0 if per_modality else None}
    changed = {key: value for key, value in given.items() if value is not None}
    settings = settings.model_copy(update={"eval": settings.eval.model_copy(update=changed)})
    parts, known = steps.load_split(dataset), load_clusters(clusters)
    chosen = steps.choose_adapters(bundles, adapter or ())
    metrics = NeuralMetrics(neural) if neural else None
    served = load_settings(base=settings.base)
    if served.engine == "inprocess":
        quiet_models()
    engine = open_engine(served, track)
    try:
        writer = EngineWriter(engine)
        done = steps.evaluate(parts, known, chosen, writer, out, settings, track, part=split.value, neural=metrics)
    finally:
        engine.close()
    if as_json:
        typer.echo(json.dumps(done.summary, indent=2, ensure_ascii=False))
    else:
        show(done.summary)

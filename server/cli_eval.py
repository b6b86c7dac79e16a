"""`radimpress eval`: what adapters write for held-out reports, and what it is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radimpress.clustering.clusters import load_clusters
from radimpress.server import steps
from radimpress.server.console import quiet_models, table, track
from radimpress.server.engines.writer import EngineWriter
from radimpress.server.options import BundleFolder, ClustersFile, Dataset, RecipeFile
from radimpress.server.recipe import load_recipe
from radimpress.server.serve import open_engine
from radimpress.server.settings import load_settings

eval_app = typer.Typer(no_args_is_help=True, help="Ask for held-out impressions, score and check them.")


@eval_app.command("run")
def run(
    dataset: Dataset,
    clusters: ClustersFile = Path("clusters.json"),
    bundles: BundleFolder = Path("bundles"),
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("eval"),
    recipe: RecipeFile = None,
) -> None:
    """Scores base, adapters and trivial baselines on held-out reports, slice by slice."""
    quiet_models()
    settings = load_recipe(recipe)
    engine = open_engine(load_settings(base=settings.base), track)
    try:
        parts, known = steps.load_split(dataset), load_clusters(clusters)
        done = steps.evaluate(parts, known, steps.load_trained(bundles), EngineWriter(engine), out, settings, track)
    finally:
        engine.close()
    rows = [(name, done.scores.mean(name, "rougeL")) for name in done.scores.systems]
    table(
        "ROUGE-L",
        ("system", "mean", "90% interval"),
        ((n, f"{m.mean:.3f}", f"{m.low:.3f} {m.high:.3f}") for n, m in rows if m),
    )

"""`radimpress train`: what adapters would take, fitting them, and how the fits went.

`radimpress train DATASET` is short for `radimpress train fit DATASET`; a folder that is called as one of these words
needs the `fit`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from radimpress.clustering.clusters import load_clusters
from radimpress.reports.errors import ConfigError
from radimpress.server import steps
from radimpress.server.cli_runs import runs
from radimpress.server.console import ERR, OUT, quiet_models, table, tell, track
from radimpress.server.options import AsJson, BundleFolder, ClustersFile, Dataset, RecipeFile, defaults_to
from radimpress.server.recipe import Recipe, load_recipe
from radimpress.server.settings import explain
from radimpress.trainer.ledger import dollars, duration
from radimpress.trainer.settings import FitSettings

train_app = typer.Typer(cls=defaults_to("fit"), no_args_is_help=True, help="What does an adapter learn?")

Budget = Annotated[float | None, typer.Option(help="Dollars that all adapters may cost; the recipe's without it.")]
Price = Annotated[float | None, typer.Option(help="Dollars an hour of this machine; the recipe's without it.")]
_CLUSTERS = Path("clusters.json")
_BUNDLES = Path("bundles")


@train_app.command("fit")
def fit(
    dataset: Dataset,
    clusters: ClustersFile = _CLUSTERS,
    bundles: BundleFolder = _BUNDLES,
    recipe: RecipeFile = None,
    budget_usd: Budget = None,
    price_per_hour: Price = None,
    as_json: AsJson = False,
) -> None:
    """Fits one unified adapter, one a cluster and, with modality_adapters, one a modality."""
    quiet_models()
    told = _recipe(recipe, budget_usd=budget_usd, price_per_hour=price_per_hour)
    planned, made = steps.train(steps.load_split(dataset), load_clusters(clusters), bundles, told, track)
    if os.environ.get("RANK", "0") != "0":
        # Of several processes the first tells what they did.
        return
    if as_json:
        for one in made:
            count = one.manifest["data"]["reports"]
            tell({"adapter": one.name, "reports": count, "path": str(one.path), "digest": one.digest})
    else:
        rows = ((b.name, b.manifest["data"]["reports"], b.path, dollars(b.manifest["cost_usd"])) for b in made)
        table("adapters", ("adapter", "reports", "path", "cost"), rows)
    if len(made) < len(planned.adapters) or made[-1].manifest["stopped"] == "budget":
        ERR.print("The budget is spent; the same command with a larger one goes on from here.")


@train_app.command("plan")
def plan(
    dataset: Dataset,
    clusters: ClustersFile = _CLUSTERS,
    bundles: BundleFolder = _BUNDLES,
    recipe: RecipeFile = None,
    tokens_per_second: Annotated[
        float | None, typer.Option(help="Of the machine; without it the recipe's, else the last run's.")
    ] = None,
    budget_usd: Budget = None,
    price_per_hour: Price = None,
    as_json: AsJson = False,
) -> None:
    """Says what `train` would fit, from which reports, and what that takes; nothing is fitted."""
    quiet_models()
    told = _recipe(recipe, tokens_per_second=tokens_per_second, budget_usd=budget_usd, price_per_hour=price_per_hour)
    planned, found, speed = steps.estimates(steps.load_split(dataset), load_clusters(clusters), bundles, told, track)
    if as_json:
        for one in found:
            tell(asdict(one))
        return
    columns = ("adapter", "starts from", "reports", "cut", "left out", "tokens", "rows", "steps", "time", "cost")
    rows = (
        (
            one.adapter,
            one.start_from or "afresh",
            f"{sum(one.reports.values())}: " + ", ".join(f"{name} {count}" for name, count in one.reports.items()),
            *(one.cut, one.too_long, f"{one.tokens:,}", one.rows, one.steps),
            *(duration(one.seconds), dollars(one.cost_usd)),
        )
        for one in found
    )
    table(f"adapters on {told.base}", columns, rows)
    for cluster in planned.left_out:
        OUT.print(f"cluster {cluster} gets no adapter of its own; the unified adapter stands for it", markup=False)
    for modality in planned.modalities_left_out:
        OUT.print(f"modality {modality} gets no adapter of its own; the unified adapter stands for it")
    if speed is None:
        OUT.print("No run is on record here: say --tokens-per-second to be told time and cost.")
        return
    whole = _sum(one.seconds for one in found)
    cost = _sum(one.cost_usd for one in found) if told.train.price_per_hour else None
    OUT.print(f"In all {duration(whole)} at {speed:.0f} tokens a second, {dollars(cost)}")
    if cost is not None and told.train.budget_usd and cost > told.train.budget_usd:
        OUT.print(f"That is beyond the budget of {dollars(told.train.budget_usd)}: the fit will end before.")


train_app.command("runs")(runs)


def _recipe(path: Path | None, **changed: float | None) -> Recipe:
    """The recipe with what options say in its place.

    Raises:
        ConfigError: an option's value is no such setting.
    """
    recipe = load_recipe(path)
    said = {name: value for name, value in changed.items() if value is not None}
    try:
        train = FitSettings(**{**recipe.train.model_dump(), **said})
    except ValidationError as error:
        raise ConfigError(explain(error)) from None
    return recipe.model_copy(update={"train": train})


def _sum(values: Iterable[float | None]) -> float:
    return sum(value or 0.0 for value in values)

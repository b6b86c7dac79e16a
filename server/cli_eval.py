"""`radimpress eval`: what adapters write for held-out reports, and what it is worth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from radimpress.clustering.clusters import load_clusters
from radimpress.eval.gate import Outcome
from radimpress.eval.metrics.neural import NeuralMetrics
from radimpress.server import steps
from radimpress.server.cli_checks import checks
from radimpress.server.cli_page import page
from radimpress.server.console import OUT, quiet_models, table, track
from radimpress.server.engines.opening import open_engine
from radimpress.server.engines.writer import EngineWriter
from radimpress.server.eval_tables import show
from radimpress.server.memorised import memorised
from radimpress.server.options import AsJson, BundleFolder, ClustersFile, Dataset, RecipeFile
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
    with _writer(settings.base) as writer:
        done = steps.evaluate(parts, known, chosen, writer, out, settings, track, part=split.value, neural=metrics)
    if as_json:
        typer.echo(json.dumps(done.summary, indent=2, ensure_ascii=False))
    else:
        show(done.summary)


@eval_app.command("memorisation")
def memorisation(
    adapter: Annotated[str, typer.Argument(help="Name that the last train gave, or bundle folder.")],
    dataset: Dataset,
    clusters: ClustersFile = Path("clusters.json"),
    bundles: BundleFolder = Path("bundles"),
    out: Annotated[Path, typer.Option(help="Certificate to write.")] = Path("memorisation.json"),
    recipe: RecipeFile = None,
    reports: Annotated[int, typer.Option(min=0, help="Learnt, and as many unseen, at most; 0 takes all.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the sampling.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Whether impressions that an adapter learnt can be had out of it; exits 0 no, 1 yes, 3 undecided, 2 error.

    The recipe and the reports must be those that the adapter was fitted by.
    """
    settings = load_recipe(recipe)
    (bundle,) = steps.choose_adapters(bundles, [adapter])
    parts, known = steps.load_split(dataset), load_clusters(clusters)
    with _writer(settings.base) as writer:
        bundle.check_base(writer.base_digest)
        found = memorised(bundle, parts, known, writer, settings, reports=reports, seed=seed, track=track)
    found.save(out)
    outcome, why = found.verdict()
    if as_json:
        OUT.print_json(found.encode().decode())
    else:
        shares = {"whole impressions": (found.learnt, found.unseen), "rare words": (found.rare, found.rare_unseen)}
        rows = (
            (what, *(f"{share.hits} of {share.cases}" for share in sides), f"{sides[0].value - sides[1].value:+.3f}")
            for what, sides in shares.items()
        )
        table(f"what comes out of {bundle.name}", ("what", "learnt", "unseen", "difference"), rows)
        OUT.print(f"{outcome}: {why}", markup=False)
    if outcome is not Outcome.PASS:
        raise typer.Exit(1 if outcome is Outcome.REGRESSION else 3)


@contextmanager
def _writer(base: str) -> Iterator[EngineWriter]:
    """An engine on this base model, as long as it is needed."""
    served = load_settings(base=base)
    if served.engine == "inprocess":
        quiet_models()
    engine = open_engine(served, track)
    try:
        yield EngineWriter(engine)
    finally:
        engine.close()

"""`radimpress gate`: may this adapter serve, and where?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radimpress.eval.gate import Outcome
from radimpress.eval.score import load_scores
from radimpress.server import steps
from radimpress.server.console import table
from radimpress.server.options import BundleRoot, RecipeFile, RegistryUrl, open_registry
from radimpress.server.recipe import load_recipe


def gate(
    candidate: Annotated[str, typer.Argument(help="The adapter's name.")],
    scores: Annotated[Path, typer.Option(help="scores.json.")] = Path("eval/scores.json"),
    out: Annotated[Path, typer.Option(help="Certificate to write.")] = Path("certificate.json"),
    registry: RegistryUrl = None,
    bundles: BundleRoot = None,
    against_base: Annotated[bool, typer.Option(help="Judge against base, whatever serves now.")] = False,
    recipe: RecipeFile = None,
) -> None:
    """Judges an adapter against what serves each slice now; exits 0 pass, 1 regression, 3 undecided."""
    current = None if against_base else open_registry(registry, bundles).table()
    certificate = steps.gate(load_scores(scores), candidate, current, load_recipe(recipe).gate, out)
    table(
        f"{candidate}: {len(certificate.passed)} of {len(certificate.verdicts)} slices pass",
        ("slice", "verdict", "incumbent", "cases", "why"),
        ((v.cell, v.outcome, v.incumbent, v.cases, v.why) for v in certificate.verdicts),
    )
    outcomes = {verdict.outcome for verdict in certificate.verdicts}
    if Outcome.REGRESSION in outcomes:
        raise typer.Exit(1)
    if Outcome.INSUFFICIENT in outcomes:
        raise typer.Exit(3)

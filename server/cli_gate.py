"""`radimpress gate`: may this adapter serve, and where?

`radimpress gate CANDIDATE` is short for `radimpress gate judge CANDIDATE`, which is how a candidate that
is called as one of these words is judged.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from radimpress.clustering.cell import Cell
from radimpress.eval.certificate import Certificate, decode_certificate
from radimpress.eval.gate import Outcome, Verdict
from radimpress.eval.outputs import as_json, exit_code, junit, markdown
from radimpress.eval.score import load_scores
from radimpress.eval.signing import load_private
from radimpress.eval.waiver import make_waiver
from radimpress.reports.errors import InputError, NotFoundError
from radimpress.reports.files import write_atomic
from radimpress.reports.report import Modality
from radimpress.server import steps
from radimpress.server.console import OUT, table
from radimpress.server.options import AsJson, BundleRoot, RecipeFile, RegistryUrl, defaults_to, open_registry
from radimpress.server.recipe import load_recipe
from radimpress.server.settings import load_settings

_JUDGE = "judge"

gate_app = typer.Typer(cls=defaults_to(_JUDGE), no_args_is_help=True, help="May this adapter serve, and where?")

Candidate = Annotated[str, typer.Argument(help="The adapter's name.")]
ScoresFile = Annotated[Path, typer.Option("--scores", help="scores.json.")]
Against = Annotated[
    str | None, typer.Option("--against", help="A system's name, or base; without it, what serves each slice now.")
]
SignKey = Annotated[Path | None, typer.Option("--sign-key", help="PEM file of an Ed25519 private key.")]


@gate_app.command(_JUDGE)
def judge(
    candidate: Candidate,
    scores: ScoresFile = Path("eval/scores.json"),
    against: Against = None,
    out: Annotated[Path, typer.Option(help="Certificate to write.")] = Path("certificate.json"),
    sign_key: SignKey = None,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="JUnit XML to write.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Markdown to write.")] = None,
    json_out: AsJson = False,
    registry: RegistryUrl = None,
    bundles: BundleRoot = None,
    recipe: RecipeFile = None,
) -> None:
    """Judges an adapter slice by slice; exits 0 pass, 1 regression, 3 undecided, 2 error."""
    known = open_registry(registry, bundles) if against is None else None
    certificate = steps.gate(
        load_scores(scores),
        candidate,
        known.table() if known else None,
        load_recipe(recipe).gate,
        out,
        against=against,
        bundles=Path(load_settings(bundles=bundles).bundles),
        key=load_private(sign_key) if sign_key else None,
    )
    if junit_file:
        write_atomic(junit_file, junit(certificate))
    if markdown_file:
        write_atomic(markdown_file, markdown(certificate).encode())
    if json_out:
        OUT.print_json(json.dumps(as_json(certificate)))
    else:
        table(
            f"{candidate}: {len(certificate.passed)} of {len(certificate.verdicts)} slices pass",
            ("slice", "verdict", "incumbent", "cases", "why"),
            ((v.cell, _word(v), v.incumbent, v.cases, v.why) for v in certificate.verdicts),
        )
    code = exit_code(certificate)
    if code:
        raise typer.Exit(code)


@gate_app.command("plan")
def plan(
    candidate: Candidate,
    scores: ScoresFile = Path("eval/scores.json"),
    against: Against = None,
    json_out: AsJson = False,
    registry: RegistryUrl = None,
    bundles: BundleRoot = None,
    recipe: RecipeFile = None,
) -> None:
    """How many cases each slice has, needs for a verdict and still needs, were the adapter equal."""
    current = open_registry(registry, bundles).table() if against is None else None
    rows = []
    for verdict in steps.verdicts(load_scores(scores), candidate, current, load_recipe(recipe).gate, against):
        has = verdict.difference.groups if verdict.difference else 0
        need = verdict.need
        rows.append(
            {
                "slice": str(verdict.cell) if verdict.cell else "overall",
                "cases": verdict.cases,
                "patients": has,
                "needs": need.patients if need else None,
                # A slice that passed needs nothing more, and more cases mend no regression.
                "still": (need.more if verdict.outcome is Outcome.INSUFFICIENT else 0) if need else None,
                "sd": round(need.sd, 4) if need else None,
                "sd_from": ("this slice" if need.observed else "the recipe") if need else None,
                "verdict": verdict.outcome.value,
            }
        )
    if json_out:
        OUT.print_json(json.dumps({"adapter": candidate, "slices": rows}))
        return
    names = ("slice", "cases", "patients", "needs", "still", "sd", "sd_from", "verdict")
    title = f"{candidate}: patients that each slice needs, to pass four times in five were it equal"
    heads = ("slice", "cases", "patients", "needs", "still needs", "sd", "sd from", "verdict now")
    table(title, heads, ([row[name] for name in names] for row in rows))


@gate_app.command("waive")
def waive(
    place: Annotated[str, typer.Argument(metavar="SLICE", help="As in NM/any.")],
    who: Annotated[str, typer.Option(help="The person who answers for it.")],
    reason: Annotated[str, typer.Option(help="Why; shown wherever the adapter shows.")],
    sign_key: Annotated[Path, typer.Option(help="PEM file of the person's Ed25519 private key.")],
    days: Annotated[int, typer.Option(min=1, max=365, help="Until it expires.")] = 30,
    certificate: Annotated[Path, typer.Option(help="certificate.json, changed in place.")] = Path("certificate.json"),
) -> None:
    """Opens one slice that the gate did not pass, in a person's name; never where a hard check fired."""
    known = _read(certificate)
    waiver = make_waiver(_cell(place), who, reason, known.judgement, load_private(sign_key), days=days)
    write_atomic(certificate, known.waived(waiver).encode())
    OUT.print(f"{waiver.cell} of {known.adapter}: {waiver}", markup=False)


@gate_app.command("sign")
def sign(
    sign_key: Annotated[Path, typer.Option(help="PEM file of the person's Ed25519 private key.")],
    certificate: Annotated[Path, typer.Argument(help="Changed in place.")] = Path("certificate.json"),
) -> None:
    """Signs a certificate that somebody else wrote, as EvaluateAdapter's is; whoever signs answers for it."""
    made = _read(certificate).signed(load_private(sign_key))
    write_atomic(certificate, made.encode())
    told = f"{len(made.passed)} of {len(made.verdicts)} slices pass, issued {made.issued}, signed by {made.signer[:12]}"
    OUT.print(f"{made.adapter} {made.digest[:12]}: {told}", markup=False)


def _read(certificate: Path) -> Certificate:
    try:
        return decode_certificate(certificate.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(f"{certificate}: no such file") from None


def _cell(text: str) -> Cell:
    modality, _, cluster = text.partition("/")
    if modality not in Modality.__members__ or not cluster:
        raise InputError("slice", f"{text[:40]!r} is not MODALITY/cluster")
    return Cell(Modality(modality), cluster)


def _word(verdict: Verdict) -> str:
    return f"{verdict.outcome}, IMPROVED" if verdict.improved else str(verdict.outcome)

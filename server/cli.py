"""The `radimpress` command. Exit codes: 0 done, 1 a slice regressed, 2 an error, 3 a slice undecided."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, astuple
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import grpc
import typer
from google.protobuf.json_format import MessageToDict

from radimpress.clustering.clusters import load_clusters
from radimpress.eval.signing import load_public
from radimpress.reports.errors import InputError, NotFoundError, RadimpressError
from radimpress.server import steps
from radimpress.server.cli_bench import bench_gate
from radimpress.server.cli_eval import eval_app
from radimpress.server.cli_gate import gate_app
from radimpress.server.client import Client
from radimpress.server.console import ERR, OUT, quiet, quiet_models, table, track
from radimpress.server.options import (
    BundleFolder,
    BundleRoot,
    ClustersFile,
    Dataset,
    RecipeFile,
    RegistryUrl,
    TrustedKeys,
    open_registry,
)
from radimpress.server.recipe import demo_recipe, load_recipe
from radimpress.server.registry import Registry
from radimpress.server.routes import RouteTable
from radimpress.server.serve import open_engine
from radimpress.server.serve import serve as serve_until_told
from radimpress.server.settings import load_settings
from radimpress.trainer.bases import DEFAULT_BASE, find_base

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Impressions from findings, clinic by clinic."
)
reports_app = typer.Typer(no_args_is_help=True, help="Make, filter and split reports.")
adapters_app = typer.Typer(no_args_is_help=True, help="Register, promote and roll back adapters.")
app.add_typer(reports_app, name="reports")
bench_app = typer.Typer(no_args_is_help=True, help="Measure on this machine what the README says.")
app.add_typer(adapters_app, name="adapters")
app.add_typer(bench_app, name="bench")
app.add_typer(eval_app, name="eval")
app.add_typer(gate_app, name="gate")
bench_app.command("gate")(bench_gate)


def main() -> None:
    """Runs the command and turns errors into one line and an exit code."""
    quiet()
    try:
        app()
    except RadimpressError as error:
        ERR.print(f"[red]error:[/red] {type(error).__name__.removesuffix('Error').lower()}:", end=" ")
        ERR.print(str(error), markup=False)
        sys.exit(2)
    except OSError as error:
        ERR.print(f"[red]error:[/red] {type(error).__name__}:", end=" ")
        ERR.print(f"{error.filename}: {error.strerror}", markup=False)
        sys.exit(2)
    except grpc.RpcError as error:
        code = error.code().name if isinstance(error, grpc.Call) else "UNKNOWN"
        ERR.print(f"[red]error:[/red] {code}:", end=" ")
        ERR.print(error.details() if isinstance(error, grpc.Call) else "", markup=False)
        sys.exit(2)


@app.command()
def demo(
    reports: Annotated[list[Path] | None, typer.Option(help="JSONL or CSV; several may be given.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of everything the demo writes.")] = Path("demo"),
    recipe: RecipeFile = None,
) -> None:
    """The main job, end to end, on the embedded default; ends with a page that opens offline."""
    from radimpress.server.demo import demo as run

    quiet_models()
    run(out, reports or [], load_recipe(recipe) if recipe else demo_recipe())


@reports_app.command("make")
def reports_make(
    out: Annotated[Path, typer.Argument(help="JSONL file to write.")],
    count: Annotated[int, typer.Option(min=1)] = 3000,
    seed: int = 7,
) -> None:
    """Makes synthetic reports of six invented clinics."""
    steps.make_reports(out, count, seed, track)


@reports_app.command("prepare")
def reports_prepare(
    files: Annotated[list[Path], typer.Argument(help="JSONL or CSV files.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    recipe: RecipeFile = None,
) -> None:
    """Filters reports, with a reason for each left out, and splits them by patient."""
    funnel, parts, clinic_column = steps.prepare(files, out, load_recipe(recipe))
    table(
        f"funnel of {funnel.total} reports", ("reports", "door"), ((n, door.value) for door, n in funnel.counts.items())
    )
    OUT.print(f"train {len(parts.train)}, validation {len(parts.validation)}, test {len(parts.test)}")
    if clinic_column != "clinic":
        OUT.print(f"no clinic column: {clinic_column} stands for the clinic")


@app.command("cluster")
def cluster_clinics(
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("clusters.json"),
    recipe: RecipeFile = None,
) -> None:
    """Groups clinics by how they write."""
    quiet_models()
    made = steps.cluster(steps.load_split(dataset), out, load_recipe(recipe), track)
    table(made.why, ("clinic", "cluster"), made.clinics.items())


@app.command()
def train(
    dataset: Dataset,
    clusters: ClustersFile = Path("clusters.json"),
    bundles: BundleFolder = Path("bundles"),
    recipe: RecipeFile = None,
) -> None:
    """Fits one unified adapter and one a cluster."""
    quiet_models()
    parts = steps.load_split(dataset)
    _, made = steps.train(parts, load_clusters(clusters), bundles, load_recipe(recipe), track)
    table("adapters", ("adapter", "reports", "path"), ((b.name, b.manifest["data"]["reports"], b.path) for b in made))


@adapters_app.command("adopt")
def adapters_adopt(clusters: ClustersFile = Path("clusters.json"), registry: RegistryUrl = None) -> None:
    """Makes these clusters the current ones; with other clusters every slice goes back to base."""
    _show(open_registry(registry, None).adopt(load_clusters(clusters)))


@adapters_app.command("register")
def adapters_register(
    path: Annotated[str, typer.Argument(help="Bundle folder, relative to the bundle folder.")],
    registry: RegistryUrl = None,
    bundles: BundleRoot = None,
) -> None:
    """Verifies a bundle and gives it a version."""
    made = open_registry(registry, bundles).register(path)
    OUT.print(f"{made} {made.digest}")


@adapters_app.command("list")
def adapters_list(registry: RegistryUrl = None, bundles: BundleRoot = None) -> None:
    """Every registered version, newest first."""
    found = open_registry(registry, bundles).adapters()
    table("adapters", ("adapter", "base", "digest"), ((a, a.base_name, a.digest) for a in found))


@adapters_app.command("promote")
def adapters_promote(
    name: str,
    certificate: Annotated[Path, typer.Option(help="certificate.json.")] = Path("certificate.json"),
    version: Annotated[int, typer.Option(help="0 is the newest.")] = 0,
    expected: Annotated[int, typer.Option(help="Route table you looked at; 0 is whichever is current.")] = 0,
    trusted: TrustedKeys = None,
    registry: RegistryUrl = None,
    bundles: BundleRoot = None,
) -> None:
    """Makes the next route table: the adapter gets the slices that its certificate passes."""
    if not certificate.is_file():
        raise NotFoundError(f"{certificate}: no such file")
    known = open_registry(registry, bundles, trusted)
    _show(known.promote(known.adapter(name, version), certificate.read_bytes(), expected))


@adapters_app.command("rollback")
def adapters_rollback(
    number: Annotated[int, typer.Argument(help="Route table to go back to; 0 is the one before.")] = 0,
    registry: RegistryUrl = None,
) -> None:
    """Makes the next route table a copy of an earlier one; nothing is loaded again."""
    _show(open_registry(registry, None).rollback(number))


@adapters_app.command("routes")
def adapters_routes(
    number: Annotated[int, typer.Argument(help="0 is the current one.")] = 0, registry: RegistryUrl = None
) -> None:
    """Shows a route table."""
    _show(open_registry(registry, None).table(number))


@adapters_app.command("history")
def adapters_history(registry: RegistryUrl = None) -> None:
    """Every route table, newest first."""
    found = open_registry(registry, None).tables()
    rows = ((t.number, t.cause, len(t.entries), t.created.isoformat(timespec="seconds")) for t in found)
    table("route tables", ("number", "cause", "slices with an adapter", "made"), rows)


@app.command()
def serve(
    listen: Annotated[str | None, typer.Option(help="host:port.")] = None,
    registry: RegistryUrl = None,
    bundles: BundleRoot = None,
    base: Annotated[str | None, typer.Option(help="Base model.")] = None,
    engine: Annotated[str | None, typer.Option(help="inprocess or fake.")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM key.")] = None,
) -> None:
    """Serves impressions over gRPC until told to stop."""
    settings = load_settings(
        listen=listen,
        registry=registry,
        bundles=bundles,
        base=base,
        engine=engine,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
    )
    known = Registry(settings.registry, settings.bundles, load_public(settings.trusted_keys))
    known.table()
    if settings.engine == "inprocess":
        quiet_models()
    serve_until_told(settings, open_engine(settings, track), known)


@app.command()
def generate(
    findings: Annotated[str, typer.Argument(help="File that holds the findings; - is standard input.")],
    server: Annotated[str, typer.Option(help="host:port.")] = "127.0.0.1:50051",
    modality: str = "",
    clinic: str = "",
    exam: str = "",
    indication: str = "",
    roots: Annotated[Path | None, typer.Option(help="PEM root certificates, for TLS.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole answer as JSON.")] = False,
) -> None:
    """Asks a running server for one impression; says on standard error who wrote it."""
    text = sys.stdin.read() if findings == "-" else _read(Path(findings))
    with Client(server, roots=roots.read_bytes() if roots else None) as client:
        answer = client.generate(findings=text, modality=modality, clinic=clinic, exam=exam, indication=indication)
    if as_json:
        OUT.print_json(json.dumps(MessageToDict(answer, preserving_proto_field_name=True)))
        return
    OUT.print(answer.text, markup=False)
    who = answer.provenance
    ERR.print(f"{who.adapter}@{who.version} {who.digest or who.base_model}, route table {who.route_table}")
    if who.waiver:
        ERR.print(f"not passed by the gate: {who.waiver}", markup=False)
    for finding in answer.check_findings:
        ERR.print(f"[yellow]{finding.check}: {finding.message}[/yellow]")


@bench_app.command("engine")
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
    as_json: Annotated[bool, typer.Option("--json", help="One object, each figure {value, low, high}.")] = False,
) -> None:
    """Many adapters in one batch: beside the base model alone, PEFT and vLLM, while adapters come and go."""
    quiet_models()
    from radimpress.server.bench.engine import GROUPS, Bench, measure
    from radimpress.server.bench.picture import draw
    from radimpress.trainer.fetch import base_folder

    foreign = sorted(set(only or ()) - set(GROUPS))
    if foreign:
        raise InputError("only", f"{foreign[0]!r} is none of {', '.join(GROUPS)}")
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
    if as_json:
        OUT.print_json(json.dumps({name: asdict(figure) for name, figure in figures.items()}))
        return
    rows = ((name, *(f"{number:.3g}" for number in astuple(figure))) for name, figure in figures.items())
    table(f"median and range of {rounds} rounds", ("figure", "value", "low", "high"), rows)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise InputError("findings", f"{path} is not UTF-8") from None


def _show(routes: RouteTable) -> None:
    rows = ((cell, entry.adapter, entry.adapter.digest) for cell, entry in sorted(routes.entries.items()))
    table(f"route table {routes.number}: {routes.cause}", ("slice", "adapter", "digest"), rows)
    for cell, entry in sorted(routes.entries.items()):
        if entry.waiver:
            OUT.print(f"{cell} was not passed by the gate: {entry.waiver}", markup=False)
    OUT.print("Every other slice is served by the base model.")

"""The `radimpress` command, put together.

Exit codes: 0 done, 1 a slice regressed or a clinic's style drifted, 2 an error, 3 a slice undecided.
"""

from __future__ import annotations

import sys

import typer
from rich.text import Text

from radimpress.reports.errors import RadimpressError
from radimpress.server.cli_access import keys_app, tokens_app
from radimpress.server.cli_adapters import adapters_app
from radimpress.server.cli_audit import audit_app
from radimpress.server.cli_bench import (
    bench_clustering,
    bench_gate,
    bench_reports,
    bench_server,
    bench_sizing,
    bench_trainer,
)
from radimpress.server.cli_bench_engine import bench_engine, bench_vllm
from radimpress.server.cli_cluster import cluster_app
from radimpress.server.cli_engine import engine_app
from radimpress.server.cli_eval import eval_app
from radimpress.server.cli_gate import gate_app
from radimpress.server.cli_pipeline import demo, reports_app
from radimpress.server.cli_registry import registry_app
from radimpress.server.cli_routes import routes_app
from radimpress.server.cli_serve import generate, serve
from radimpress.server.cli_train import train_app
from radimpress.server.client_errors import ClientError
from radimpress.server.console import ERR, quiet

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Impressions from findings, clinic by clinic."
)
bench_app = typer.Typer(no_args_is_help=True, help="Measure on this machine what the README says.")
app.command("demo")(demo)
app.add_typer(reports_app, name="reports")
app.add_typer(cluster_app, name="cluster")
app.add_typer(train_app, name="train")
app.add_typer(eval_app, name="eval")
app.add_typer(gate_app, name="gate")
app.add_typer(adapters_app, name="adapters")
app.add_typer(routes_app, name="routes")
app.command("serve")(serve)
app.command("generate")(generate)
app.add_typer(engine_app, name="engine")
app.add_typer(registry_app, name="registry")
app.add_typer(audit_app, name="audit")
app.add_typer(tokens_app, name="tokens")
app.add_typer(keys_app, name="keys")
app.add_typer(bench_app, name="bench")
bench_app.command("clustering")(bench_clustering)
bench_app.command("engine")(bench_engine)
bench_app.command("gate")(bench_gate)
bench_app.command("reports")(bench_reports)
bench_app.command("server")(bench_server)
bench_app.command("sizing")(bench_sizing)
bench_app.command("trainer")(bench_trainer)
bench_app.command("vllm")(bench_vllm)


def main() -> None:
    """Runs the command and turns errors into one line and an exit code."""
    quiet()
    try:
        app()
    except RadimpressError as error:
        _fail(type(error).__name__.removesuffix("Error").lower(), str(error))
    except OSError as error:
        # A write to an open file names none, and a library's own has neither.
        told = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        _fail(type(error).__name__, told or str(error).partition("\n")[0])
    except ClientError as error:
        _fail(error.code.name, error.message)


def _fail(kind: str, problem: str) -> None:
    ERR.print(Text.assemble(("error:", "red"), f" {kind}: {problem}"))
    sys.exit(2)

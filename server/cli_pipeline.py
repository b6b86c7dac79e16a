"""`radimpress demo|reports`: from reports to what adapters learn from, each step from files to files."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from radimpress.reports.files import write_reports
from radimpress.server import steps
from radimpress.server.console import OUT, quiet_models, table, tell, track
from radimpress.server.options import (
    AsJson,
    RecipeFile,
    RegistryUrl,
    open_registry,
)
from radimpress.server.recipe import demo_recipe, load_recipe
from radimpress.server.registry import Journal
from radimpress.server.security.sealing import Seal
from radimpress.server.settings import load_settings

reports_app = typer.Typer(no_args_is_help=True, help="Make, filter, split and export reports.")


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
    as_json: AsJson = False,
) -> None:
    """Filters reports, with a reason for each left out, and splits them by patient."""
    funnel, parts, clinic_column = steps.prepare(files, out, load_recipe(recipe))
    if as_json:
        sizes = {name: len(getattr(parts, name)) for name in steps.PARTS}
        doors = {door.value: count for door, count in funnel.counts.items()}
        tell({"total": funnel.total, "doors": doors, "split": sizes, "clinic_column": clinic_column})
        return
    table(
        f"funnel of {funnel.total} reports", ("reports", "door"), ((n, door.value) for door, n in funnel.counts.items())
    )
    OUT.print(f"train {len(parts.train)}, validation {len(parts.validation)}, test {len(parts.test)}")
    if clinic_column != "clinic":
        OUT.print(f"no clinic column: {clinic_column} stands for the clinic")


@reports_app.command("export")
def reports_export(
    out: Annotated[Path, typer.Argument(help="JSONL file to write; it holds report texts.")],
    registry: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Writes the reports whose signed impression came back, for the next training."""
    settings = load_settings()
    seal = Seal(settings.feedback_keys) if settings.feedback_keys else None
    with closing(Journal(open_registry(registry, None), seal, settings.answer_days)) as journal:
        found = list(journal.export())
    write_reports(out, found)
    if as_json:
        tell({"reports": len(found), "path": str(out)})
    else:
        OUT.print(f"{out}: {len(found)} reports with the impression that was signed", markup=False)

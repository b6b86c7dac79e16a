"""`radimpress demo|reports`: from reports to what adapters learn from, each step from files to files."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from radimpress.reports.files import write_reports
from radimpress.reports.readers import KINDS
from radimpress.server import steps
from radimpress.server.console import OUT, quiet_models, table, tell, track
from radimpress.server.options import (
    AsJson,
    Dataset,
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
    files: Annotated[list[Path], typer.Argument(help="Files or folders of any kind that is read.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    recipe: RecipeFile = None,
    kind: Annotated[str, typer.Option(help=f"{', '.join(KINDS)}; guessed from the content without it.")] = "",
    clinic: Annotated[str, typer.Option(help="The clinic, where the files do not say.")] = "",
    as_json: AsJson = False,
) -> None:
    """Filters reports, with a reason for each left out, and splits them by patient."""
    chosen = load_recipe(recipe)
    told = {name: value for name, value in (("kind", kind), ("clinic", clinic)) if value}
    chosen = chosen.model_copy(update={"read": chosen.read.model_copy(update=told)})
    made = steps.prepare(files, out, chosen, track)
    if as_json:
        tell({name: value for name, value in made.as_json().items() if name != "thresholds"})
        return
    funnel = made.funnel
    table(
        f"funnel of {funnel.total} reports", ("reports", "door"), ((n, door.value) for door, n in funnel.counts.items())
    )
    OUT.print(", ".join(f"{name} {count}" for name, count in made.sizes.items()))
    if made.clinic_column != "clinic":
        OUT.print(f"no clinic column: {made.clinic_column} stands for the clinic")
    if made.several:
        OUT.print(f"{made.several} texts have more than one impression: the last one is taken")


@reports_app.command("audit")
def reports_audit(
    dataset: Dataset,
    page: Annotated[Path | None, typer.Option(help="HTML file to write; it holds reports that were set aside.")] = None,
    as_json: AsJson = False,
) -> None:
    """What is in a data set: doors, mix, lengths, styles, tokens that identify, and what leaks into the test part."""
    from radimpress.reports.audit import audit, examples_of
    from radimpress.reports.audit_page import write_audit_page
    from radimpress.reports.leak import leak

    found = audit(dataset, track)
    leaked = leak(steps.load_split(dataset), track)
    if page is not None:
        write_audit_page(page, found, leaked, examples_of(dataset))
    if as_json:
        tell({**found.as_json(), "leak": leaked.as_json()})
        return
    total = sum(found.doors.values())
    table(f"doors of {total} reports", ("reports", "door"), ((n, door) for door, n in found.doors.items()))
    rows = (
        (clinic, sum(mix.values()), " ".join(f"{one} {n}" for one, n in mix.items()))
        for clinic, mix in found.mix.items()
    )
    table("kept reports", ("clinic", "reports", "modalities"), rows)
    OUT.print(f"{leaked.near} of {leaked.tests} held-out reports are nearly those of a training report", markup=False)
    OUT.print(f"{leaked.impressions:.0%} of held-out impressions stand in training word for word", markup=False)
    told = ", ".join(f"{count} {field}" for field, count in found.identified.items())
    OUT.print(f"something looks like it identifies somebody in {told}", markup=False)


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

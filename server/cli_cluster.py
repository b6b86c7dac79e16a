"""`radimpress cluster`: who writes alike, how sure that is, and why.

`radimpress cluster DATASET` is short for `radimpress cluster fit DATASET`; a folder that is called as one of these
words needs the `fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from radimpress.clustering.cache import default_cache
from radimpress.clustering.clusters import Clusters, load_clusters
from radimpress.clustering.embed import open_embedder
from radimpress.clustering.explain import explain
from radimpress.clustering.vectors import StyleVectors, vectors_of
from radimpress.reports.errors import InputError
from radimpress.reports.funnel import Door, Sieve, sift
from radimpress.reports.prepare import load_part
from radimpress.reports.read import read_archive
from radimpress.reports.report import Report
from radimpress.server import steps
from radimpress.server.console import OUT, quiet_models, shown, table, tell, track
from radimpress.server.options import AsJson, ClustersFile, Dataset, RecipeFile, defaults_to
from radimpress.server.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from radimpress.clustering.assign import Assignment
    from radimpress.clustering.drift import Month

cluster_app = typer.Typer(cls=defaults_to("fit"), no_args_is_help=True, help="Who writes alike, how sure, and why?")

ReportFiles = Annotated[list[Path], typer.Argument(help="JSONL or CSV files.")]
_FILE = Path("clusters.json")


@cluster_app.command("fit")
def fit(
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="File to write; what stands there lends its keys and titles.")] = _FILE,
    recipe: RecipeFile = None,
    as_json: AsJson = False,
) -> None:
    """Groups clinics by how they write."""
    quiet_models()
    made = steps.cluster(steps.load_split(dataset), out, load_recipe(recipe), track)
    if as_json:
        tell(
            {
                "clinics": dict(made.clinics),
                "unsure": dict(made.unsure),
                "moved": [asdict(move) for move in made.moved],
                "why": made.why,
                "version": made.version,
                "digest": made.digest,
            }
        )
        return
    _tell_clinics(made)
    if made.moved:
        rows = (
            (move.clinic, *(made.title(key) or "-" for key in (move.before, move.after)), move.why)
            for move in made.moved
        )
        table("since the fit before", ("clinic", "before", "now", "why"), rows)


@cluster_app.command("show")
def show(clusters: ClustersFile = _FILE, as_json: AsJson = False) -> None:
    """What clusters.json says: clusters, their clinics and how sure each is, and what was tried."""
    known = load_clusters(clusters)
    if as_json:
        for name in known.names:
            own = known.clusters[name]
            inside = {c: known.members[c].sure for c, other in known.clinics.items() if other == name}
            tell(
                {"cluster": name, "title": own.title, "clinics": inside, "reports": own.reports, "unified": own.unified}
            )
        return
    rows = [
        (name, own.title, list(known.clinics.values()).count(name), f"{own.reports:,}", own.unified)
        for name, own in sorted(known.clusters.items())
    ]
    table("clusters", ("cluster", "title", "clinics", "reports", "left to the unified adapter"), rows)
    _tell_clinics(known)
    if known.tried:
        tried = (
            (one.method, one.number, f"{one.silhouette:.2f}", f"{one.stability:.2f}", "chosen" if one.chosen else "")
            for one in known.tried
        )
        table("tried", ("method", "clusters", "silhouette", "stability", ""), tried)


@cluster_app.command("explain")
def explain_clusters(
    cluster: Annotated[str | None, typer.Argument(help="Key or title; all without it.")] = None,
    clusters: ClustersFile = _FILE,
    as_json: AsJson = False,
) -> None:
    """What sets a cluster apart, in words, with figures and 95% intervals."""
    known = load_clusters(clusters)
    for name in [known.key(cluster)] if cluster else known.names:
        traits = explain(known, name)
        if as_json:
            for trait in traits:
                tell({"cluster": name, **asdict(trait)})
            continue
        OUT.print(f"{known.title(name)}", style="bold", markup=False)
        for trait in traits:
            OUT.print(f"  {trait.text}{trait.doubt and f'; {trait.doubt}'}", markup=False)
        if not traits:
            OUT.print("  no single habit sets it apart by more than chance makes", markup=False)


@cluster_app.command("assign")
def assign_clinics(
    files: ReportFiles, clusters: ClustersFile = _FILE, recipe: RecipeFile = None, as_json: AsJson = False
) -> None:
    """Which cluster clinics write like that were not fitted, by a handful of reports; it changes nothing."""
    from radimpress.clustering.assign import assign

    known = load_clusters(clusters)
    reports, made = _read(files, known, load_recipe(recipe))
    found: list[tuple[str, Assignment]] = []
    for clinic, rows in _by_clinic(reports).items():
        own = StyleVectors(made.features[rows], made.embeddings[rows])
        found.append((clinic, assign(known, [reports[row] for row in rows], own)))
    if as_json:
        for clinic, one in found:
            tell({"clinic": clinic, **asdict(one)})
        return
    told = (
        (clinic, one.reports, known.title(one.cluster) if one.cluster else "unsure", _chances(known, one), one.why)
        for clinic, one in found
    )
    table("assigned", ("clinic", "reports", "cluster", "probability", "why"), told)


@cluster_app.command("drift")
def watch_drift(
    files: Annotated[list[Path], typer.Argument(help="JSONL or CSV, a file a month, called by it.")],
    clusters: ClustersFile = _FILE,
    clinic: Annotated[list[str] | None, typer.Option(help="This clinic; may be repeated; all without it.")] = None,
    recipe: RecipeFile = None,
    as_json: AsJson = False,
) -> None:
    """Whether clinics still write as they did when they were fitted, month by month; exits 1 on an alarm."""
    from radimpress.clustering.drift import drift

    known, settings = load_clusters(clusters), load_recipe(recipe)
    if len({file.stem for file in files}) < len(files):
        raise InputError("files", "two are called alike; each names its month")
    months = {file.stem: _month(file, known, settings) for file in files}
    written = {report.clinic for reports, _ in months.values() for report in reports}
    fitted = {name for name, member in known.members.items() if member.place}
    found: list[tuple[str, Month]] = []
    for name in clinic or sorted(written & fitted):
        own: dict[str, tuple[Sequence[Report], StyleVectors]] = {}
        for month, (reports, made) in months.items():
            rows = _by_clinic(reports).get(name, [])
            own[month] = [reports[row] for row in rows], StyleVectors(made.features[rows], made.embeddings[rows])
        found += [(name, month) for month in drift(known, name, own)]
    if as_json:
        for name, one in found:
            tell({"clinic": name, **asdict(one)})
    else:
        told = (
            (
                name,
                one.month,
                one.reports,
                "yes" if one.alarm else "",
                "-" if one.distance is None else f"{one.distance:.1f}",
                one.why,
            )
            for name, one in found
        )
        limit = f", limit {found[0][1].limit:.1f}" if found else ""
        table(f"drift{limit}", ("clinic", "month", "reports", "alarm", "distance", "why"), told)
        if strangers := sorted(written - fitted):
            OUT.print(shown(f"not fitted, so nothing to compare with: {', '.join(strangers)}"), markup=False)
    if any(one.alarm for _, one in found):
        raise typer.Exit(1)


@cluster_app.command("rename")
def rename(
    cluster: Annotated[str, typer.Argument(help="Key or title.")],
    title: Annotated[str, typer.Argument(help="What people shall call it.")],
    clusters: ClustersFile = _FILE,
    as_json: AsJson = False,
) -> None:
    """Gives a cluster another title; its key stays, and so do the adapters and routes that go by it."""
    known = load_clusters(clusters)
    made = known.titled(cluster, title)
    made.save(clusters)
    key = known.key(cluster)
    if as_json:
        tell({"cluster": key, "before": known.title(key), "title": made.title(key), "digest": made.digest})
    else:
        OUT.print(f"{key}: {made.title(key)}, before {known.title(key)}", markup=False)


@cluster_app.command("page")
def page(
    dataset: Annotated[Path | None, typer.Argument(help="Folder that `reports prepare` wrote, to quote from.")] = None,
    clusters: ClustersFile = _FILE,
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("clusters.html"),
    recipe: RecipeFile = None,
    as_json: AsJson = False,
) -> None:
    """Writes clusters as one HTML file that fetches nothing; with a dataset it quotes training reports."""
    from radimpress.clustering.exemplars import exemplars
    from radimpress.clustering.fit import take
    from radimpress.clustering.page import write_clusters_page

    known, settings = load_clusters(clusters), load_recipe(recipe)
    quoted: dict[str, tuple[Report, ...]] = {}
    if dataset:
        # Those that the fit has read: their vectors stand in the cache.
        reports = take(load_part(dataset, "train"), steps.fit_rules(settings))
        quoted = exemplars(known, reports, _vectors(reports, known, settings))
    write_clusters_page(out, known, quoted)
    count = sum(map(len, quoted.values()))
    if as_json:
        tell({"path": str(out), "clusters": len(known.names), "quoted": count})
    else:
        OUT.print(f"{out}: {len(known.names)} clusters, {count} reports quoted", markup=False)


def _read(files: Sequence[Path], clusters: Clusters, recipe: Recipe) -> tuple[list[Report], StyleVectors]:
    """Reports that are read and pass the same filter as those of a fit, and their vectors."""
    reports = [report for report in sift(read_archive(files, recipe.read), recipe.filter).kept if report.clinic]
    return reports, _vectors(reports, clusters, recipe)


def _month(file: Path, clusters: Clusters, recipe: Recipe) -> tuple[list[Report], StyleVectors]:
    """The same of a month, in which there may be none."""
    sieve = Sieve(recipe.filter)
    reports = [report for report in read_archive([file], recipe.read).reports if sieve.door(report) is Door.KEPT]
    if not reports:
        return [], StyleVectors(np.empty((0, 0)), np.empty((0, 0)))
    return reports, _vectors(reports, clusters, recipe)


def _vectors(reports: Sequence[Report], clusters: Clusters, recipe: Recipe) -> StyleVectors:
    quiet_models()
    embedder = open_embedder(recipe.cluster.embedder)
    clusters.check_embedder(embedder.name, embedder.digest)
    return vectors_of(reports, embedder, default_cache(), track)


def _by_clinic(reports: Sequence[Report]) -> dict[str, list[int]]:
    """Rows of each clinic, sorted by its name."""
    rows: dict[str, list[int]] = {}
    for row, report in enumerate(reports):
        rows.setdefault(report.clinic, []).append(row)
    return dict(sorted(rows.items()))


def _chances(clusters: Clusters, one: Assignment) -> str:
    likely = sorted(one.probabilities.items(), key=lambda pair: -pair[1])[:2]
    return ", ".join(f"{clusters.title(name)} {chance:.0%}" for name, chance in likely)


def _tell_clinics(clusters: Clusters) -> None:
    rows = []
    for clinic in sorted(clusters.profiles, key=lambda clinic: (clusters.of(clinic) or "~", clinic)):
        name, member = clusters.of(clinic), clusters.members.get(clinic)
        note = clusters.unsure.get(clinic) or (member.note if member else "")
        sure = f"{member.sure:.0%}" if member else ""
        rows.append((clinic, clusters.title(name) if name else "-", sure, note))
    table(clusters.why, ("clinic", "cluster", "sure", "note"), rows)

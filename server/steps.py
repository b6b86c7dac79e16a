"""The pipeline's steps, each from files to files; commands and the demo are made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from radimpress.clustering.cell import Cell
from radimpress.clustering.clusters import Clusters, load_clusters
from radimpress.clustering.embed import MiniLM
from radimpress.clustering.fit import data_digest, fit_clusters
from radimpress.eval.baselines import baselines
from radimpress.eval.cases import Case, choose_cases
from radimpress.eval.certificate import Certificate, certify
from radimpress.eval.gate import Rule, judge, judge_overall
from radimpress.eval.predict import BASE, Predictions, Writer, predict
from radimpress.eval.score import Scores, score
from radimpress.reports.errors import ConfigError, InputError, NotFoundError
from radimpress.reports.files import load_reports, read_json, write_atomic, write_json, write_reports
from radimpress.reports.funnel import Funnel, sift
from radimpress.reports.progress import Track
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.read import read_archive
from radimpress.reports.split import Split, split
from radimpress.reports.synthetic import synthesize
from radimpress.server.recipe import Recipe
from radimpress.server.routes import RouteTable
from radimpress.trainer.bases import find_base
from radimpress.trainer.bundle import AdapterBundle, open_bundle
from radimpress.trainer.plan import Plan, plan

PARTS = ("train", "validation", "test")
TRAINED = "trained.json"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation leaves behind.

    Attributes:
        cases: the held-out cases, with their reports.
        predictions: of every system.
        scores: of every system.
    """

    cases: tuple[Case, ...]
    predictions: tuple[Predictions, ...]
    scores: Scores


def make_reports(out: Path, count: int, seed: int, track: Track) -> None:
    """Writes the synthetic corpus."""
    write_reports(out, track(synthesize(count, seed), "synthetic reports", count))


def prepare(files: Sequence[Path], out: Path, recipe: Recipe) -> tuple[Funnel, Split, str]:
    """Reads report files, filters and splits them into `out`; says where the clinic was taken from.

    Raises:
        InputError: a file cannot be read, nothing survives the filter, or a part is left empty.
    """
    archive = read_archive(files)
    funnel = sift(archive, recipe.filter)
    parts = split(funnel.kept, seed=recipe.split.seed, train=recipe.split.train, test=recipe.split.test)
    for name in PARTS:
        if not getattr(parts, name):
            raise InputError("reports", f"the {len(funnel.kept)} reports that are left make no {name} part: too few")
    for name in PARTS:
        write_reports(out / f"{name}.jsonl", getattr(parts, name))
    sizes = {name: len(getattr(parts, name)) for name in PARTS}
    write_json(out / "funnel.json", {**funnel.as_json(), "split": sizes, "clinic_column": archive.clinic_column})
    return funnel, parts, archive.clinic_column


def load_split(dataset: Path) -> Split:
    """Reads the three parts that `prepare` wrote."""
    return Split(*(tuple(load_reports(dataset / f"{name}.jsonl")) for name in PARTS))


def cluster(parts: Split, out: Path, recipe: Recipe, track: Track) -> Clusters:
    """Clusters the training reports' clinics; what was fitted from the same reports is kept."""
    settings = recipe.cluster
    try:
        known = load_clusters(out)
        if known.data == data_digest(parts.train, settings.seed):
            return known
    except (NotFoundError, InputError):
        pass
    made = fit_clusters(parts.train, MiniLM(), seed=settings.seed, largest=settings.largest, track=track)
    made.save(out)
    return made


def train(
    parts: Split, clusters: Clusters, out: Path, recipe: Recipe, track: Track
) -> tuple[Plan, list[AdapterBundle]]:
    """Fits every planned adapter into `out`; trained.json names the bundles of this run."""
    from radimpress.trainer.fetch import base_folder
    from radimpress.trainer.fit import fit

    base = find_base(recipe.base)
    settings = recipe.train
    planned = plan(
        parts.train,
        clusters,
        unified_reports=settings.unified_reports,
        cluster_reports=settings.cluster_reports,
        cluster_minimum=settings.cluster_minimum,
        seed=settings.seed,
    )
    folder = base_folder(base, track)
    made: dict[str, AdapterBundle] = {}
    for adapter in planned.adapters:
        checked = [r for r in parts.validation if adapter.cluster in (None, clusters.of(r.clinic))]
        made[adapter.name] = fit(
            adapter,
            checked or parts.validation,
            base=base,
            base_folder=folder,
            settings=settings,
            start=made[adapter.start_from] if adapter.start_from else None,
            clusters_digest=clusters.digest,
            into=out,
            track=track,
        )
    write_json(out / TRAINED, {name: bundle.path.relative_to(out).as_posix() for name, bundle in made.items()})
    return planned, list(made.values())


def load_trained(bundles: Path) -> list[AdapterBundle]:
    """The bundles of the last `train` into this folder."""
    return [open_bundle(bundles / path) for path in read_json(bundles / TRAINED).values()]


def evaluate(
    parts: Split,
    clusters: Clusters,
    bundles: Sequence[AdapterBundle],
    writer: Writer,
    out: Path,
    recipe: Recipe,
    track: Track,
) -> Evaluation:
    """Asks base and adapters for held-out impressions and scores them beside trivial baselines.

    A cluster's adapter is asked for its own clinics only: it can serve nobody else.
    """
    settings = recipe.eval
    for bundle in bundles:
        if bundle.manifest["clusters"] != clusters.digest:
            raise ConfigError(f"{bundle.name} was fitted for other clusters than these; train again")
    cases = choose_cases(parts.test, clusters, limit=settings.cases, seed=settings.seed)
    written: list[Predictions] = []
    for system in (None, *bundles):
        own = system.manifest["cluster"] if system else None
        asked = [case for case in cases if own is None or case.cell.cluster == own]
        if not asked:
            continue
        answers = predict(asked, writer, system, settings.max_tokens, out / "predictions")
        label = f"evaluate {system.name if system else BASE}"
        first = next(answers)
        rest = chain([first], answers) if first is not None else chain([first], track(answers, label, len(asked)))
        written += [answer for answer in rest if answer is not None]
    written += baselines(cases, parts.train)
    scores = score(cases, written, clusters, PROMPT_VERSION)
    scores.save(out / "scores.json")
    return Evaluation(cases, tuple(written), scores)


def gate(scores: Scores, candidate: str, table: RouteTable | None, rule: Rule, out: Path) -> Certificate:
    """Judges a candidate against who serves each slice now and writes its certificate.

    Without a table the base model serves everything.
    """
    incumbents: Mapping[Cell, str] = {}
    if table is not None:
        if table.clusters_digest != scores.clusters_digest:
            raise ConfigError("the route table and the scores are of other clusters; evaluate again")
        incumbents = {cell: entry.adapter.name for cell, entry in table.entries.items()}
        for cell, entry in table.entries.items():
            known = scores.systems.get(entry.adapter.name)
            if known is not None and known.digest != entry.adapter.digest:
                raise ConfigError(f"{cell}: the scores are of another version of {entry.adapter.name}; evaluate again")
    verdicts = judge(scores, candidate, incumbents, BASE, rule)
    certificate = certify(scores, candidate, verdicts, judge_overall(scores, candidate, BASE, rule), rule)
    write_atomic(out, certificate.encode())
    return certificate

"""The pipeline's steps, each from files to files; commands and the demo are made of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radimpress.clustering.cache import default_cache
from radimpress.clustering.cell import Cell
from radimpress.clustering.clusters import Clusters, load_clusters
from radimpress.clustering.embed import open_embedder
from radimpress.clustering.fit import FitRules, data_digest, fit_clusters
from radimpress.eval.baselines import baselines, choose_examples
from radimpress.eval.cases import Case, choose_cases
from radimpress.eval.certificate import Certificate, certify
from radimpress.eval.checks import annotate
from radimpress.eval.gate import Rule, Verdict, judge, judge_overall
from radimpress.eval.meta import leakage, refuse, too_long
from radimpress.eval.metrics.rouge import rouge
from radimpress.eval.nearest import Nearest
from radimpress.eval.predict import BASE, FEW_SHOT, Predictions, Writer, predict
from radimpress.eval.score import Neural, Scores, score
from radimpress.eval.summary import summarize
from radimpress.eval.version import code_version
from radimpress.reports.augment import augment
from radimpress.reports.errors import BundleError, ConfigError, GateError, InputError, NotFoundError
from radimpress.reports.files import read_json, write_atomic, write_json, write_reports
from radimpress.reports.prepare import Prepared, load_part
from radimpress.reports.prepare import prepare as make_dataset
from radimpress.reports.progress import Track
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Report
from radimpress.reports.split import PARTS, Split
from radimpress.reports.synthetic import synthesize
from radimpress.server.recipe import Recipe
from radimpress.server.routes import RouteTable
from radimpress.trainer.bases import find_base
from radimpress.trainer.bundle import AdapterBundle, open_bundle
from radimpress.trainer.plan import Plan, PlannedAdapter, plan
from radimpress.trainer.record import RUNS, last_speed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from radimpress.trainer.estimate import Estimate

TRAINED = "trained.json"
_SHORT = 8


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation leaves behind.

    Attributes:
        cases: the held-out cases, with their reports.
        predictions: of every system.
        scores: of every system.
        summary: as summary.json holds it.
    """

    cases: tuple[Case, ...]
    predictions: tuple[Predictions, ...]
    scores: Scores
    summary: dict[str, Any]


def make_reports(out: Path, count: int, seed: int, track: Track) -> None:
    """Writes the synthetic corpus."""
    write_reports(out, track(synthesize(count, seed), "synthetic reports", count))


def prepare(files: Sequence[Path], out: Path, recipe: Recipe, track: Track) -> Prepared:
    """Reads report files, filters and splits them into `out`.

    Raises:
        InputError: a file cannot be read, nothing survives the filter, or a part is left empty.
    """
    shares = recipe.split.train, recipe.split.test
    return make_dataset(files, out, recipe.read, recipe.filter, shares, recipe.split.seed, track)


def load_split(dataset: Path) -> Split:
    """Reads the three parts that `prepare` wrote.

    Raises:
        InputError: they are of two runs, or hold what is no report.
    """
    return Split(*(tuple(load_part(dataset, name)) for name in PARTS))


def cluster(parts: Split, out: Path, recipe: Recipe, track: Track) -> Clusters:
    """Clusters the training reports' clinics; what was fitted from the same reports is kept.

    Clusters of other reports that stand in `out` give their keys and titles to those that go on.

    Raises:
        InputError: what stands in `out` cannot be read: a fit would give its adapters' clusters other keys.
    """
    embedder, rules = open_embedder(recipe.cluster.embedder), fit_rules(recipe)
    before = None
    try:
        before = load_clusters(out)
        if (before.data, before.embedder_digest) == (data_digest(parts.train, rules), embedder.digest):
            return before
    except NotFoundError:
        pass
    except InputError as error:
        how = "move it away, and the fit names all clusters anew, or write to another file"
        raise InputError(str(out), f"cannot lend its keys and titles: {error.problem}; {how}") from None
    made = fit_clusters(parts.train, embedder, rules, cache=default_cache(), before=before, track=track)
    made.save(out)
    return made


def fit_rules(recipe: Recipe) -> FitRules:
    """What the recipe tells a fit of clusters."""
    own = recipe.cluster
    return FitRules(seed=own.seed, largest=own.largest, per_clinic=own.per_clinic, minimum=recipe.train.cluster_minimum)


def learnt(reports: Sequence[Report], recipe: Recipe) -> Sequence[Report]:
    """Training reports, with those that are made for rare modalities where the recipe asks for them."""
    asked = recipe.augment
    if not asked.modalities:
        return reports
    counts = Counter(report.modality for report in reports)
    wanted = {modality: round(asked.times * counts[modality]) for modality in asked.modalities}
    return (*reports, *augment(reports, wanted, _no_worse, seed=asked.seed, cap=asked.cap))


def _no_worse(made: Report, old: Report) -> bool:
    """Whether the checks notice nothing about a made report that they do not about the one it was made of."""
    return set(annotate(made, made.impression, "stop")) <= set(annotate(old, old.impression, "stop"))


def plan_adapters(parts: Split, clusters: Clusters, recipe: Recipe) -> Plan:
    """Which adapters the recipe asks for, and from which reports."""
    settings = recipe.train
    return plan(
        learnt(parts.train, recipe),
        clusters,
        unified_reports=settings.unified_reports,
        cluster_reports=settings.cluster_reports,
        cluster_minimum=settings.cluster_minimum,
        seed=settings.seed,
        afresh=settings.cluster_start == "afresh",
        each_modality=settings.modality_adapters,
    )


def checked_on(adapter: PlannedAdapter, parts: Split, clusters: Clusters) -> Sequence[Report]:
    """The validation reports of those whom an adapter is for; of all where there are none."""
    own = [report for report in parts.validation if adapter.learns_from(report, clusters)]
    return own or parts.validation


def estimates(
    parts: Split, clusters: Clusters, bundles: Path, recipe: Recipe, track: Track
) -> tuple[Plan, list[Estimate], float | None]:
    """What `train` would do and take, and the tokens a second that this goes by; nothing is fitted.

    The speed is the recipe's, else that of the last run into `bundles` on the same base model.
    """
    from radimpress.trainer.estimate import estimate
    from radimpress.trainer.fetch import base_folder
    from radimpress.trainer.load import load_tokens

    settings = recipe.train
    base = find_base(recipe.base)
    planned = plan_adapters(parts, clusters, recipe)
    speed = settings.tokens_per_second or last_speed(bundles, base.name, settings.quantisation)
    reader = load_tokens(base, base_folder(base, track))
    adapters = track(planned.adapters, "count tokens", len(planned.adapters))
    found = [estimate(one, checked_on(one, parts, clusters), reader, settings, speed) for one in adapters]
    return planned, found, speed


def train(
    parts: Split, clusters: Clusters, out: Path, recipe: Recipe, track: Track
) -> tuple[Plan, list[AdapterBundle]]:
    """Fits every planned adapter into `out`; trained.json names the bundles of this run.

    Where the budget ends a fit, the adapters after it are not begun: the next run with a larger one goes on.

    Raises:
        ConflictError: another `train` runs into the same folder.
    """
    from radimpress.trainer.checkpoint import alone
    from radimpress.trainer.fetch import base_folder
    from radimpress.trainer.fit import fit

    base = find_base(recipe.base)
    settings = recipe.train
    planned = plan_adapters(parts, clusters, recipe)
    folder = base_folder(base, track)
    made: dict[str, AdapterBundle] = {}
    left = settings.budget_usd
    # From the first adapter to the last: a fit holds the bundle folder for itself alone, and between two of them
    # another train would get in, and this one be refused. Of several processes the first holds it for all.
    with alone(out / RUNS) if os.environ.get("RANK", "0") == "0" else nullcontext():
        for adapter in planned.adapters:
            made[adapter.name] = fit(
                adapter,
                checked_on(adapter, parts, clusters),
                base=base,
                base_folder=folder,
                settings=settings,
                start=made[adapter.start_from] if adapter.start_from else None,
                clusters_digest=clusters.digest,
                into=out,
                # Without a budget what was spent is no debt.
                budget_usd=left if settings.budget_usd else 0.0,
                track=track,
                rate=rouge,
            )
            left -= made[adapter.name].manifest["cost_usd"]
            if made[adapter.name].manifest["stopped"] == "budget" or (settings.budget_usd and left <= 0):
                break
        write_json(out / TRAINED, {name: bundle.path.relative_to(out).as_posix() for name, bundle in made.items()})
    return planned, list(made.values())


def load_trained(bundles: Path) -> list[AdapterBundle]:
    """The bundles of the last `train` into this folder."""
    return [open_bundle(bundles / path) for path in read_json(bundles / TRAINED).values()]


def choose_adapters(bundles: Path, names: Sequence[str]) -> list[AdapterBundle]:
    """The named bundles: by the name that the last `train` gave them, or by path, in the bundle folder or anywhere.

    Without names, all of the last `train`.

    Raises:
        NotFoundError: there is none of that name or at that path.
        InputError: one is named twice.
    """
    if not names:
        return load_trained(bundles)
    trained = read_json(bundles / TRAINED) if (bundles / TRAINED).is_file() else {}
    chosen = []
    for name in names:
        within = bundles / trained.get(name, name)
        chosen.append(open_bundle(within if within.is_dir() else Path(name)))
        if chosen[-1].digest in [bundle.digest for bundle in chosen[:-1]]:
            raise InputError("adapter", f"{chosen[-1].name} ({chosen[-1].digest[:12]}) is named twice")
    return chosen


def system_names(bundles: Sequence[AdapterBundle]) -> list[str]:
    """What each bundle is called in an evaluation: its name, and where two have one name, "name@digest".

    No bundle's name holds an "@", so that its own name is what stands before it.
    """
    names = [bundle.name for bundle in bundles]
    return [b.name if names.count(b.name) == 1 else f"{b.name}@{b.digest[:_SHORT]}" for b in bundles]


def evaluate(
    parts: Split,
    clusters: Clusters,
    bundles: Sequence[AdapterBundle],
    writer: Writer,
    out: Path | None,
    recipe: Recipe,
    track: Track,
    *,
    part: str = "test",
    neural: Neural | None = None,
) -> Evaluation:
    """Asks base and adapters for impressions and scores them beside few-shot base and trivial baselines.

    A cluster's adapter is asked for its own clinics only, and a modality's for its own reports. Scores of the
    training part are for looking at, and the gate refuses them. What was answered before is read from
    `out`, so that a run that was broken off goes on; without `out` nothing is written down.

    Raises:
        ConfigError: an adapter was fitted for other clusters.
        GateError: a meta-gate refuses the evaluation; what was written stays on disk.
    """
    settings = recipe.eval
    for bundle in bundles:
        if bundle.manifest["clusters"] != clusters.digest:
            raise ConfigError(f"{bundle.name} was fitted for other clusters than these; train again")
    # Whatever refuses this evaluation, nobody is judged on the scores of an earlier one.
    if out is not None:
        for name in ("scores.json", "summary.json"):
            (out / name).unlink(missing_ok=True)
    cases = choose_cases(
        getattr(parts, part), clusters, limit=settings.cases, seed=settings.seed, per_modality=settings.per_modality
    )
    fitted = () if part == "train" else parts.train
    tokens, room = writer.tokens, writer.context and writer.context - settings.max_tokens
    # What no answer can change is refused before hours are spent on answers.
    for name, problem in (("leakage", leakage(cases, fitted)), ("length", too_long(cases, tokens, room))):
        if problem:
            raise GateError(f"meta-gate {name}: {problem}")
    index = Nearest(parts.train)
    written = [_ask(cases, writer, None, settings.max_tokens, out, track)]
    if settings.few_shot:
        examples = choose_examples(cases, index, settings.few_shot, tokens, room)
        written.append(_ask(cases, writer, None, settings.max_tokens, out, track, examples))
    for bundle, name in zip(bundles, system_names(bundles), strict=True):
        cluster, modality = bundle.manifest["cluster"], bundle.manifest.get("modality")
        asked = [c for c in cases if cluster in (None, c.cell.cluster) and modality in (None, c.cell.modality)]
        if asked:
            written.append(_ask(asked, writer, bundle, settings.max_tokens, out, track, name=name))
    written += baselines(cases, parts.train, index)
    scores = score(cases, written, clusters, PROMPT_VERSION, split=part, neural=neural)
    refuse(cases, written, scores, fitted, tokens=tokens, limit=room)
    summary = summarize(scores)
    if out is not None:
        scores.save(out / "scores.json")
        write_json(out / "summary.json", summary)
    return Evaluation(cases, tuple(written), scores, summary)


def _ask(
    cases: Sequence[Case],
    writer: Writer,
    bundle: AdapterBundle | None,
    max_tokens: int,
    out: Path | None,
    track: Track,
    examples: Sequence[Sequence[Report]] | None = None,
    name: str = "",
) -> Predictions:
    """One system's predictions, with a bar where anything is left to ask."""
    name = name or (BASE if examples is None else FEW_SHOT)
    # Closed here and now, whoever breaks it off: an engine must not be left with prompts that nobody waits for.
    folder = out / "predictions" if out else None
    with closing(predict(cases, writer, bundle, max_tokens, folder, examples, name)) as answers:
        first = next(answers)
        if first is not None:
            return first
        # Just as many as there are cases, so that the bar ends full; what comes then are the predictions.
        for _ in track(islice(chain([first], answers), len(cases)), f"evaluate {name}", len(cases)):
            pass
        made = next(answers)
    assert made is not None
    return made


def verdicts(
    scores: Scores, candidate: str, table: RouteTable | None, rule: Rule, against: str | None = None
) -> list[Verdict]:
    """Judges a candidate in each slice, and last in all together.

    `against` names one system to judge against in every slice; without it, it is who serves the slice in
    `table`, and without a table the base model.

    Raises:
        ConfigError: the table is of other clusters, or the scores of another version of the program.
        GateError: the candidate or an incumbent was not evaluated, or the scores are of training reports.
    """
    if scores.code_version != code_version():
        raise ConfigError("the scores are of another version of the program; eval run scores anew what was answered")
    incumbents: Mapping[Cell, str] = {}
    if table is not None and against is None:
        if table.clusters_digest != scores.clusters_digest:
            raise ConfigError("the route table and the scores are of other clusters; evaluate again")
        # By weights: a system of the same name may be another version. "name@version" names no system.
        incumbents = {
            cell: scores.system_of(entry.adapter.digest, str(entry.adapter))
            for cell, entry in table.entries.items()
            if entry.adapter
        }
    default = against or BASE
    return [*judge(scores, candidate, incumbents, default, rule), judge_overall(scores, candidate, default, rule)]


def gate(
    scores: Scores,
    candidate: str,
    table: RouteTable | None,
    rule: Rule,
    out: Path | None = None,
    *,
    against: str | None = None,
    bundles: Path | None = None,
    key: Ed25519PrivateKey | None = None,
) -> Certificate:
    """Judges a candidate as `verdicts` does and writes its certificate, signed where a key is given; to `out` if any.

    In the folder `bundles` stands what the candidate was fitted on, where the last `train` was there.
    """
    *words, overall = verdicts(scores, candidate, table, rule, against)
    data = _fitted_on(bundles, scores.systems[candidate].digest) if bundles else ""
    certificate = certify(scores, candidate, words, overall, rule, data_digest=data)
    certificate = replace(certificate, adapter=candidate.partition("@")[0])
    if key is not None:
        certificate = certificate.signed(key)
    if out is not None:
        write_atomic(out, certificate.encode())
    return certificate


def _fitted_on(bundles: Path, digest: str) -> str:
    """Digest of the reports that an adapter was fitted on; empty where the last `train` made another."""
    if not (bundles / TRAINED).is_file():
        return ""
    try:
        found = [bundle for bundle in load_trained(bundles) if bundle.digest == digest]
    except (NotFoundError, BundleError):
        return ""
    return str(found[0].manifest.get("data", {}).get("digest", "")) if found else ""

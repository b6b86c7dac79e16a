"""`radimpress bench trainer --only quality`: what adapters write, beside base and trivial systems, over several seeds.

On synthetic reports: cluster adapters against the unified one on their own clinics, and the unified one against one
that is fitted and asked without modality. On real ones (`--reports`): the unified one alone. A seed is a corpus, or
another split of the real one, and another start of the fits. All that it makes stays in a folder of its own, so that
a run that was broken off goes on; it holds reports' texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from radimpress.clustering.clusters import Clusters
from radimpress.eval.baselines import TRIVIAL
from radimpress.eval.bootstrap import Estimate
from radimpress.eval.cases import Case
from radimpress.eval.predict import BASE, Predictions, Writer, predict
from radimpress.eval.score import METRICS, Judged, Scores, System, score
from radimpress.reports.errors import ConfigError
from radimpress.reports.files import digest_of, write_json
from radimpress.reports.progress import Track, silent
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Modality, Report
from radimpress.reports.split import Split
from radimpress.server import steps
from radimpress.server.bench.material import Figure
from radimpress.server.engines.writer import EngineWriter
from radimpress.server.recipe import Recipe, demo_recipe
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.plan import UNIFIED, PlannedAdapter

QUALITY = "quality"
CLUSTER = "cluster"
BLIND = "unified-blind"
COUNT = 3000
FACTS = ("modality_told_by_findings", "test_impressions_in_training", "cases")
_NONE = 10**9
# Each pair: the difference of which two systems is told.
_PAIRS = ((CLUSTER, UNIFIED), (UNIFIED, BLIND), (UNIFIED, BASE), (UNIFIED, "nearest"), (UNIFIED, "constant"))


def open_writer(base: str, track: Track) -> tuple[Writer, Callable[[], None]]:
    """The in-process engine on a base model, and what closes it."""
    from radimpress.server.engines.opening import open_engine
    from radimpress.server.settings import load_settings

    engine = open_engine(load_settings(base=base, engine="inprocess"), track)
    return EngineWriter(engine), engine.close


@dataclass(frozen=True, slots=True)
class QualityBench:
    """What is fitted and asked.

    Attributes:
        recipe: the pipeline's settings; its seeds are replaced by each seed in turn.
        folder: of what each seed makes.
        seeds: the numbers of the seeds.
        files: real reports; none makes synthetic ones.
        count: synthetic reports, before the filter.
        track: draws progress.
        told: hears of each seed.
        writer: gives the model that writes on the recipe's base model, and a call that closes it.
    """

    recipe: Recipe
    folder: Path
    seeds: Sequence[int]
    files: Sequence[Path] = ()
    count: int = COUNT
    track: Track = silent
    told: Callable[[str], None] = lambda _: None
    writer: Callable[[str, Track], tuple[Writer, Callable[[], None]]] = open_writer


def quality_recipe() -> Recipe:
    """The demo's, somewhat smaller: about ten minutes a seed on two cores that do nothing else."""
    recipe = demo_recipe()
    train = recipe.train.model_copy(update={"unified_reports": 200})
    return recipe.model_copy(update={"train": train, "eval": recipe.eval.model_copy(update={"cases": 96})})


def measure_quality(bench: QualityBench) -> dict[str, Figure]:
    """Means and paired differences, seeds together: the patients of all are resampled, at 90%.

    Names are "<system>_<metric>" and "<system>_minus_<other>_<metric>", those of abnormal reports end in
    "_abnormal", those of one seed in "_seed_<number>".
    """
    done: dict[int, Scores] = {}
    seen: dict[str, list[float]] = {}
    for seed in bench.seeds:
        done[seed], told = _seed(bench, seed)
        for name, value in told.items():
            seen.setdefault(name, []).append(value)
        for name, figure in _own(done[seed]).items():
            bench.told(f"seed {seed}: {name} {figure.value:+.3f} [{figure.low:+.3f}, {figure.high:+.3f}]")
    pooled = pool(done)
    per_seed = {f"{name}_seed_{seed}": one for seed, scores in done.items() for name, one in _own(scores).items()}
    facts = {name: Figure.of(values) for name, values in seen.items()}
    return {**differences(pooled), **means(pooled), **per_seed, **facts}


def _seed(bench: QualityBench, seed: int) -> tuple[Scores, dict[str, float]]:
    """One seed's scores, and what its reports are like; what was made of it before is taken as it is."""
    recipe = _seeded(bench.recipe, seed)
    asked = [str(file) for file in bench.files] or bench.count
    folder = (
        bench.folder / f"seed-{seed}-{digest_of([recipe.model_dump(mode='json', exclude_defaults=True), asked])[:8]}"
    )
    # Findings and impressions are nobody's but whoever measures.
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    files = bench.files
    if not files:
        files = [folder / "reports.jsonl"]
        steps.make_reports(files[0], bench.count, seed, bench.track)
    steps.prepare(files, folder / "dataset", recipe, bench.track)
    parts = steps.load_split(folder / "dataset")
    clusters = steps.cluster(parts, folder / "clusters.json", recipe, bench.track)
    if bench.files:
        # Real files have no clinics that are known to write in a style of their own.
        recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"cluster_minimum": _NONE})})
    planned, bundles = steps.train(parts, clusters, folder / "bundles", recipe, bench.track)
    blind = None if bench.files else _fit_blind(planned.adapters[0], parts, clusters, folder, recipe, bench.track)
    writer, close = bench.writer(recipe.base, bench.track)
    try:
        done = steps.evaluate(parts, clusters, bundles, writer, folder / "eval", recipe, bench.track)
        scores = done.scores
        if blind is not None:
            wrote = _ask_blind(done.cases, writer, blind, recipe.eval.max_tokens, folder, bench.track)
            own = score(done.cases, [wrote], clusters, PROMPT_VERSION)
            scores = replace(scores, systems={**scores.systems, **own.systems})
    finally:
        close()
    scores = together(scores)
    told = _facts(parts, done.cases)
    figures = {**differences(scores), **means(scores)}
    shown = {name: [one.value, one.low, one.high] for name, one in figures.items()}
    write_json(folder / "quality.json", {"seed": seed, "facts": told, "figures": shown})
    return scores, told


def _seeded(recipe: Recipe, seed: int) -> Recipe:
    sections = ("split", "cluster", "train", "eval")
    return recipe.model_copy(
        update={name: getattr(recipe, name).model_copy(update={"seed": seed}) for name in sections}
    )


def _fit_blind(
    unified: PlannedAdapter, parts: Split, clusters: Clusters, folder: Path, recipe: Recipe, track: Track
) -> AdapterBundle:
    """The unified adapter's fit, from the same reports, none of which says its modality."""
    from radimpress.trainer.bases import find_base
    from radimpress.trainer.fetch import base_folder
    from radimpress.trainer.fit import fit

    base = find_base(recipe.base)
    return fit(
        PlannedAdapter(BLIND, None, None, tuple(map(_blind, unified.reports))),
        [_blind(report) for report in parts.validation],
        base=base,
        base_folder=base_folder(base, track),
        settings=recipe.train,
        start=None,
        clusters_digest=clusters.digest,
        into=folder / "bundles",
        track=track,
    )


def _ask_blind(
    cases: Sequence[Case], writer: Writer, bundle: AdapterBundle, max_tokens: int, folder: Path, track: Track
) -> Predictions:
    hidden = [replace(case, report=_blind(case.report)) for case in cases]
    with closing(predict(hidden, writer, bundle, max_tokens, folder / "eval" / "predictions")) as answers:
        *_, made = track(answers, f"evaluate {BLIND}", len(cases) + 1)
    assert made is not None
    return made


def _blind(report: Report) -> Report:
    return replace(report, modality=Modality.UNSPECIFIED)


def together(scores: Scores) -> Scores:
    """The same scores, with one system more: each cluster's adapter on the clinics of its own."""
    own = [system for system in scores.systems.values() if system.cluster is not None]
    rows = {case: row for system in own for case, row in system.scores.items()}
    return replace(
        scores, systems={**scores.systems, CLUSTER: System(CLUSTER, "", "", rows)} if rows else scores.systems
    )


def pool(done: Mapping[int, Scores]) -> Scores:
    """Several seeds' scores as one; no patient of one seed is another's.

    Raises:
        ConfigError: there is none.
    """
    if not done:
        raise ConfigError("no seed to measure")
    cases: list[Judged] = []
    rows: dict[str, dict[str, Mapping[str, float]]] = {}
    for seed, scores in done.items():
        cases += [replace(case, id=f"{seed}/{case.id}", group=f"{seed}/{case.group}") for case in scores.cases]
        for name, system in scores.systems.items():
            if system.cluster is None:
                rows.setdefault(name, {}).update({f"{seed}/{case}": row for case, row in system.scores.items()})
    first = next(iter(done.values()))
    return replace(first, cases=tuple(cases), systems={name: System(name, "", "", own) for name, own in rows.items()})


def differences(scores: Scores) -> dict[str, Figure]:
    """The paired differences of systems, by metric, and on the abnormal reports alone."""
    found = {}
    for part, suffix in _parts(scores):
        for one, other in _PAIRS:
            if {one, other} <= part.systems.keys():
                for metric in METRICS:
                    estimate = part.difference(one, other, metric)
                    if estimate is not None:
                        found[f"{_word(one)}_minus_{_word(other)}_{metric}{suffix}"] = _figure(estimate)
    return found


def means(scores: Scores) -> dict[str, Figure]:
    """Each system's means, by metric, and on the abnormal reports alone."""
    found = {}
    for part, suffix in _parts(scores):
        for name in (BASE, UNIFIED, BLIND, CLUSTER, *TRIVIAL):
            for metric in METRICS if name in part.systems else ():
                estimate = part.mean(name, metric)
                if estimate is not None:
                    found[f"{_word(name)}_{metric}{suffix}"] = _figure(estimate)
    return found


def rows(figures: Mapping[str, Figure], suffix: str = "") -> Iterator[tuple[str, ...]]:
    """Lines of a table, system by metric: "value [low, high]"."""
    names = [_word(name) for name in (BASE, UNIFIED, BLIND, CLUSTER, *TRIVIAL)]
    for name in (*names, *(f"{_word(one)}_minus_{_word(other)}" for one, other in _PAIRS)):
        found = [figures.get(f"{name}_{metric}{suffix}") for metric in METRICS]
        sign = "+" if "_minus_" in name else ""
        cells = [f"{one.value:{sign}.3f} [{one.low:{sign}.3f}, {one.high:{sign}.3f}]" for one in found if one]
        if cells:
            yield (name.replace("_minus_", " - "), *cells)


def _own(scores: Scores) -> dict[str, Figure]:
    """Of one seed, the two differences that are promised."""
    promised = (f"{CLUSTER}_minus_{UNIFIED}", f"{UNIFIED}_minus_{_word(BLIND)}", f"{UNIFIED}_minus_{BASE}")
    wanted = {f"{name}_{metric}" for name in promised for metric in ("rougeL", "style")}
    return {name: figure for name, figure in differences(scores).items() if name in wanted}


def _parts(scores: Scores) -> tuple[tuple[Scores, str], ...]:
    return (scores, ""), (replace(scores, cases=tuple(case for case in scores.cases if case.abnormal)), "_abnormal")


def _word(name: str) -> str:
    return name.replace("-", "_")


def _figure(estimate: Estimate) -> Figure:
    return Figure(estimate.mean, estimate.low, estimate.high)


def _facts(parts: Split, cases: Sequence[Case]) -> dict[str, float]:
    """What has to be known to read the figures."""
    known = {report.impression for report in parts.train}
    repeated = sum(case.report.impression in known for case in cases) / len(cases)
    return dict(zip(FACTS, (_told_by_findings(parts), repeated, float(len(cases))), strict=True))


def _told_by_findings(parts: Split) -> float:
    """The share of test reports whose modality a linear model reads off the findings' words; 1 where all have one.

    Where it is 1, a prompt that says the modality says nothing new.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    said = [report.modality.value for report in parts.train]
    truth = [report.modality.value for report in parts.test]
    if len(set(said)) < 2:
        return sum(one == said[0] for one in truth) / len(truth)
    words = TfidfVectorizer(ngram_range=(1, 2))
    vectors = words.fit_transform(report.findings for report in parts.train)
    model = LogisticRegression(C=100, max_iter=1000).fit(vectors, said)
    return float(model.score(words.transform(report.findings for report in parts.test), truth))

"""Does augmentation help the modalities that it makes reports for? Two fits that differ in nothing else.

The synthetic corpus has the published mix, in which NM and OTHER are rare. One fit learns from it as it is, the other
with NM and OTHER doubled as `[augment]` does, both for the same number of optimiser steps: the fit without sees what it
has a little more often. Each writes the impressions of the same held-out reports, and the differences are paired.

A seed draws the corpus, the reports and the fits anew. What it found is written at once, scores without texts, so that
a measurement that was broken off goes on with the next seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from radimpress.clustering.cell import ANY, Cell
from radimpress.eval.bootstrap import Estimate, estimate
from radimpress.eval.cases import Case
from radimpress.eval.checks import annotate
from radimpress.eval.metrics.rouge import rouge_l
from radimpress.eval.predict import Predictions, Writer, predict
from radimpress.eval.score import usual_words
from radimpress.reports.errors import InputError
from radimpress.reports.files import digest_of, read_json, write_json
from radimpress.reports.progress import Track, silent
from radimpress.reports.report import Modality, Report
from radimpress.reports.split import groups, split
from radimpress.reports.synthetic import SHARES, synthesize
from radimpress.server.bench.material import Figure
from radimpress.server.recipe import AugmentRecipe, Recipe
from radimpress.server.steps import learnt
from radimpress.trainer.bases import BaseModel, base_digest
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.plan import PlannedAdapter
from radimpress.trainer.settings import FitSettings

AUGMENTATION = "augmentation"
WITH, WITHOUT = "with", "without"
RARE = (Modality.NM, Modality.OTHER)
REST = "rest"
MEASURES = ("rouge_l", "violations")
# Enough that the held-out part has the cases of the rarest modality.
_CORPUS = 8000
_LEARN, _TEST = 0.5, 0.45
_SETTINGS = FitSettings(learning_rate=2e-3, batch=1, accumulation=1, max_tokens=512, validation_reports=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationBench:
    """What is needed to measure.

    Attributes:
        base: the base model.
        base_folder: its files.
        folder: that bundles may be written to.
        keep: where what a seed found stays, and is taken from when it is there; None keeps nothing.
        seeds: how many.
        first: number of the first.
        trained: reports of a fit before any are made, in the published mix.
        cases: held-out reports of NM, of OTHER, and of all others together.
        max_tokens: of an impression.
        track: shows progress.
        told: hears of each seed's outcome.
    """

    base: BaseModel
    base_folder: Path
    folder: Path
    keep: Path | None = None
    seeds: int = 3
    first: int = 0
    trained: int = 200
    cases: int = 60
    max_tokens: int = 80
    track: Track = silent
    told: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One held-out report, written by both fits.

    Attributes:
        slice: NM, OTHER or REST.
        group: reports of one share a patient or findings.
        rouge_l: F1 in [0, 1], of the fit without and of the fit with.
        violations: how many checks noticed something, likewise.
    """

    slice: str
    group: str
    rouge_l: tuple[float, float]
    violations: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Seed:
    """What one seed found.

    Attributes:
        steps: of each fit.
        learnt: reports of NM and of OTHER, without and with.
        outcomes: of the held-out reports.
    """

    steps: int
    learnt: dict[str, tuple[int, int]]
    outcomes: tuple[Outcome, ...]


def measure(bench: AugmentationBench) -> dict[str, Figure]:
    """With minus without, over all seeds.

    <measure>_<slice>: mean difference of the cases, its 90% interval by patient, of ROUGE-L (better higher) and of
    checks that noticed something (better lower). Where there are several seeds, <measure>_<slice>_by_seed: the same
    mean with seeds as what is drawn, so that what differs from fit to fit is in the interval.
    <measure>_<slice>_with and _without: the two means.
    """
    found = [(seed, _seed(bench, seed)) for seed in range(bench.first, bench.first + bench.seeds)]
    figures: dict[str, Figure] = {}
    for slice_ in (*RARE, REST):
        rows = [(seed, one) for seed, of in found for one in of.outcomes if one.slice == slice_]
        patients = [f"{seed}/{one.group}" for seed, one in rows]
        seeds = [str(seed) for seed, _ in rows]
        for name in MEASURES:
            pairs = [getattr(one, name) for _, one in rows]
            gains = [float(after - before) for before, after in pairs]
            figures[f"{name}_{slice_}"] = _figure(estimate(gains, patients))
            if len(found) > 1:
                figures[f"{name}_{slice_}_by_seed"] = _figure(estimate(gains, seeds))
            for at, side in enumerate((WITHOUT, WITH)):
                means = estimate([float(pair[at]) for pair in pairs], patients)
                figures[f"{name}_{slice_}_{side}"] = _figure(means)
    return figures


def learn_from(reports: Sequence[Report], count: int) -> tuple[Report, ...]:
    """`count` reports in the published mix, the first of each modality."""
    wanted = {modality: max(1, round(share * count)) for modality, share in SHARES.items()}
    taken = []
    for report in reports:
        if wanted.get(report.modality, 0):
            wanted[report.modality] -= 1
            taken.append(report)
    return tuple(taken)


def choose(reports: Sequence[Report], count: int) -> tuple[Case, ...]:
    """The first `count` reports of NM, of OTHER and of all others.

    Raises:
        InputError: there are fewer.
    """
    left = dict.fromkeys((*RARE, REST), count)
    cases = []
    for report, group in zip(reports, groups(reports), strict=True):
        if left[_slice(report)]:
            left[_slice(report)] -= 1
            cases.append(Case(report, Cell(report.modality, ANY), group, 1.0))
    missing = [name for name, more in left.items() if more]
    if missing:
        raise InputError("cases", f"the corpus holds out fewer than {count} of {', '.join(missing)}")
    return tuple(cases)


def _seed(bench: AugmentationBench, seed: int) -> Seed:
    """What a seed finds, or found before under the same conditions."""
    terms = [bench.trained, bench.cases, bench.max_tokens, _SETTINGS.decisive(), _CORPUS]
    key = digest_of([*terms, base_digest(bench.base, bench.base_folder)])[:16]
    path = bench.keep / f"augmentation-{key}-{seed}.json" if bench.keep else None
    if path is not None and path.is_file():
        found = _of_json(path)
    else:
        found = _run(bench, seed)
        if path is not None:
            write_json(path, _as_json(found))
    bench.told(f"augmentation {seed}: {_line(found)}")
    return found


def _run(bench: AugmentationBench, seed: int) -> Seed:
    from radimpress.server.engines.inprocess import InProcessEngine
    from radimpress.server.engines.writer import EngineWriter
    from radimpress.trainer.estimate import estimate as count_steps
    from radimpress.trainer.fit import fit
    from radimpress.trainer.load import load_base, load_tokens

    parts = split(list(synthesize(_CORPUS, seed, 0.0)), seed=seed, train=_LEARN, test=_TEST)
    recipe = Recipe(augment=AugmentRecipe(modalities=RARE, times=2.0, seed=seed))
    plain = learn_from(parts.train, bench.trained)
    sides = {WITHOUT: plain, WITH: tuple(learnt(plain, recipe))}
    settings = _SETTINGS.model_copy(update={"seed": seed})
    reader = load_tokens(bench.base, bench.base_folder)
    planned = {side: PlannedAdapter(side, None, None, reports) for side, reports in sides.items()}
    plans = {side: count_steps(one, parts.validation, reader, settings, None) for side, one in planned.items()}
    # As many rows as the fit with sees in its one epoch; the half is for rounding.
    epochs = {WITH: 1.0, WITHOUT: max(1.0, (plans[WITH].rows - 0.5) / plans[WITHOUT].rows)}
    bundles = {}
    for side, one in planned.items():
        bundles[side] = fit(
            one,
            parts.validation,
            base=bench.base,
            base_folder=bench.base_folder,
            settings=settings.model_copy(update={"epochs": epochs[side]}),
            start=None,
            clusters_digest="0" * 64,
            into=bench.folder / f"seed-{seed}",
            track=bench.track,
        )
    steps = {side: bundle.manifest["steps"]["made"] for side, bundle in bundles.items()}
    if len(set(steps.values())) > 1:
        raise InputError("epochs", f"the fits made {steps[WITHOUT]} and {steps[WITH]} steps, and cannot be compared")
    cases = choose(parts.test, bench.cases)
    engine = InProcessEngine(load_base(bench.base, bench.base_folder))
    try:
        writer = EngineWriter(engine)
        written = [_ask(cases, writer, bundles[side], bench) for side in (WITHOUT, WITH)]
    finally:
        engine.close()
    counts = {side: Counter(report.modality for report in reports) for side, reports in sides.items()}
    made = {modality.value: (counts[WITHOUT][modality], counts[WITH][modality]) for modality in RARE}
    return Seed(steps[WITH], made, tuple(_outcomes(cases, *written)))


def _ask(cases: Sequence[Case], writer: Writer, bundle: AdapterBundle, bench: AugmentationBench) -> Predictions:
    """All that one fit writes; nothing of it goes to disk."""
    with closing(predict(cases, writer, bundle, bench.max_tokens, None)) as answers:
        for one in bench.track(answers, f"write {bundle.name}", len(cases) + 1):
            if one is not None:
                return one
    raise AssertionError("predictions end with what was written")


def _outcomes(cases: Sequence[Case], before: Predictions, after: Predictions) -> Iterator[Outcome]:
    usual = usual_words(cases)
    for case, *rows in zip(cases, before.rows, after.rows, strict=True):
        report = case.report
        scores = [rouge_l(row.impression, report.impression) for row in rows]
        noticed = [len(annotate(report, row.impression, row.finish, usual[report.clinic])) for row in rows]
        yield Outcome(_slice(report), case.group, (scores[0], scores[1]), (noticed[0], noticed[1]))


def _slice(report: Report) -> str:
    return report.modality.value if report.modality in RARE else REST


def _figure(found: Estimate) -> Figure:
    return Figure(found.mean, found.low, found.high)


def _line(found: Seed) -> str:
    """One seed in one line."""
    said = [f"{found.steps} steps"]
    said += [f"{name} {before} -> {after} learnt" for name, (before, after) in found.learnt.items()]
    for slice_ in (*RARE, REST):
        own = [one for one in found.outcomes if one.slice == slice_]
        for name in MEASURES:
            before, after = (sum(getattr(one, name)[at] for one in own) / len(own) for at in (0, 1))
            said.append(f"{slice_} {name} {before:.3f} -> {after:.3f}")
    return ", ".join(said)


def _as_json(found: Seed) -> dict[str, object]:
    rows = [[one.slice, one.group, *one.rouge_l, *one.violations] for one in found.outcomes]
    return {"steps": found.steps, "learnt": found.learnt, "outcomes": rows}


def _of_json(path: Path) -> Seed:
    data = read_json(path)
    try:
        outcomes = tuple(Outcome(name, group, (a, b), (c, d)) for name, group, a, b, c, d in data["outcomes"])
        learnt_of = {name: (before, after) for name, (before, after) in data["learnt"].items()}
        return Seed(data["steps"], learnt_of, outcomes)
    except (KeyError, TypeError, ValueError):
        raise InputError(str(path), "is not what a seed of this measurement wrote") from None

"""`radimpress bench gate`: the gate's error rates, its speed, and how well negation is read.

The speed is of everything but generation: 1,915 synthetic reports in 8 modalities and 6 clusters, three
systems scored and checked, meta-gates, verdicts with 10,000 resamples, certificate and outputs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace

from radimpress.clustering.cell import Cell
from radimpress.clustering.clusters import Clusters
from radimpress.clustering.features import NAMES
from radimpress.eval.cases import Case
from radimpress.eval.certificate import Certificate, certify
from radimpress.eval.gate import Rule, Verdict, judge, judge_overall
from radimpress.eval.meta import refuse
from radimpress.eval.outputs import as_json, junit, markdown
from radimpress.eval.predict import BASE, Prediction, Predictions
from radimpress.eval.published import CANDIDATE, INCUMBENT, published_scores
from radimpress.eval.score import score
from radimpress.eval.simulate import Rate, simulate
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Modality
from radimpress.reports.synthetic import synthesize
from radimpress.server.bench.material import Figure

CASES = 1915
_SEED = 7
_ROUNDS = 3
_CLUSTERS = tuple(f"cluster-{letter}" for letter in "abcdef")
_MODALITIES = tuple(Modality)[:8]


def measure(runs: int, told: Callable[[Rate], None] | None = None) -> dict[str, Figure]:
    """All figures; `told` hears of each simulation when it is done.

    worse_passes, equal_passes: share of all runs that passed, with the lowest and the highest of all shapes
    and sizes. seconds: median and range of three rounds. negation_right: of the negation test set.
    """
    from radimpress.eval.measure import negation_right

    rates = []
    for rate in simulate(runs, Rule()):
        if told:
            told(rate)
        rates.append(rate)
    right = negation_right()
    cases, predictions, clusters = material()
    rounds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        judge_all(cases, predictions, clusters)
        rounds.append(time.perf_counter() - began)
    return {
        "worse_passes": _share([rate for rate in rates if rate.truth == "worse"]),
        "equal_passes": _share([rate for rate in rates if rate.truth == "equal"]),
        "seconds": Figure.of(rounds),
        "negation_right": Figure(right, right, right),
    }


def material(count: int = CASES) -> tuple[tuple[Case, ...], tuple[Predictions, ...], Clusters]:
    """Synthetic cases in every slice, and what base, incumbent and candidate wrote: references, more or less."""
    cases = []
    for at, report in enumerate(synthesize(count, _SEED, 0.0)):
        modality, cluster = _MODALITIES[at // len(_CLUSTERS) % len(_MODALITIES)], _CLUSTERS[at % len(_CLUSTERS)]
        placed = replace(report, modality=modality, clinic=cluster)
        cases.append(Case(placed, Cell(modality, cluster), f"patient/{report.patient}", 1.0))
    clusters = Clusters(
        clinics={name: name for name in _CLUSTERS},
        profiles=dict.fromkeys(_CLUSTERS, dict.fromkeys(NAMES, 0.5)),
        embedder="none",
        data="0" * 64,
        why="made up",
    )
    systems = ((BASE, "", 0.4), ("incumbent", "1" * 64, 0.2), ("candidate", "2" * 64, 0.15))
    predictions = []
    for name, digest, lost in systems:
        chance = random.Random(f"{_SEED}/{name}")
        rows = [Prediction(case.report.id, _worn(case.report.impression, lost, chance), "stop", 40) for case in cases]
        predictions.append(Predictions(name, digest, "b" * 64, tuple(rows)))
    return tuple(cases), tuple(predictions), clusters


def judge_all(cases: tuple[Case, ...], predictions: tuple[Predictions, ...], clusters: Clusters) -> Certificate:
    """Everything but generation, from predictions to a certificate and its outputs."""
    rule = Rule()
    scores = score(cases, predictions, clusters, PROMPT_VERSION)
    refuse(cases, predictions, scores, ())
    verdicts = judge(scores, "candidate", {}, "incumbent", rule)
    overall = judge_overall(scores, "candidate", "incumbent", rule)
    certificate = certify(scores, "candidate", verdicts, overall, rule)
    certificate.encode()
    for output in (as_json, junit, markdown):
        output(certificate)
    return certificate


def published(cases: int | None) -> list[Verdict]:
    """The gate's words on the published experiment: its slices over all clinics."""
    verdicts = judge(published_scores(cases), CANDIDATE, {}, INCUMBENT, Rule())
    return [verdict for verdict in verdicts if verdict.cell and verdict.cell.cluster == "any"]


def _share(rates: list[Rate]) -> Figure:
    shares = [rate.share for rate in rates]
    return Figure(sum(rate.passes for rate in rates) / sum(rate.runs for rate in rates), min(shares), max(shares))


def _worn(text: str, lost: float, chance: random.Random) -> str:
    words = [word for word in text.split(" ") if chance.random() >= lost]
    return " ".join(words) or text

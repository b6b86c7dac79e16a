"""`radimpress bench clustering`: are clinics grouped by style where the truth is known, and at what cost?

Corpora come from styles.py, and for six clinics from the synthetic corpus. Every figure is a mean over seeds with the
lowest and the highest. Vectors are kept in the cache, so that a second run embeds nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from radimpress.clustering.assign import Assignment, assign
from radimpress.clustering.cache import VectorCache
from radimpress.clustering.clusters import Clusters
from radimpress.clustering.drift import drift
from radimpress.clustering.embed import Embedder
from radimpress.clustering.fit import FitRules, fit_vectors
from radimpress.clustering.vectors import StyleVectors, vectors_of
from radimpress.reports.house_style import STYLES
from radimpress.reports.progress import Track, silent
from radimpress.reports.report import Report
from radimpress.reports.synthetic import SHARES, synthesize
from radimpress.server.bench.material import Figure
from radimpress.server.bench.scale import Words
from radimpress.server.bench.styles import WAYS, Corpus, case_mix, changed_hand, make_corpus, make_hand, write

CLINICS = 200
_PER_CLINIC = 24
_SMALL = 300
_ONE = 24
_NEW = 2
_STRANGERS = 8
_HANDFUL = 20
_MONTHLY = 60
_YEARS = 24
_BEFORE = 120
_MONTHS = 12
_CHANGE = 7
_FORM = {"numbered": "list", "bullets": "list"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteringBench:
    """What is needed to measure.

    Attributes:
        embedder: of the vectors.
        cache: of the vectors; None makes them anew.
        seeds: how many corpora of each kind.
        first: number of the first of them.
        track: shows progress.
        told: hears of each seed's outcome.
    """

    embedder: Embedder
    cache: VectorCache | None
    seeds: int = 20
    first: int = 0
    track: Track = silent
    told: Callable[[str], None] | None = None

    def vectors(self, reports: Sequence[Report]) -> StyleVectors:
        """Vectors of some reports."""
        return vectors_of(reports, self.embedder, self.cache, self.track)

    def fit(self, reports: Sequence[Report], made: StyleVectors, seed: int) -> Clusters:
        """Clusters of all of these reports."""
        totals = Counter(report.clinic for report in reports)
        return fit_vectors(reports, made, totals, FitRules(seed=seed, minimum=1))


def measure(bench: ClusteringBench, only: Iterable[str] = ()) -> dict[str, Figure]:
    """The figures of some groups, all of GROUPS without `only`."""
    seen: dict[str, list[float]] = {}
    for name in only or GROUPS:
        for seed in range(bench.first, bench.first + bench.seeds):
            outcome = GROUPS[name](bench, seed)
            if bench.told:
                bench.told(f"{name} {seed}: " + ", ".join(f"{key} {value:.3f}" for key, value in outcome.items()))
            for key, value in outcome.items():
                seen.setdefault(key, []).append(value)
    return {key: Figure(float(np.mean(values)), min(values), max(values)) for key, values in seen.items()}


def small(bench: ClusteringBench, seed: int) -> dict[str, float]:
    """Six clinics of three styles that scan alike."""
    reports = list(synthesize(_SMALL, seed, 0.0))
    truth = {clinic: _FORM.get(style.form, style.form) for clinic, style in STYLES.items()}
    return {"ari_small": agreement(bench.fit(reports, bench.vectors(reports), seed), truth)}


def confounded(bench: ClusteringBench, seed: int) -> dict[str, float]:
    """200 clinics of eight styles that scan mostly one modality; k-means on mean embeddings is told the number."""
    corpus, made = _corpus(bench, seed)
    clusters = bench.fit(corpus.reports, made, seed)
    return {"ari_confounded": agreement(clusters, corpus.truth), "ari_naive": _naive(corpus, made, seed)}


def one(bench: ClusteringBench, seed: int) -> dict[str, float]:
    """24 clinics of one style, each with a case mix of its own and up to four times another one's reports."""
    way = list(WAYS)[seed % len(WAYS)]
    corpus = make_corpus(seed, clinics=_ONE, ways=(way,), reports=_PER_CLINIC)
    clusters = bench.fit(corpus.reports, bench.vectors(corpus.reports), seed)
    return {"one_style_found": float(len(clusters.names) == 1)}


def newcomers(bench: ClusteringBench, seed: int) -> dict[str, float]:
    """Clinics that no fit has seen: of a known style, and of one that was left out of the fit."""
    corpus, made = _corpus(bench, seed)
    chance = random.Random(f"newcomers/{seed}")
    clusters = bench.fit(corpus.reports, made, seed)
    home = _homes(clusters, corpus.truth)
    right = [
        said.cluster is not None and home.get(way) == said.cluster
        for way in WAYS
        for said in _arrivals(bench, clusters, way, _NEW, chance)
    ]
    foreign = list(WAYS)[seed % len(WAYS)]
    rows = [at for at, report in enumerate(corpus.reports) if corpus.truth[report.clinic] != foreign]
    rest = StyleVectors(made.features[rows], made.embeddings[rows])
    without = bench.fit([corpus.reports[at] for at in rows], rest, seed)
    unsure = [said.cluster is None for said in _arrivals(bench, without, foreign, _STRANGERS, chance)]
    return {"new_clinic_right": float(np.mean(right)), "new_style_unsure": float(np.mean(unsure))}


def watched(bench: ClusteringBench, seed: int) -> dict[str, float]:
    """24 clinics that write on as before for a year, and then take to another style in the seventh month.

    Drift is told from features alone, so that hashed words stand for the embedding here.
    """
    bench = replace(bench, embedder=Words(), cache=None)
    corpus = make_corpus(seed, clinics=_YEARS, reports=_BEFORE)
    clusters = bench.fit(corpus.reports, bench.vectors(corpus.reports), seed)
    chance = random.Random(f"watched/{seed}")
    year = range(1, _MONTHS + 1)
    steady = [
        any(month.alarm for month in drift(clusters, clinic, _months(bench, corpus, clinic, year, "", chance)))
        for clinic in sorted(corpus.truth)
    ]
    caught = []
    for clinic in sorted(corpus.truth):
        way = chance.choice([other for other in WAYS if other != corpus.truth[clinic]])
        month = drift(clusters, clinic, _months(bench, corpus, clinic, range(_CHANGE, _CHANGE + 1), way, chance))
        caught.append(month[0].alarm)
    return {"drift_caught": float(np.mean(caught)), "drift_false_year": float(np.mean(steady))}


GROUPS: Mapping[str, Callable[[ClusteringBench, int], dict[str, float]]] = {
    "small": small,
    "confounded": confounded,
    "one": one,
    "newcomers": newcomers,
    "drift": watched,
}


def agreement(clusters: Clusters, truth: Mapping[str, str]) -> float:
    """Adjusted Rand index (Hubert and Arabie 1985); a clinic that is in no cluster is one of its own."""
    from sklearn.metrics import adjusted_rand_score

    clinics = sorted(truth)
    return float(adjusted_rand_score([truth[c] for c in clinics], [clusters.of(c) or f"\n{c}" for c in clinics]))


def _corpus(bench: ClusteringBench, seed: int) -> tuple[Corpus, StyleVectors]:
    corpus = make_corpus(seed, clinics=CLINICS, reports=_PER_CLINIC)
    return corpus, bench.vectors(corpus.reports)


def _naive(corpus: Corpus, made: StyleVectors, seed: int) -> float:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    owners = np.array([report.clinic for report in corpus.reports])
    clinics = sorted(corpus.truth)
    means = np.stack([made.embeddings[owners == clinic].mean(axis=0) for clinic in clinics])
    labels = KMeans(len(set(corpus.truth.values())), n_init=10, random_state=seed).fit_predict(means)
    return float(adjusted_rand_score([corpus.truth[clinic] for clinic in clinics], labels))


def _homes(clusters: Clusters, truth: Mapping[str, str]) -> dict[str, str]:
    """Way of writing -> the cluster that most of its clinics are in."""
    where: dict[str, Counter[str]] = {}
    for clinic, way in truth.items():
        where.setdefault(way, Counter())[clusters.of(clinic) or ""] += 1
    return {way: counts.most_common(1)[0][0] for way, counts in where.items()}


def _arrivals(
    bench: ClusteringBench, clusters: Clusters, way: str, count: int, chance: random.Random
) -> Iterable[Assignment]:
    for number in range(count):
        hand = make_hand(WAYS[way], chance)
        mix = case_mix(chance.choice(list(SHARES)))
        reports = list(write(f"new-{number}", hand, mix, _HANDFUL, chance))
        yield assign(clusters, reports, bench.vectors(reports))


def _months(
    bench: ClusteringBench, corpus: Corpus, clinic: str, months: Iterable[int], way: str, chance: random.Random
) -> dict[str, tuple[list[Report], StyleVectors]]:
    """Reports of a clinic, month by month; of another way of writing where one is given."""
    hand = corpus.hands[clinic]
    if way:
        hand = changed_hand(hand, WAYS[way], chance)
    made = {}
    for month in months:
        reports = list(write(clinic, hand, corpus.mixes[clinic], _MONTHLY, chance, first=1000 * month))
        made[f"month {month}"] = (reports, bench.vectors(reports))
    return made

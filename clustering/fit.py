"""Groups clinics by how their impressions are written, not by what they scan.

Reports become vectors (vectors.py), what is scanned is taken away (adjust.py), clinics are placed with their
uncertainty (metric.py), parted (choose.py) and settled in clusters that are large enough for an adapter (settle.py).
Here stands the order of it. Clinics of which too little is known are left to the unified adapter.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from radimpress.clustering.adjust import Cells, make_cells
from radimpress.clustering.cache import VectorCache
from radimpress.clustering.choose import Choice, choose
from radimpress.clustering.clusters import Clusters
from radimpress.clustering.embed import Embedder
from radimpress.clustering.features import NAMES
from radimpress.clustering.match import match, moves
from radimpress.clustering.metric import Places, make_metric, place
from radimpress.clustering.naming import name_clusters
from radimpress.clustering.settle import settle
from radimpress.clustering.story import Tell
from radimpress.clustering.vectors import StyleVectors, features_version, vectors_of
from radimpress.reports.errors import InputError
from radimpress.reports.files import digest_of
from radimpress.reports.progress import Track, silent
from radimpress.reports.report import Report

Floats = NDArray[np.float64]

# More reports of a clinic say hardly more of its style: their chance is a twentieth of one report's by then.
PER_CLINIC = 400
# A clinic with fewer is not fitted, but assigned when all is done.
LEAST = 8
# As the trainer's plan has it: a cluster with fewer reports gets no adapter.
MINIMUM = 50
LARGEST = 12
RESAMPLES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRules:
    """What a fit is told.

    Attributes:
        seed: of everything that is drawn.
        largest: number of clusters at most.
        per_clinic: reports of a clinic that are read at most.
        minimum: a cluster with fewer reports than this gets no adapter of its own.
    """

    seed: int = 0
    largest: int = LARGEST
    per_clinic: int = PER_CLINIC
    minimum: int = MINIMUM


def fit_clusters(
    reports: Sequence[Report],
    embedder: Embedder,
    rules: FitRules | None = None,
    *,
    cache: VectorCache | None = None,
    before: Clusters | None = None,
    track: Track = silent,
) -> Clusters:
    """Clusters the clinics of `reports`; keys and titles of the clusters of `before` are kept where they go on.

    Raises:
        InputError: there are no reports, one has no clinic, no impression or a vector that is not finite.
    """
    rules = rules or FitRules()
    if not reports:
        raise InputError("reports", "is empty: no clinic to cluster")
    for report in reports:
        if not report.clinic.strip():
            raise InputError(f"report {report.id}", "has no clinic")
    taken = take(reports, rules)
    made = fit_vectors(
        taken, vectors_of(taken, embedder, cache, track), Counter(r.clinic for r in reports), rules, before
    )
    return replace(made, embedder=embedder.name, embedder_digest=embedder.digest, data=data_digest(reports, rules))


def fit_vectors(
    taken: Sequence[Report],
    made: StyleVectors,
    totals: Counter[str],
    rules: FitRules,
    before: Clusters | None = None,
) -> Clusters:
    """The same for vectors that stand already; `totals` counts each clinic's reports in the whole corpus."""
    from threadpoolctl import threadpool_limits

    # Its matrices have some forty rows: threads wait for each other longer than they work, many times so where
    # others use the machine.
    with threadpool_limits(1):
        return _fit(taken, made, totals, rules, before)


def _fit(
    taken: Sequence[Report], made: StyleVectors, totals: Counter[str], rules: FitRules, before: Clusters | None
) -> Clusters:
    sizes = Counter(report.clinic for report in taken)
    enough = {clinic for clinic, size in sizes.items() if size >= LEAST}
    few = not enough
    rows = [at for at, report in enumerate(taken) if few or report.clinic in enough]
    fitted = [taken[at] for at in rows]
    own = StyleVectors(made.features[rows], made.embeddings[rows])
    cells = make_cells(*zip(*((r.clinic, str(r.modality), r.exam) for r in fitted), strict=True))
    metric = make_metric(own.features, own.embeddings, cells, NAMES)
    vectors = metric.vectors(own.features, own.embeddings)
    places = _together(place(metric, vectors, cells, [r.patient for r in fitted], RESAMPLES, rules.seed), cells)
    if few:
        choice = Choice(np.zeros(len(cells.clinics), dtype=np.intp), (), "one cluster: too few reports to tell")
    else:
        choice = choose(
            places.plain @ metric.whiten,
            places.again @ metric.whiten,
            largest=rules.largest,
            seed=rules.seed,
            named=len(NAMES),
        )
    settled = settle(choice, metric, places, cells, totals, rules.minimum, lost=_lost(cells))
    plain = vectors - metric.effects.of(cells)[cells.of]
    tell = Tell(fitted, own, plain, cells, metric, places, settled, totals, rules.seed)
    groups, profiles = tell.groups(), tell.cluster_profiles()
    kept = match(before, groups, profiles) if before else [""] * len(groups)
    used = {*before.clusters, *before.names, *before.former} if before else set()
    # Whoever asks for a cluster may say its title: a new key must be nobody's.
    titles = {one.title for one in before.clusters.values()} if before else set()
    fresh = iter(name_clusters([p for p, key in zip(profiles, kept, strict=True) if not key], used | titles))
    keys = [key or next(fresh) for key in kept]
    clusters = tell.clusters(keys, choice, {key: before.title(key) for key in kept if key} if before else {})
    if not few:
        others = [(report, at) for at, report in enumerate(taken) if report.clinic not in enough]
        late = [report for report, _ in others]
        clusters = tell.late(clusters, late, made, [at for _, at in others], rules.minimum)
    if before:
        clusters = replace(
            clusters,
            version=before.version + 1,
            before=before.digest,
            former=tuple(sorted(used - set(keys))),
            moved=tuple(moves(before, clusters.clinics, clusters.profiles, clusters.unsure)),
        )
    return clusters


def data_digest(reports: Sequence[Report], rules: FitRules) -> str:
    """What a fit depends on; equal digests make equal clusters."""
    rows = [[r.clinic, r.modality, r.exam, r.patient, r.impression, r.findings] for r in reports]
    return digest_of([asdict(rules), features_version(), rows])


def take(reports: Sequence[Report], rules: FitRules) -> list[Report]:
    """At most `per_clinic` reports of each clinic, drawn."""
    shelves: dict[str, list[Report]] = defaultdict(list)
    for report in reports:
        shelves[report.clinic].append(report)
    chance = random.Random(rules.seed)
    return [
        report
        for clinic in sorted(shelves)
        for report in chance.sample(shelves[clinic], min(rules.per_clinic, len(shelves[clinic])))
    ]


def _together(places: Places, cells: Cells) -> Places:
    """Islands put upon the largest one: nothing tells what their clinics scan from how they write."""
    islands, main = cells.islands, cells.comparable
    plain, again = places.plain.copy(), places.again.copy()
    for island in set(islands[~main].tolist()):
        inside = islands == island
        plain[inside] += plain[main].mean(axis=0) - plain[inside].mean(axis=0)
        again[:, inside] += (again[:, main].mean(axis=1) - again[:, inside].mean(axis=1))[:, None]
    return replace(places, plain=plain, again=again)


def _lost(cells: Cells) -> dict[str, str]:
    """Clinics that share no modality with most others, and what that means."""
    why = "it scans nothing that the other clinics scan: its style cannot be told from its case mix"
    return {clinic: why for clinic, main in zip(cells.clinics, cells.comparable, strict=True) if not main}

"""Groups clinics by how their impressions are written, not by what they scan.

Each impression becomes a vector of style features beside a sentence embedding; the mean of its
modality is taken away, so that case mix does not pass for style. A clinic is the mean of its
impressions. Clinics are joined by Ward's method (1963), and the number of clusters is the one with
the best silhouette (Rousseeuw 1987); below a floor, one cluster is the answer.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from radimpress.clustering.clusters import Clusters
from radimpress.clustering.embed import Embedder
from radimpress.clustering.features import NAMES, WEIGHTS, Vector, style
from radimpress.clustering.values import Point, Tried
from radimpress.reports.errors import InputError
from radimpress.reports.files import digest_of
from radimpress.reports.progress import Track, silent
from radimpress.reports.report import Report

SILHOUETTE_FLOOR = 0.25
BAG = 15
PER_CLINIC = 120
_EMBEDDING_SHARE = 0.25
_NOISE = 1e-9


def fit_clusters(
    reports: Sequence[Report], embedder: Embedder, *, seed: int, largest: int = 8, track: Track = silent
) -> Clusters:
    """Clusters the clinics of `reports`, into at most `largest` clusters.

    At most PER_CLINIC reports of a clinic are read.

    Raises:
        InputError: there are no reports.
    """
    if not reports:
        raise InputError("reports", "is empty: no clinic to cluster")
    taken = _take(reports, seed)
    owners = [report.clinic for report in taken]
    clinics = sorted(set(owners))
    features = np.stack([style(report.impression) for report in taken])
    profiles = {
        clinic: dict(zip(NAMES, np.round(_mean(features, owners, clinic), 4).tolist(), strict=True))
        for clinic in clinics
    }
    if len(clinics) == 1:
        return Clusters(
            clinics={clinics[0]: _name(profiles[clinics[0]])},
            profiles=profiles,
            embedder=embedder.name,
            data=data_digest(reports, seed),
            why="there is one clinic: nothing to cluster",
        )
    embeddings = embedder.embed([report.impression for report in taken], track)
    vectors = _without_case_mix(features, embeddings, [report.modality for report in taken])
    bags, bag_owners = _bags(vectors, owners)
    centres = np.stack([_mean(vectors, owners, clinic) for clinic in clinics])
    labels, silhouettes, why = _choose(centres, bags, [clinics.index(owner) for owner in bag_owners], largest)
    names = _names([int(label) for label in labels], clinics, profiles)
    apart = len(bags) > 2 and bool(np.ptp(bags, axis=0).max() > _NOISE)
    stability = _stability(bags, bag_owners, dict(zip(clinics, names, strict=True)), vectors, owners)
    plane = _plane(bags, seed) if apart else np.zeros((len(bags), 2))
    return Clusters(
        clinics=dict(zip(clinics, names, strict=True)),
        profiles=profiles,
        embedder=embedder.name,
        data=data_digest(reports, seed),
        why=why,
        tried=tuple(
            Tried(
                method="ward",
                number=count,
                silhouette=round(value, 4),
                stability=round(stability, 4),
                chosen=count == len(set(names)),
            )
            for count, value in silhouettes.items()
        ),
        points=tuple(
            Point(clinic=owner, x=round(float(x), 4), y=round(float(y), 4))
            for owner, (x, y) in zip(bag_owners, plane, strict=True)
        ),
    )


def data_digest(reports: Sequence[Report], seed: int) -> str:
    """What a fit depends on; equal digests make equal clusters."""
    return digest_of([seed, [[report.clinic, report.modality, report.impression] for report in reports]])


def _take(reports: Sequence[Report], seed: int) -> list[Report]:
    shelves: dict[str, list[Report]] = defaultdict(list)
    for report in reports:
        shelves[report.clinic].append(report)
    chance = random.Random(seed)
    return [
        report
        for clinic in sorted(shelves)
        for report in chance.sample(shelves[clinic], min(PER_CLINIC, len(shelves[clinic])))
    ]


def _without_case_mix(features: Vector, embeddings: Vector, modalities: Sequence[str]) -> Vector:
    """Style vectors of shape (reports, features + dimensions), modality means taken away.

    The embedding block is scaled to a fixed share of the style block's variance: it sharpens what
    the named features see, and must not drown it.
    """
    features, embeddings = features * WEIGHTS, embeddings.copy()
    for modality in set(modalities):
        of_it = np.array([other == modality for other in modalities])
        features[of_it] -= features[of_it].mean(axis=0)
        embeddings[of_it] -= embeddings[of_it].mean(axis=0)
    spread = embeddings.var(axis=0).sum()
    scale = np.sqrt(_EMBEDDING_SHARE * features.var(axis=0).sum() / spread) if spread > 0 else 0.0
    return np.hstack([features, scale * embeddings])


def _mean(vectors: Vector, owners: Sequence[str], clinic: str) -> Vector:
    mean: Vector = vectors[[owner == clinic for owner in owners]].mean(axis=0)
    return mean


def _bags(vectors: Vector, owners: Sequence[str]) -> tuple[Vector, list[str]]:
    """Means of BAG reports of one clinic each: what the map and the stability are made of."""
    bags, bag_owners = [], []
    for clinic in sorted(set(owners)):
        rows = vectors[[owner == clinic for owner in owners]]
        for part in np.array_split(rows, max(1, len(rows) // BAG)):
            bags.append(part.mean(axis=0))
            bag_owners.append(clinic)
    return np.stack(bags), bag_owners


def _plane(bags: Vector, seed: int) -> Vector:
    from sklearn.decomposition import PCA

    plane: Vector = PCA(2, random_state=seed).fit_transform(bags)
    return plane


def _choose(
    centres: Vector, bags: Vector, bag_owners: Sequence[int], largest: int
) -> tuple[Vector, dict[int, float], str]:
    """Labels of the clinics, the silhouettes tried, and why."""
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.metrics import silhouette_score

    silhouettes: dict[int, float] = {}
    if np.ptp(centres, axis=0).max() < _NOISE:
        # Clinics that share no modality, too: what their style is cannot be told from what they scan.
        return np.zeros(len(centres)), silhouettes, "one cluster: nothing but case mix tells the clinics apart"
    best: tuple[float, Vector] | None = None
    if len(centres) == 2:
        # A silhouette needs more points than clusters: two clinics are compared by their bags.
        if len(bags) > 2:
            silhouettes[2] = float(silhouette_score(bags, bag_owners))
            best = silhouettes[2], np.array([0, 1])
    else:
        for count in range(2, min(largest, len(centres) - 1) + 1):
            labels = AgglomerativeClustering(count).fit_predict(centres)
            silhouettes[count] = float(silhouette_score(centres, labels))
            if best is None or silhouettes[count] > best[0]:
                best = silhouettes[count], labels
    if best is None or best[0] < SILHOUETTE_FLOOR:
        reached = "too few reports to tell" if best is None else f"best silhouette {best[0]:.2f}"
        return np.zeros(len(centres)), silhouettes, f"one cluster: {reached}, under {SILHOUETTE_FLOOR}"
    count = len(set(best[1].tolist()))
    return best[1], silhouettes, f"{count} clusters have the best silhouette, {best[0]:.2f}"


def _stability(
    bags: Vector, bag_owners: Sequence[str], names: dict[str, str], vectors: Vector, owners: Sequence[str]
) -> float:
    clusters = sorted(set(names.values()))
    homes = np.array([names[owner] for owner in owners])
    centres = np.stack([vectors[homes == cluster].mean(axis=0) for cluster in clusters])
    nearest = np.linalg.norm(bags[:, None] - centres[None], axis=2).argmin(axis=1)
    right = [clusters[index] == names[owner] for index, owner in zip(nearest, bag_owners, strict=True)]
    return float(np.mean(right))


def _names(labels: Sequence[int], clinics: Sequence[str], profiles: dict[str, dict[str, float]]) -> list[str]:
    """A name for each clinic's cluster, from how it writes; a second of a name is numbered."""
    by_label: dict[int, str] = {}
    for label in dict.fromkeys(labels):
        members = [profiles[clinic] for clinic, other in zip(clinics, labels, strict=True) if other == label]
        wanted = _name({name: float(np.mean([member[name] for member in members])) for name in NAMES})
        again = sum(taken.split("-")[0] == wanted for taken in by_label.values())
        by_label[label] = f"{wanted}-{again + 1}" if again else wanted
    return [by_label[label] for label in labels]


def _name(profile: dict[str, float]) -> str:
    if profile["listed"] > 0.5:
        return "list"
    return "telegraphic" if profile["fullness"] < 0.4 else "paragraph"

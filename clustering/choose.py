"""How the clinics are parted: method and number by silhouette and stability together, one cluster allowed.

Candidates are Ward's tree, Gaussian mixtures of one common shape and HDBSCAN, all scikit-learn's or scipy's. Each is
tried again on bootstrap profiles; a number that is too large splits a group at another place each time (Ben-Hur,
Elisseeff and Guyon 2002). Whether there is more than one cluster at all is a test of its own: clinics of one style
vary too, and any cloud can be cut into halves with a fair silhouette. The best silhouette has to beat those of clouds
with the same spread and a single centre (as SigClust has it: Liu, Hayes, Nobel and Marron 2008).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from radimpress.clustering.values import Tried

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

# Share of corpora of one style that may be parted.
ALPHA = 0.01
_CLOUDS = 199
_AXES = 10
# Under so many clinics a cloud has no shape: they are parted by how far they lie apart alone.
FEW = 5
# Centres of two styles lie at least so far apart.
APART = 3.0
_STABLE = 10
_DENSE = (3, 5, 8)


@dataclass(frozen=True, slots=True)
class Choice:
    """How the clinics were parted.

    Attributes:
        labels: of each clinic, from 0, [clinics].
        tried: what was tried.
        why: in words.
    """

    labels: Ints
    tried: tuple[Tried, ...]
    why: str


def choose(places: Floats, again: Floats, *, largest: int, seed: int, named: int | None = None) -> Choice:
    """Parts clinics.

    Args:
        places: whitened: clinics of one style have variance 1 at most in every direction, [clinics, P].
        again: the same of bootstrap profiles, [B, clinics, P].
        largest: number of clusters at most.
        seed: of clouds and mixtures.
        named: the first so many coordinates are of features with a name: parts that only an embedding tells
            apart, which clinics' set phrases do, are not parted. None takes all.
    """
    size = len(places)
    one = np.zeros(size, dtype=np.intp)
    if size < 2 or largest < 2:
        return Choice(one, (), "there is one clinic: nothing to part" if size < 2 else "one cluster was asked for")
    if size < FEW:
        return _few(places, again, min(largest, size))
    if not len(style_axes(places, _edge(places))):
        return Choice(one, (), "one cluster: the clinics lie no farther apart than clinics of one style do")
    first = _part(places, again, largest, seed, named)
    if first.labels.max() == 0:
        return first
    labels, tried, why = first.labels, list(first.tried), first.why
    # A fine difference is hidden beside a coarse one: each cluster is tried again in itself.
    waiting, whole = list(range(labels.max() + 1)), 0
    while waiting and labels.max() + 1 < largest:
        label = waiting.pop(0)
        inside = np.flatnonzero(labels == label)
        if len(inside) < FEW:
            continue
        room = largest - int(labels.max())
        part = _part(places[inside], again[:, inside], room, seed, named)
        if part.labels.max() == 0:
            continue
        labels = labels.copy()
        new = int(labels.max()) + part.labels
        labels[inside] = np.where(part.labels == 0, label, new)
        waiting += [label, *sorted(set(new[part.labels > 0].tolist()))]
        whole += 1
    if not whole:
        return first
    number = int(labels.max()) + 1
    axes = style_axes(places, 1.0)
    nested = Tried(
        method="nested",
        number=number,
        silhouette=silhouette(places @ axes.T, labels),
        stability=_held(places, again, labels),
        chosen=True,
    )
    tried = [replace(t, chosen=False) for t in tried] + [nested]
    return Choice(_ordered(labels), tuple(tried), f"{why}; tried again each in itself, they make {number}")


def _part(places: Floats, again: Floats, largest: int, seed: int, named: int | None) -> Choice:
    one = np.zeros(len(places), dtype=np.intp)
    axes = style_axes(places, 1.0)
    if not len(axes):
        return Choice(one, (), "one cluster: the clinics lie no farther apart than clinics of one style do")
    points, moved = places @ axes.T, again @ axes.T
    found: dict[tuple[str, int], Ints] = {}
    for method, labels in _candidates(points, largest, seed):
        found.setdefault((method, int(labels.max()) + 1), labels)
    tried = [
        Tried(
            method=method,
            number=number,
            silhouette=silhouette(points, labels),
            stability=_stability(moved, labels, method, seed),
        )
        for (method, number), labels in found.items()
        if 2 <= number <= min(largest, len(places) - 1)
    ]
    if not tried:
        return Choice(one, (), "one cluster: no method parts the clinics")
    best = max(tried, key=lambda t: (round(t.silhouette + t.stability, 3), -t.number))
    labels = _ordered(found[best.method, best.number])
    nearest = _nearest_centres(places[:, :named], labels)
    if nearest < APART:
        return Choice(one, tuple(tried), f"one cluster: parts lie {nearest:.1f} apart, under {APART:.1f}")
    chance = cloud_chance(points, largest, seed)
    if chance > ALPHA:
        return Choice(one, tuple(tried), f"one cluster: clouds of one style part as well, more often than {ALPHA:.0%}")
    words = f"{best.number} clusters by {best.method} have the best silhouette and stability together, "
    words += f"{best.silhouette:.2f} and {best.stability:.2f}; a cloud of one style parts as well in {chance:.1%}"
    marked = tuple(replace(t, chosen=t is best) for t in tried)
    return Choice(labels, marked, f"{words} of {_CLOUDS} trials")


def centres_of(places: Floats, labels: Ints) -> Floats:
    """Mean place of each label's clinics, [labels, P]."""
    return np.stack([places[labels == label].mean(axis=0) for label in range(labels.max() + 1)])


def nearest_centre(places: Floats, centres: Floats) -> Ints:
    """Label of the nearest centre, [clinics]."""
    labels: Ints = np.linalg.norm(places[:, None] - centres, axis=2).argmin(axis=1)
    return labels


def _nearest_centres(places: Floats, labels: Ints) -> float:
    centres = centres_of(places, labels)
    return float(_distances(centres)[np.triu_indices(len(centres), 1)].min())


def _held(places: Floats, again: Floats, labels: Ints) -> float:
    """Mean adjusted Rand index of the clinics' nearest centres on bootstrap profiles."""
    from sklearn.metrics import adjusted_rand_score

    centres = centres_of(places, labels)
    scores = [adjusted_rand_score(labels, nearest_centre(points, centres)) for points in again[:_STABLE]]
    return round(float(np.mean(scores)), 4) if scores else 0.0


def style_axes(places: Floats, least: float) -> Floats:
    """Directions in which the clinics' variance is above `least`, most of it first, [axes, P]."""
    size = len(places)
    _, values, axes = np.linalg.svd(places - places.mean(axis=0), full_matrices=False)
    kept: Floats = axes[: len(values)][values**2 / (size - 1) > least][: min(_AXES, max(size // 2 - 1, 2))]
    return kept


def _edge(places: Floats) -> float:
    """What the largest eigenvalue of the clinics' covariance comes to where all write in one style.

    With variance 1 in every direction that is about (1 + sqrt(P / clinics))^2 (Marchenko and Pastur 1967;
    Johnstone 2001).
    """
    size, width = places.shape
    return float((1 + np.sqrt(width / (size - 1))) ** 2)


def _few(places: Floats, again: Floats, largest: int) -> Choice:
    """Joins a handful of clinics as long as two lie no farther apart than two of one style would."""
    from scipy.stats import chi2

    size, width = places.shape
    limit = float(np.sqrt(2 * chi2.isf(ALPHA / (size * (size - 1) / 2), width)))
    labels = np.arange(size)
    for labels in (_cut(places, number) for number in range(largest, 0, -1)):
        centres = centres_of(places, labels)
        nearest = _distances(centres)[np.triu_indices(len(centres), 1)]
        if not len(nearest) or nearest.min() > limit:
            break
    number = int(labels.max()) + 1
    if number < 2:
        return Choice(labels, (), f"one cluster: no two of {size} clinics lie {limit:.1f} or more apart")
    tried = Tried(
        method="ward",
        number=number,
        silhouette=silhouette(places, labels) if number < size else 0.0,
        stability=_stability(again, labels, "ward", 0),
        chosen=True,
    )
    return Choice(
        _ordered(labels), (tried,), f"{number} clusters: they lie {nearest.min():.1f} apart, over {limit:.1f}"
    )


def _candidates(points: Floats, largest: int, seed: int) -> Iterator[tuple[str, Ints]]:
    most = min(largest, len(points) - 1)
    for number in range(2, most + 1):
        labels = _cut(points, number)
        yield "ward", labels
        yield "mixture", _mixture(points, labels, seed)
    for size in _DENSE:
        if len(points) >= 3 * size:
            labels = _dense(points, size)
            if labels.max() > 0:
                yield f"hdbscan-{size}", labels


def _cut(points: Floats, number: int) -> Ints:
    from scipy.cluster.hierarchy import fcluster, linkage

    labels: Ints = fcluster(linkage(points, "ward"), number, "maxclust").astype(np.intp) - 1
    return labels


def _mixture(points: Floats, start: Ints, seed: int) -> Ints:
    """A Gaussian mixture of one shape, from Ward's clusters on; half a unit of variance is taken for granted."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    centres = centres_of(points, start)
    mixture = GaussianMixture(
        len(centres), covariance_type="tied", reg_covar=0.5, means_init=centres, random_state=seed, max_iter=50
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = mixture.fit_predict(points)
    return _ordered(labels)


def _dense(points: Floats, size: int) -> Ints:
    """HDBSCAN (Campello, Moulavi and Sander 2013); what it leaves out goes to the nearest centre."""
    from sklearn.cluster import HDBSCAN

    labels = HDBSCAN(min_cluster_size=size, copy=True).fit_predict(points)
    if labels.max() < 0:
        return np.zeros(len(points), dtype=np.intp)
    centres = np.stack([points[labels == label].mean(axis=0) for label in range(labels.max() + 1)])
    return _ordered(np.where(labels < 0, nearest_centre(points, centres), labels))


def _again(points: Floats, number: int, method: str, seed: int) -> Ints:
    if method.startswith("hdbscan"):
        return _dense(points, int(method.partition("-")[2]))
    labels = _cut(points, number)
    return labels if method == "ward" else _mixture(points, labels, seed)


def _stability(moved: Floats, labels: Ints, method: str, seed: int) -> float:
    """Mean adjusted Rand index (Hubert and Arabie 1985) of the same method on bootstrap profiles."""
    from sklearn.metrics import adjusted_rand_score

    number = int(labels.max()) + 1
    scores = [adjusted_rand_score(labels, _again(points, number, method, seed)) for points in moved[:_STABLE]]
    return round(float(np.mean(scores)), 4) if scores else 0.0


def silhouette(points: Floats, labels: Ints) -> float:
    """Mean silhouette (Rousseeuw 1987), in [-1, 1]; clinics that stand alone count 0."""
    return round(_silhouette(_distances(points), labels), 4)


def _silhouette(distances: Floats, labels: Ints) -> float:
    inside = labels[:, None] == np.arange(labels.max() + 1)
    size = inside.sum(axis=0)
    sums = distances @ inside
    rows = np.arange(len(labels))
    own = sums[rows, labels] / np.maximum(size[labels] - 1, 1)
    other = np.where(inside, np.inf, sums / size).min(axis=1)
    scores = np.where(size[labels] > 1, (other - own) / np.maximum(np.maximum(own, other), 1e-12), 0)
    return float(scores.mean())


def _distances(points: Floats) -> Floats:
    from scipy.spatial.distance import pdist, squareform

    distances: Floats = squareform(pdist(points))
    return distances


def cloud_chance(points: Floats, largest: int, seed: int) -> float:
    """How often a normal cloud of the same spread has a best silhouette as good; in (0, 1].

    Where that is more often than ALPHA, it is not counted to the end.
    """
    seen = _best_silhouette(points, largest)
    chance = np.random.default_rng(seed)
    spread = np.linalg.cholesky(np.atleast_2d(np.cov(points.T)) + 1e-9 * np.eye(points.shape[1]))
    beaten = 1
    for tried in range(1, _CLOUDS + 1):
        beaten += _best_silhouette(chance.standard_normal(points.shape) @ spread.T, largest) >= seen
        if beaten > ALPHA * (_CLOUDS + 1):
            return beaten / (tried + 1)
    return beaten / (_CLOUDS + 1)


def _best_silhouette(points: Floats, largest: int) -> float:
    from scipy.cluster.hierarchy import cut_tree, linkage

    distances = _distances(points)
    # All numbers by one walk up the tree.
    cuts = cut_tree(linkage(points, "ward"), range(2, min(largest, len(points) - 1) + 1))
    return max(_silhouette(distances, labels) for labels in cuts.T)


def _ordered(labels: Ints) -> Ints:
    """The same parts, numbered from 0 as they come."""
    names = {label: at for at, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([names[label] for label in labels.tolist()], dtype=np.intp)

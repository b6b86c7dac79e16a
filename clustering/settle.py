"""From parts to clusters: clinics go where they most likely belong; parts too small for an adapter are dissolved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from radimpress.clustering.adjust import Cells, positive
from radimpress.clustering.choose import Choice, centres_of
from radimpress.clustering.metric import Metric, Places
from radimpress.clustering.placing import surprise

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

# The corpus's own habits count against so many clinics' worth of those taken for granted.
_PRIOR = 10
_ROUNDS = 3
# A part is not dissolved into a cluster that it lies farther from than this deviate, 1%.
_NEAR = 2.33


@dataclass(frozen=True, slots=True)
class Settled:
    """Who belongs where.

    Attributes:
        labels: of each clinic, from 0, [clinics]; -1 where it is in none.
        centres: before whitening, [labels, P].
        metric: with the habits that the corpus shows.
        notes: clinic -> in words, what is special about where it is.
        unsure: clinic -> in words, why it is in none.
        unified: label -> in words, why it is left to the unified adapter.
    """

    labels: Ints
    centres: Floats
    metric: Metric
    notes: Mapping[str, str]
    unsure: Mapping[str, str]
    unified: Mapping[int, str]


def settle(
    choice: Choice,
    metric: Metric,
    places: Places,
    cells: Cells,
    totals: Counter[str],
    minimum: int,
    lost: Mapping[str, str],
) -> Settled:
    """Settles what was chosen.

    Args:
        choice: the parts.
        metric: of the fit.
        places: of the clinics.
        cells: names the clinics.
        totals: reports of each clinic in the corpus.
        minimum: a cluster with fewer gets no adapter.
        lost: clinics whose style cannot be compared, and why; they stay only where there is one cluster.
    """
    labels = choice.labels.copy()
    several = labels.max() > 0
    unsure: dict[str, str] = dict(lost) if several else {}
    if several:
        labels[[clinic in lost for clinic in cells.clinics]] = -1
        labels = _packed(labels)
        metric = replace(metric, habits=habits_of(metric, places, labels))
        for _ in range(_ROUNDS):
            moved = _likeliest(metric, places, labels)
            if len(set(moved[moved >= 0].tolist())) < labels.max() + 1 or (moved == labels).all():
                break
            labels = moved
            metric = replace(metric, habits=habits_of(metric, places, labels))
    labels, notes, unified = _dissolve(metric, places, labels, cells.clinics, totals, minimum)
    inside = labels >= 0
    return Settled(labels, centres_of(places.plain[inside], labels[inside]), metric, notes, unsure, unified)


def habits_of(metric: Metric, places: Places, labels: Ints) -> Floats:
    """Covariance of clinics about their cluster beside chance and case mix, whitened, [P, P]."""
    where = places.plain @ metric.whiten
    chance = chance_of(places) @ metric.whiten
    chance = metric.whiten @ chance
    total, free = _PRIOR * metric.habits, float(_PRIOR)
    for label in range(labels.max() + 1):
        rows = np.flatnonzero(labels == label)
        if len(rows) > 1:
            apart = where[rows] - where[rows].mean(axis=0)
            share = 1 - 1 / len(rows)
            noise = sum(chance[row] + metric.mixing * places.spread[row] for row in rows)
            total = total + apart.T @ apart - share * noise
            free += len(rows) - 1
    return positive(total / free)


def chance_of(places: Places) -> Floats:
    """Covariance of each clinic's mean by its bootstrap, [clinics, P, P]."""
    apart = places.again - places.again.mean(axis=0)
    # A bootstrap of n units has (n - 1) / n of the variance.
    scale = places.units / np.maximum(places.units - 1, 1) / max(len(apart) - 1, 1)
    covariance: Floats = np.einsum("bcp,bcq->cpq", apart, apart) * scale[:, None, None]
    return covariance


def _likeliest(metric: Metric, places: Places, labels: Ints) -> Ints:
    """Each clinic's likeliest cluster, itself left out of its centre."""
    where = places.plain @ metric.whiten
    noise = metric.whiten @ chance_of(places) @ metric.whiten
    inside = labels >= 0
    centres, size = centres_of(where[inside], labels[inside]), np.bincount(labels[inside])
    moved = labels.copy()
    for row in np.flatnonzero(inside):
        own = labels[row]
        if size[own] < 2:
            continue
        others = centres.copy()
        others[own] = (size[own] * centres[own] - where[row]) / (size[own] - 1)
        covariance = metric.habits + noise[row] + metric.mixing * places.spread[row]
        apart = where[row] - others
        # A cluster's own uncertainty and its size both count, as in `assign`.
        far = np.einsum("kp,pk->k", apart, np.linalg.solve(covariance, apart.T))
        moved[row] = int((np.log(np.maximum(size - (np.arange(len(size)) == own), 0.5)) - 0.5 * far).argmax())
    return moved


def _dissolve(
    metric: Metric, places: Places, labels: Ints, clinics: tuple[str, ...], totals: Counter[str], minimum: int
) -> tuple[Ints, dict[str, str], dict[int, str]]:
    """Parts with too few reports join the nearest, or stay and are left to the unified adapter."""
    labels, notes = labels.copy(), dict[str, str]()
    where = places.plain @ metric.whiten
    noise = metric.whiten @ chance_of(places) @ metric.whiten
    kept: dict[int, str] = {}
    while True:
        count = {label: _reports(labels, label, clinics, totals) for label in range(labels.max() + 1)}
        small = [label for label, own in count.items() if own < minimum and label not in kept]
        if not small:
            return labels, notes, kept
        label = min(small, key=lambda one: count[one])
        said = f"{count[label]} reports are fewer than the {minimum} that an adapter of its own needs"
        if len(count) == 1:
            kept[label] = said
            continue
        inside = labels >= 0
        centres = centres_of(where[inside], labels[inside])
        rows = labels == label
        apart = centres - centres[label]
        chance = noise[rows].mean(axis=0) / rows.sum()
        covariance = metric.habits * (1 + 1 / rows.sum()) + chance + metric.mixing * places.spread[rows].mean()
        far = {other: surprise(apart[other], covariance) for other in range(len(centres)) if other != label}
        nearest = min(far, key=lambda one: far[one])
        if far[nearest] > _NEAR:
            kept[label] = f"{said}, and it lies too far from the others to join one"
            continue
        for clinic in np.array(clinics)[rows].tolist():
            notes[clinic] = f"joined the nearest cluster: {said}"
        labels[rows] = nearest
        labels = _packed(labels)
        # What was too small or too far before may have grown, or lie nearer now.
        kept = {}


def _reports(labels: Ints, label: int, clinics: tuple[str, ...], totals: Counter[str]) -> int:
    return sum(totals[clinic] for clinic, other in zip(clinics, labels.tolist(), strict=True) if other == label)


def _packed(labels: Ints) -> Ints:
    """The same parts, numbered from 0 without gaps; -1 stays."""
    names = {label: at for at, label in enumerate(sorted(set(labels[labels >= 0].tolist())))}
    return np.array([names.get(label, -1) for label in labels.tolist()], dtype=np.intp)

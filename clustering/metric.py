"""Where clinics are compared: the unit is how far clinics of one way of writing lie apart.

Two clinics that write alike still differ: in habits of their own, by the chance of which reports were read, and by
what their case mix leaves. The sum of those three covariances is the unit of distance (whitening, as within-class
covariance normalisation has it: Hatch, Kajarekar and Stolcke 2006), so that a difference counts by how surely it is
one of style. The mark of a list and the case are a clinic's own habit within one way of writing: its profile keeps
them, and hardly any distance is made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radimpress.clustering.adjust import (
    Cells,
    Effects,
    clinic_means,
    concentration,
    mixing_of,
    noise_of,
    solve,
)

Floats = NDArray[np.float64]

# Standard deviation between clinics of one way of writing, in a feature's own unit, whose range is 1.
TOLERANCE = 0.1
# The same where clinics of one way of writing differ by habit: in the mark of a list and the case, which a clinic's
# profile keeps for itself, and in the words for one thing.
HABITS = {"numbered": 0.7, "bulleted": 0.7, "upper_case": 0.7} | dict.fromkeys(
    ("first_person", "says_no_evidence", "tells_change", "millimetres", "centimetres", "decimals", "closed"), 0.5
)
# The same for the embedding, in standard deviations of one report; it sharpens what the features see.
_WORDS = 1.0
# Reports whose chance a distance allows for.
READ = 40
AXES = 16
_LEAST = 1e-4


@dataclass(frozen=True, slots=True)
class Metric:
    """The straight line from vectors to places; E axes of D-dimensional embeddings, P = F + E coordinates.

    Attributes:
        basis: of the embeddings, [E, D].
        origin: mean vector, [P].
        whiten: [P, P].
        effects: of what is scanned, before whitening.
        noise: of a report, whitened, [P, P].
        habits: of a clinic, whitened, [P, P].
        mixing: what a case mix of one modality leaves, whitened, [P, P].
    """

    basis: Floats
    origin: Floats
    whiten: Floats
    effects: Effects
    noise: Floats
    habits: Floats
    mixing: Floats

    def vectors(self, features: Floats, embeddings: Floats) -> Floats:
        """Features beside what is kept of embeddings, about their mean, [n, P]."""
        vectors: Floats = np.hstack([features, embeddings @ self.basis.T]) - self.origin
        return vectors


def make_metric(features: Floats, embeddings: Floats, cells: Cells, names: Sequence[str]) -> Metric:
    """Learns it from reports: features [n, F] of these names, embeddings [n, D] and the reports' cells."""
    basis = _axes(embeddings, cells)
    vectors = np.hstack([features, embeddings @ basis.T])
    origin = vectors.mean(axis=0)
    vectors -= origin
    counts, sums = cells.sums(vectors)
    noise = noise_of(cells, vectors)
    effects = solve(cells, counts, sums, np.diag(noise))
    rest = sums - counts[:, None] * effects.of(cells)
    mixing = mixing_of(cells, counts, rest, noise)
    own = np.array([HABITS.get(name, TOLERANCE) for name in names]) ** 2
    habits = np.diag(np.concatenate([own, np.maximum(_WORDS**2 * np.diag(noise)[len(names) :], _LEAST)]))
    unit = habits + noise / READ + mixing * float(np.mean(concentration(cells, counts)))
    values, axes = np.linalg.eigh(unit)
    whiten = (axes / np.sqrt(values)) @ axes.T
    return Metric(basis, origin, whiten, effects, *(whiten @ one @ whiten for one in (noise, habits, mixing)))


def _axes(embeddings: Floats, cells: Cells) -> Floats:
    """Directions in which embeddings vary most beside what is scanned, [E, D]."""
    mean = embeddings.mean(axis=0)
    counts, sums = cells.sums(embeddings)
    sums -= counts[:, None] * mean
    size = embeddings.shape[1]
    effects = solve(cells, counts, sums, np.ones(size), np.ones((2, size)))
    added = effects.of(cells) + mean
    # The covariance about `added`, block by block: a second copy of all embeddings would double the memory.
    spread = np.zeros((size, size))
    for at in range(0, len(embeddings), 4096):
        rows = embeddings[at : at + 4096] - added[cells.of[at : at + 4096]]
        spread += rows.T @ rows
    values, axes = np.linalg.eigh(spread)
    del values
    kept: Floats = axes[:, ::-1].T[: min(AXES, size)]
    # A sign of its own, so that equal reports make equal files.
    signs = np.sign(kept[np.arange(len(kept)), np.abs(kept).argmax(axis=1)])
    signed: Floats = kept * signs[:, None]
    return signed


@dataclass(frozen=True, slots=True)
class Places:
    """Where clinics lie.

    Attributes:
        reports: of each clinic, [clinics].
        units: independent ones, [clinics].
        plain: means before whitening, what is scanned taken away, [clinics, P].
        again: the same in each bootstrap resample, [B, clinics, P].
        spread: concentration of each clinic's case mix, [clinics].
    """

    reports: Floats
    units: Floats
    plain: Floats
    again: Floats
    spread: Floats


def place(metric: Metric, vectors: Floats, cells: Cells, patients: Sequence[str], resamples: int, seed: int) -> Places:
    """Places clinics, and places them again in resamples of their patients (Efron and Tibshirani 1993).

    Reports without a patient are units of their own. What is scanned is taken away anew in each resample, so
    that doubt about it is in their spread.
    """
    units = _units(cells, patients)
    clinic_of_unit = np.zeros(units.max() + 1, dtype=np.intp)
    clinic_of_unit[units] = cells.owner
    order = np.argsort(clinic_of_unit, kind="stable")
    size = np.bincount(clinic_of_unit, minlength=len(cells.clinics))
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    chance = np.random.default_rng(seed)
    noise = np.diag(noise_of(cells, vectors))
    counts, sums = cells.sums(vectors)
    reports, plain = clinic_means(cells, counts, sums - counts[:, None] * metric.effects.of(cells))
    again = np.empty((resamples, *plain.shape))
    slots = clinic_of_unit[order]
    for at in range(resamples):
        drawn = first[slots] + (chance.random(len(slots)) * size[slots]).astype(np.intp)
        weights = np.bincount(order[drawn], minlength=len(order)).astype(np.float64)[units]
        some, of_them = cells.sums(vectors, weights)
        effects = solve(cells, some, of_them, noise, metric.effects.shrink)
        again[at] = clinic_means(cells, some, of_them - some[:, None] * effects.of(cells))[1]
    return Places(reports, size.astype(np.float64), plain, again, concentration(cells, counts))


def _units(cells: Cells, patients: Sequence[str]) -> NDArray[np.intp]:
    names: dict[tuple[int, str], int] = {}
    units = [
        names.setdefault((int(clinic), patient or f"\n{at}"), len(names))
        for at, (clinic, patient) in enumerate(zip(cells.owner, patients, strict=True))
    ]
    return np.array(units, dtype=np.intp)

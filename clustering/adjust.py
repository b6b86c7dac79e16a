"""Takes away what a clinic scans from how it writes.

A report's vector is its clinic's, plus what its modality does, plus what its exam does beside that, plus noise.
Where a clinic scans mostly one thing, the mean of a modality holds the style of the clinics that scan it; so
modalities are compared within clinics only: clinics are fixed effects, eliminated before modalities and exams are
solved for as random ones, which shrink towards nothing as the data thin out (mixed model equations of Henderson
1975; variances by EM, Dempster, Laird and Rubin 1977). All is done on the sums of cells (clinic x modality x exam),
so that work and memory hardly grow with reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

# A cell is never surer than this share of a report's variance: a clinic may do one thing its own way.
_OWN_WAY = 0.05
# Exams rarer than this, or beyond the most frequent, count as their modality alone.
RARE = 20
MOST_EXAMS = 200
_ROUNDS = 5
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Cells:
    """Which cell each report lies in, and what each cell is of; C cells, K effects (modalities, then exams).

    Attributes:
        of: report -> cell, [n].
        clinic: cell -> clinic, [C].
        modality: cell -> modality, [C].
        exam: cell -> exam, [C]; -1 where it is too rare to tell.
        clinics: names.
        modalities: names.
        exams: names.
    """

    of: Ints
    clinic: Ints
    modality: Ints
    exam: Ints
    clinics: tuple[str, ...]
    modalities: tuple[str, ...]
    exams: tuple[str, ...]

    @property
    def owner(self) -> Ints:
        """Report -> clinic, [n]."""
        owners: Ints = self.clinic[self.of]
        return owners

    @property
    def islands(self) -> Ints:
        """Clinic -> island, [clinics]: two on different islands share no modality, nor through others."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        size = len(self.clinics) + len(self.modalities)
        edges = (np.ones(len(self.clinic)), (self.clinic, len(self.clinics) + self.modality))
        labels: Ints = connected_components(coo_matrix(edges, shape=(size, size)), directed=False)[1]
        return labels[: len(self.clinics)]

    @property
    def comparable(self) -> NDArray[np.bool_]:
        """Whether each clinic lies on the largest island: only there style is told from case mix, [clinics]."""
        islands = self.islands
        main: NDArray[np.bool_] = islands == np.bincount(islands).argmax()
        return main

    def sums(self, vectors: Floats, weights: Floats | None = None) -> tuple[Floats, Floats]:
        """Weight of each cell, [C], and its weighted sum of vectors, [C, P]."""
        from scipy.sparse import csr_matrix

        size = len(self.of)
        given = np.ones(size) if weights is None else weights
        table = csr_matrix((given, (self.of, np.arange(size))), shape=(len(self.clinic), size))
        return np.asarray(table.sum(axis=1)).ravel(), np.asarray(table @ vectors)


@dataclass(frozen=True, slots=True)
class Effects:
    """What scanning does to a report's vector.

    Attributes:
        modality: [modalities, P].
        exam: beside its modality's, [exams, P].
        shrink: variance of a report against that of the effects: of modalities and of exams, [2, P].
    """

    modality: Floats
    exam: Floats
    shrink: Floats

    def of(self, cells: Cells) -> Floats:
        """What each cell's scanning adds, [C, P]."""
        none = np.zeros((1, self.modality.shape[1]))
        return self.modality[cells.modality] + np.vstack([self.exam, none])[cells.exam]


def make_cells(owners: Sequence[str], modalities: Sequence[str], exams: Sequence[str]) -> Cells:
    """The cells of some reports, given clinic, modality and exam of each."""
    kinds = Counter(zip(modalities, exams, strict=True))
    several = Counter(modality for modality, exam in kinds if exam)
    told = [kind for kind, count in kinds.most_common() if kind[1] and count >= RARE and several[kind[0]] > 1]
    number = {kind: at for at, kind in enumerate(told[:MOST_EXAMS])}
    names, all_modalities = sorted(set(owners)), sorted(set(modalities))
    places = {name: at for at, name in enumerate(names)}, {name: at for at, name in enumerate(all_modalities)}
    rows = [
        (places[0][owner], places[1][modality], number.get((modality, exam), -1))
        for owner, modality, exam in zip(owners, modalities, exams, strict=True)
    ]
    kept, of = np.unique(np.array(rows, dtype=np.intp).reshape(-1, 3), axis=0, return_inverse=True)
    return Cells(
        of=of.ravel(),
        clinic=kept[:, 0],
        modality=kept[:, 1],
        exam=kept[:, 2],
        clinics=tuple(names),
        modalities=tuple(all_modalities),
        exams=tuple(exam_key(*kind) for kind in number),
    )


def exam_key(modality: str, exam: str) -> str:
    """What an exam is called beside its modality: two modalities may have an exam of the same name."""
    return f"{modality}/{exam}"


def solve(cells: Cells, counts: Floats, sums: Floats, noise: Floats, shrink: Floats | None = None) -> Effects:
    """Effects of modalities and exams.

    Args:
        cells: the design.
        counts: weight of each cell, [C].
        sums: of each cell's vectors, [C, P].
        noise: variance of a report within its cell, [P].
        shrink: as an earlier solve found it; None finds it.
    """
    there = counts > 0
    means = sums[there] / counts[there][:, None]
    weights = 1 / (1 / counts[there] + _OWN_WAY)
    groups, effects = len(cells.modalities), len(cells.modalities) + len(cells.exams)
    design = np.zeros((int(there.sum()), effects))
    rows = np.arange(len(design))
    design[rows, cells.modality[there]] = 1
    exam = cells.exam[there]
    design[rows[exam >= 0], groups + exam[exam >= 0]] = 1
    # What clinics have of their own goes first: rows become differences from their clinic's weighted mean.
    owner = cells.clinic[there]
    total = np.bincount(owner, weights, len(cells.clinics)).astype(np.float64)
    inner, answers = (_within(values, owner, weights, total) for values in (design, means))
    left = inner.T @ (weights[:, None] * inner)
    right = inner.T @ (weights[:, None] * answers)
    kind = (np.arange(effects) >= groups).astype(np.intp)
    if shrink is None:
        shrink = _variances(left, right, noise, kind)
    found = np.stack(
        [np.linalg.solve(left + np.diag(shrink[kind, at]), right[:, at]) for at in range(sums.shape[1])], axis=1
    )
    return Effects(found[:groups], found[groups:], shrink)


def _within(values: Floats, owner: Ints, weights: Floats, total: Floats) -> Floats:
    mean = np.zeros((len(total), values.shape[1]))
    np.add.at(mean, owner, weights[:, None] * values)
    mean /= np.maximum(total, _TINY)[:, None]
    inner: Floats = values - mean[owner]
    return inner


def _variances(left: Floats, right: Floats, noise: Floats, kind: Ints) -> Floats:
    """Noise against the variance of modalities and of exams, by EM; [2, P]."""
    shrink = np.ones((2, len(noise)))
    for at, own in enumerate(noise):
        if own <= _TINY:
            continue
        for _ in range(_ROUNDS):
            spread = np.linalg.inv(left + np.diag(shrink[kind, at]))
            squares = (spread @ right[:, at]) ** 2 + own * np.diag(spread)
            for one in set(kind.tolist()):
                shrink[one, at] = own / max(float(squares[kind == one].mean()), 1e-4 * own)
    return shrink


def noise_of(cells: Cells, vectors: Floats) -> Floats:
    """Covariance of a report within its cell, [P, P], drawn towards its diagonal where reports are few."""
    counts, sums = cells.sums(vectors)
    apart = vectors - (sums / counts[:, None])[cells.of]
    free = max(len(vectors) - len(counts), 0)
    if free == 0:
        # No cell has two reports: nothing tells noise from style, and all of it is taken for noise.
        apart, free = vectors - vectors.mean(axis=0), max(len(vectors) - 1, 1)
    return drawn(apart.T @ apart / free, free)


def drawn(covariance: Floats, free: float) -> Floats:
    """A covariance of `free` degrees of freedom, drawn towards its diagonal by its size against them."""
    share = len(covariance) / (len(covariance) + max(free, 1))
    result: Floats = (1 - share) * covariance + share * np.diag(np.diag(covariance))
    return result


def mixing_of(cells: Cells, counts: Floats, rest: Floats, noise: Floats) -> Floats:
    """Covariance of what a clinic does its own way in one modality, [P, P].

    Args:
        cells: the design.
        counts: of each cell, [C].
        rest: sums of each cell's vectors without effects, [C, P].
        noise: of a report, [P, P].

    A clinic's modalities are compared with its most frequent one: their differences vary by noise and by this.
    """
    groups = len(cells.modalities)
    places = cells.clinic * groups + cells.modality
    size = np.bincount(places, counts, len(cells.clinics) * groups).reshape(-1, groups)
    sums = np.zeros((size.size, rest.shape[1]))
    np.add.at(sums, places, rest)
    means = sums.reshape(*size.shape, -1) / np.maximum(size, _TINY)[..., None]
    main = size.argmax(axis=1)
    rows = np.arange(len(size))
    apart = means - means[rows, main][:, None]
    other = size > 0
    other[rows, main] = False
    if not other.any():
        return np.zeros_like(noise)
    share = (1 / np.maximum(size, _TINY) + 1 / size[rows, main][:, None])[other]
    weights = 1 / (share + _OWN_WAY)
    found = (apart[other].T * weights) @ apart[other] - noise * float(weights @ share)
    return positive(drawn(found / (2 * weights.sum()), float(other.sum())))


def positive(matrix: Floats) -> Floats:
    """The nearest covariance: negative eigenvalues, which only noise makes, become 0."""
    values, axes = np.linalg.eigh((matrix + matrix.T) / 2)
    result: Floats = (axes * np.maximum(values, 0)) @ axes.T
    return result


def clinic_means(cells: Cells, counts: Floats, rest: Floats) -> tuple[Floats, Floats]:
    """Reports of each clinic, [clinics], and the mean of its vectors without effects, [clinics, P]."""
    size = np.bincount(cells.clinic, counts, len(cells.clinics)).astype(np.float64)
    sums = np.zeros((len(size), rest.shape[1]))
    np.add.at(sums, cells.clinic, rest)
    means: Floats = sums / np.maximum(size, _TINY)[:, None]
    return size, means


def concentration(cells: Cells, counts: Floats) -> Any:
    """Sum of the squared shares of a clinic's modalities, [clinics]: 1 where it scans one thing only."""
    groups = len(cells.modalities)
    size = np.bincount(cells.clinic * groups + cells.modality, counts, len(cells.clinics) * groups)
    table = size.reshape(-1, groups)
    return ((table / np.maximum(table.sum(axis=1), _TINY)[:, None]) ** 2).sum(axis=1)

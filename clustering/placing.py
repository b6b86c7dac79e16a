"""Places reports in a fitted space, and asks whether two places differ by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radimpress.clustering.adjust import drawn, exam_key
from radimpress.clustering.values import Space
from radimpress.clustering.vectors import StyleVectors
from radimpress.reports.errors import InputError
from radimpress.reports.report import Report

Floats = NDArray[np.float64]

# As many reports' worth of the corpus's noise stands beside a few reports' own.
_PRIOR = 20
# Differences of a feature under this, in its own unit, are nobody's business.
SMALL = 0.02


@dataclass(frozen=True, slots=True)
class Seen:
    """Reports of one clinic, placed; P coordinates, before whitening.

    Attributes:
        mean: of the reports, what is scanned taken away, [P].
        chance: covariance of that mean, by the reports' own scatter and the corpus's, [P, P].
        mixing: what their case mix leaves in it, [P, P].
        units: independent reports: patients where known.
    """

    mean: Floats
    chance: Floats
    mixing: Floats
    units: int


class Placer:
    """A fitted space as arrays.

    Args:
        space: as clusters.json holds it.
    """

    def __init__(self, space: Space) -> None:
        self.names = space.features
        self._space = space
        self._basis = np.array(space.basis).reshape(len(space.basis), -1)
        self._origin = np.array(space.origin)
        self.whiten = np.array(space.whiten)
        back = np.linalg.inv(self.whiten)
        self.noise, self.habits, self.mixing = (
            back @ np.array(one) @ back for one in (space.noise, space.habits, space.mixing)
        )

    def vectors(self, reports: Sequence[Report], made: StyleVectors) -> Floats:
        """Reports' vectors without what is scanned, [n, P].

        Raises:
            InputError: the vectors are of other features or of another embedding model.
        """
        if made.features.shape[1] != len(self.names) or made.embeddings.shape[1] != self._basis.shape[1]:
            shape = f"{made.features.shape[1]} features and {made.embeddings.shape[1]} dimensions"
            raise InputError("vectors", f"have {shape}, not {len(self.names)} and {self._basis.shape[1]}; fit again")
        vectors: Floats = np.hstack([made.features, made.embeddings @ self._basis.T]) - self._origin
        none = np.zeros(len(self._origin))
        for at, report in enumerate(reports):
            key = exam_key(report.modality, report.exam)
            vectors[at] -= self._space.modalities.get(report.modality, none)
            vectors[at] -= self._space.exams.get(key, none)
        return vectors

    def see(self, reports: Sequence[Report], made: StyleVectors) -> Seen:
        """Places some reports of one clinic together.

        Raises:
            InputError: there are none, or the vectors do not fit.
        """
        if not reports:
            raise InputError("reports", "is empty: there is nothing to place")
        vectors = self.vectors(reports, made)
        patients = [report.patient or f"\n{at}" for at, report in enumerate(reports)]
        return self.gather(vectors, patients, [report.modality for report in reports])

    def gather(self, vectors: Floats, patients: Sequence[str], modalities: Sequence[str]) -> Seen:
        """The same of vectors that stand already."""
        _, unit = np.unique(patients, return_inverse=True)
        units, size = int(unit.max()) + 1, len(vectors)
        mean = vectors.mean(axis=0)
        # Reports of one patient move together: what is summed within a patient is one draw.
        sums = np.zeros((units, vectors.shape[1]))
        np.add.at(sums, unit, vectors - mean)
        own = sums.T @ sums / size
        chance = drawn((_PRIOR * self.noise + units * own) / (_PRIOR + units), _PRIOR + units)
        shares = np.unique(modalities, return_counts=True)[1] / size
        return Seen(mean, chance / units, self.mixing * float(shares @ shares), units)


def surprise(apart: Floats, covariance: Floats, tests: int = 1) -> float:
    """How unlikely a difference is by chance, as a standard normal deviate: 2.33 is 1%.

    It is the less likely of two: of all coordinates together (Hotelling), and of the one that stands out most,
    times their number and times `tests` (Bonferroni). One habit that changed is lost in the first, a little
    everywhere in the second.

    Args:
        apart: the difference, [P].
        covariance: its covariance by chance, [P, P].
        tests: how many such questions are asked.
    """
    from scipy.stats import chi2, norm

    together = chi2.logsf(float(apart @ np.linalg.solve(covariance, apart)), len(apart))
    alone = np.log(2 * len(apart)) + norm.logsf(float(np.abs(apart / np.sqrt(np.diag(covariance))).max()))
    # 2 for the choice between the two.
    return deviate(min(together, alone) + np.log(2 * tests))


def deviate(log_chance: float) -> float:
    """The standard normal deviate that is exceeded with this chance, given by its logarithm."""
    from scipy.special import ndtri_exp

    return float(-ndtri_exp(min(log_chance, 0.0))) if log_chance < -1e-12 else -8.0

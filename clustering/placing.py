"""Places reports in a fitted space, and asks whether two places differ by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radimpress.clustering.adjust import drawn, exam_key
from radimpress.clustering.values import Space
from radimpress.clustering.vectors import StyleVectors, features_version
from radimpress.reports.errors import ConfigError, InputError
from radimpress.reports.report import Report

Floats = NDArray[np.float64]

# As many reports' worth of the corpus's noise stands beside a few reports' own.
_PRIOR = 20
# Differences of a feature under this, in its own unit, are nobody's business.
SMALL = 0.02
# How far rates of a style that nobody knows lie from those of the others, standard deviation, and how many styles'
# worth of that stands beside the styles that are known.
_OTHER = 0.2
_STYLES = 6


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

    Raises:
        ConfigError: its style features were counted by another version of the program.
    """

    def __init__(self, space: Space) -> None:
        if space.counted != features_version():
            raise ConfigError(
                "the clusters were fitted with style features that another version of the program counted; fit again"
            )
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


def between(centres: Floats, named: int) -> Floats:
    """Covariance of styles about their mean, [P, P]: as the known ones differ, and as any might in a named feature.

    Args:
        centres: of the known styles, [styles, P].
        named: the first so many coordinates are of features with a name.
    """
    apart = centres - centres.mean(axis=0)
    might = np.zeros(centres.shape[1])
    might[:named] = _OTHER**2
    covariance: Floats = (_STYLES * np.diag(might) + apart.T @ apart) / (_STYLES + len(centres) - 1)
    return covariance


def stretch(apart: Floats, covariance: Floats, styles: Floats) -> float:
    """How far a clinic lies from a style where styles differ; 1 is the root mean square of the style's own clinics.

    It is the quadratic form that tells a clinic of this style from one of another best (the likelihood ratio of two
    normal distributions about one centre), against its mean: a direction counts by how much more styles differ in it
    than clinics of one style do.

    Args:
        apart: the clinic's mean less the style's centre, [P].
        covariance: of clinics of one style about its centre, [P, P].
        styles: as `between` makes it, [P, P].
    """
    # The form is the inverse of C less that of C + S, which is inv(C + S) S inv(C).
    shares = np.linalg.solve(covariance + styles, styles)
    square = apart @ shares @ np.linalg.solve(covariance, apart)
    return float(np.sqrt(max(square, 0.0) / np.trace(shares)))


def surprise(apart: Floats, covariance: Floats) -> float:
    """How unlikely a difference is by chance, as a standard normal deviate: 2.33 is 1%.

    It is the less likely of two: of all coordinates together (Hotelling), and of the one that stands out most,
    times their number (Bonferroni). One habit that changed is lost in the first, a little
    everywhere in the second.

    Args:
        apart: the difference, [P].
        covariance: its covariance by chance, [P, P].
    """
    from scipy.stats import chi2, norm

    together = chi2.logsf(float(apart @ np.linalg.solve(covariance, apart)), len(apart))
    alone = np.log(2 * len(apart)) + norm.logsf(float(np.abs(apart / np.sqrt(np.diag(covariance))).max()))
    # 2 for the choice between the two.
    return deviate(min(together, alone) + np.log(2))


def deviate(log_chance: float) -> float:
    """The standard normal deviate that is exceeded with this chance, given by its logarithm."""
    from scipy.special import ndtri_exp

    return float(-ndtri_exp(min(log_chance, 0.0))) if log_chance < -1e-12 else -8.0

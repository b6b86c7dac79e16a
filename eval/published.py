"""The published experiment's scores, made again: its means and slice sizes, with invented cases.

Six modalities of 20 cases, NM 16, OTHER 2; base 0.3465, and the adapter better or worse by what was
published for each (ROUGE-1, which stands in the column that the gate reads). Nothing was published of
the spread: scores are drawn from beta distributions of sd 0.2 that correlate by 0.5 within a case, so
that the paired difference has an sd of 0.2 too. Each slice's means are exactly the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from radimpress.clustering.cell import Cell
from radimpress.eval.checks import CHECKS
from radimpress.eval.metrics.rouge import ROUGE
from radimpress.eval.score import Judged, Scores, System
from radimpress.reports.report import Modality

CANDIDATE, INCUMBENT, CLUSTER = "unified", "base", "published"
BASE_MEAN = 0.3465
# modality -> cases, change of ROUGE-1
SLICES: Mapping[Modality, tuple[int, float]] = {
    Modality.MR: (20, 0.163),
    Modality.UNSPECIFIED: (20, 0.147),
    Modality.CR: (20, 0.069),
    Modality.XR: (20, 0.095),
    Modality.US: (20, 0.032),
    Modality.CT: (20, 0.014),
    Modality.NM: (16, -0.057),
    Modality.OTHER: (2, -0.047),
}
_SD, _CORRELATION = 0.2, 0.5

Floats = NDArray[np.float64]


def published_scores(cases: int | None = None, *, seed: int = 0) -> Scores:
    """Scores of base and adapter; `cases` in every slice instead of the published sizes."""
    chance = np.random.default_rng(seed)
    judged: list[Judged] = []
    rows: dict[str, dict[str, dict[str, float]]] = {INCUMBENT: {}, CANDIDATE: {}}
    for modality, (size, change) in SLICES.items():
        count = cases or size
        first = chance.standard_normal(count)
        second = _CORRELATION * first + (1 - _CORRELATION**2) ** 0.5 * chance.standard_normal(count)
        before, after = _scores(first, BASE_MEAN), _scores(second, BASE_MEAN + change)
        for at in range(count):
            case = Judged(f"{modality}-{at}", Cell(modality, CLUSTER), f"{modality}-{at}", 1.0)
            judged.append(case)
            rows[INCUMBENT][case.id], rows[CANDIDATE][case.id] = _row(before[at]), _row(after[at])
    systems = {
        INCUMBENT: System(INCUMBENT, "", "b" * 64, rows[INCUMBENT]),
        CANDIDATE: System(CANDIDATE, "a" * 64, "b" * 64, rows[CANDIDATE]),
    }
    return Scores(tuple(judged), systems, "d" * 64, "c" * 64, "1")


def _scores(normal: Floats, mean: float) -> Floats:
    """Beta scores of these normal deviates, moved until their own mean is `mean`."""
    from scipy.special import betaincinv, ndtr

    whole = mean * (1 - mean) / _SD**2 - 1
    made: Floats = betaincinv(mean * whole, (1 - mean) * whole, ndtr(normal))
    for _ in range(100):
        made = np.clip(made + mean - made.mean(), 0, 1)
    return made


def _row(value: float) -> dict[str, float]:
    return {**dict.fromkeys(ROUGE, float(value)), **{f"check:{check.name}": 0.0 for check in CHECKS}}

"""The bootstrap (Efron 1979), over groups: cases that share a patient or findings move together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval.

    Attributes:
        mean: over cases.
        low: 5th percentile of the bootstrap means.
        high: 95th percentile of the bootstrap means.
        cases: how many.
        groups: how many independent groups they come from.
    """

    mean: float
    low: float
    high: float
    cases: int
    groups: int


def estimate(
    values: Sequence[float], groups: Sequence[str], weights: Sequence[float] | None = None, *, seed: int = 0
) -> Estimate:
    """Mean and 90% percentile interval of `values`, one a case, each with its group.

    For a paired comparison, `values` are the differences candidate - incumbent. `weights` are cases'
    shares of the traffic; without them each case counts once.

    Raises:
        ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("no values to estimate a mean of")
    _, owner = np.unique(np.array(groups), return_inverse=True)
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=float)
    count = int(owner.max()) + 1
    sums = np.bincount(owner, weight * np.asarray(values, dtype=float), count).astype(np.float64)
    sizes = np.bincount(owner, weight, count).astype(np.float64)
    means = _resampled(sums, sizes, seed)
    low, high = np.percentile(means, [5, 95])
    return Estimate(float(sums.sum() / sizes.sum()), float(low), float(high), len(values), count)


def _resampled(sums: NDArray[np.float64], sizes: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    chance = np.random.default_rng(seed)
    drawn = chance.integers(0, len(sums), size=(RESAMPLES, len(sums)))
    means: NDArray[np.float64] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means

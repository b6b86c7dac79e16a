"""The bootstrap over groups: cases that share a patient or findings move together.

Intervals are bootstrap-t (Efron and Tibshirani 1993, chapter 12): each resample is divided by its own
standard error, which follows skewed differences where percentiles are too narrow (Hesterberg 2015).
Under TEN groups it has too little to resample, and Student's t stands in. One table of resample counts
serves all columns of a slice: metrics, or the runs of a simulation, are columns of one product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
TAIL = 0.05
TEN = 10
_BLOCK = 1 << 22

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval.

    Attributes:
        mean: over cases.
        low: the true mean lies below in TAIL of cases, or what the gate's rule says instead.
        high: the true mean lies above as often.
        cases: how many.
        groups: how many independent groups they come from.
    """

    mean: float
    low: float
    high: float
    cases: int
    groups: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the bootstrap says of each column; every array has one number a column.

    Attributes:
        mean: the weighted mean.
        error: its standard error, from groups.
        low: lower bound.
        high: upper bound.
        above: one-sided p-value of "the mean is not above 0".
    """

    mean: Floats
    error: Floats
    low: Floats
    high: Floats
    above: Floats


def estimate(
    values: Sequence[float], groups: Sequence[str], weights: Sequence[float] | None = None, *, seed: int = 0
) -> Estimate:
    """Mean and 90% interval of `values`, one a case, each with its group.

    For a paired comparison, `values` are the differences candidate - incumbent. `weights` are cases'
    shares of the traffic; without them each case counts once.

    Raises:
        ValueError: there are no values.
    """
    column = np.asarray(values, dtype=float)[:, None]
    found = bounds(column, groups, weights, tail=TAIL, resamples=RESAMPLES, seed=seed)
    # Scores lie in [0, 1] and their differences in [-1, 1]; two or three cases would reach beyond.
    least, most = column.min(), column.max()
    low = max(float(found.low[0]), 0.0 if least >= 0 else -1.0 if least >= -1 else float("-inf"))
    high = min(float(found.high[0]), 1.0 if most <= 1 else float("inf"))
    return Estimate(float(found.mean[0]), low, high, len(column), len(set(groups)))


def bounds(
    columns: Floats,
    groups: Sequence[str],
    weights: Sequence[float] | None = None,
    *,
    tail: float,
    resamples: int,
    seed: int,
) -> Bounds:
    """Means of `columns` (cases x columns) with bounds that each err in `tail` of cases.

    A single group tells nothing of how groups differ: its bounds are the mean.

    Raises:
        ValueError: there are no values.
    """
    if not len(columns):
        raise ValueError("no values to estimate a mean of")
    _, owner = np.unique(np.array(groups), return_inverse=True)
    count = int(owner.max()) + 1
    weight = np.ones(len(columns)) if weights is None else np.asarray(weights, dtype=float)
    sums, sizes = _by_group(columns * weight[:, None], owner, count), _by_group(weight[:, None], owner, count)[:, 0]
    mean = sums.sum(axis=0) / sizes.sum()
    error = _error(sums, sizes, mean)
    low, high, above = mean.copy(), mean.copy(), np.where(mean > 0, 0.0, 1.0)
    # A difference that is the same in every group has no spread but that of rounding.
    spread = error > 1e-12
    if count > 1 and spread.any():
        some = _student(mean[spread], error[spread], count, tail)
        if count >= TEN:
            some = _bootstrap_t(sums[:, spread], sizes, mean[spread], error[spread], some, tail, resamples, seed)
        low[spread], high[spread], above[spread] = some
    if count == 1:
        above[:] = 1.0
    return Bounds(mean, error, low, high, above)


def _by_group(values: Floats, owner: NDArray[np.intp], count: int) -> Floats:
    made = np.zeros((count, values.shape[1]))
    np.add.at(made, owner, values)
    return made


def _error(sums: Floats, sizes: Floats, mean: Floats) -> Floats:
    """Standard error of a ratio of sums over groups, by linearisation."""
    count = len(sizes)
    if count < 2:
        return np.zeros(sums.shape[1])
    left = sums - sizes[:, None] * mean
    made: Floats = np.sqrt(count / (count - 1) * (left**2).sum(axis=0)) / sizes.sum()
    return made


def _student(mean: Floats, error: Floats, count: int, tail: float) -> tuple[Floats, Floats, Floats]:
    from scipy.special import stdtr, stdtrit

    reach = stdtrit(count - 1, 1 - tail) * error
    return mean - reach, mean + reach, stdtr(count - 1, -mean / error)


def _bootstrap_t(
    sums: Floats,
    sizes: Floats,
    mean: Floats,
    error: Floats,
    otherwise: tuple[Floats, Floats, Floats],
    tail: float,
    resamples: int,
    seed: int,
) -> tuple[Floats, Floats, Floats]:
    # Centred, so that single precision loses nothing in the squares.
    left = sums - sizes[:, None] * mean
    width = left.shape[1]
    stack = np.hstack([left, left**2, left * sizes[:, None], np.stack([sizes, sizes**2], axis=1)]).astype(np.float32)
    ratios = np.empty((resamples, width), dtype=np.float32)
    at, count = 0, len(sizes)
    for drawn in _counts(count, resamples, seed):
        made = drawn @ stack
        first, square, cross = made[:, :width], made[:, width : 2 * width], made[:, 2 * width : 3 * width]
        size, size_square = made[:, -2:-1], made[:, -1:]
        shift = first / size
        rest = np.maximum(square - 2 * shift * cross + shift**2 * size_square, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = shift / (np.sqrt(rest * (count / (count - 1))) / size)
        ratios[at : at + len(drawn)] = np.where(shift == 0, 0, ratio)
        at += len(drawn)
    above = (1 + (ratios >= (mean / error).astype(np.float32)).sum(axis=0)) / (resamples + 1)
    ends = np.quantile(ratios, [tail, 1 - tail], axis=0, method="nearest", overwrite_input=True).astype(np.float64)
    safe = np.isfinite(ends).all(axis=0)
    ends = np.where(safe, ends, 0)
    return (
        np.where(safe, np.minimum(mean - ends[1] * error, otherwise[0]), otherwise[0]),
        np.where(safe, np.maximum(mean - ends[0] * error, otherwise[1]), otherwise[1]),
        np.where(safe, np.maximum(above, otherwise[2]), otherwise[2]),
    )


def _counts(groups: int, resamples: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """How often each group is drawn in each resample (resamples x groups), in blocks that fit the memory."""
    chance = np.random.default_rng(seed)
    block = max(1, _BLOCK // groups)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = chance.integers(0, groups, size=(rows, groups), dtype=np.int32)
        drawn += np.arange(rows, dtype=np.int32)[:, None] * groups
        yield np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups).astype(np.float32)

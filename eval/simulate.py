"""The gate's error rates by simulation: how often is a worse adapter passed, and an equal one?

Each shape draws paired differences of ROUGE of sd 0.2 and a known true mean; the gate's own bounds and
its own word decide. "worse" is worse by exactly the margin, and may pass in at most 5%; "equal" has as
many patients as `plan` says, and should pass in at least 80%.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radimpress.eval.bootstrap import Estimate, bounds
from radimpress.eval.gate import Outcome, Rule, verdict_of
from radimpress.eval.plan import needed
from radimpress.eval.safety import Split, significant

SIZES = (20, 30, 60, 120)
SD = 0.2
_BATCH = 500
_ALIKE_SD = 0.2029

Floats = NDArray[np.float64]
Shape = Callable[[np.random.Generator, int, int], Floats]


@dataclass(frozen=True, slots=True)
class Rate:
    """How often the gate passed.

    Attributes:
        shape: of the differences.
        truth: "worse" by the margin, or "equal".
        patients: independent groups in the slice.
        passes: how many runs passed.
        runs: of how many.
    """

    shape: str
    truth: str
    patients: int
    passes: int
    runs: int

    @property
    def share(self) -> float:
        """Of the runs that passed."""
        return self.passes / self.runs


def alike(chance: np.random.Generator, cases: int, runs: int) -> Floats:
    """Two systems that write freely: beta scores that correlate by 0.5 within a case."""
    from scipy.special import betaincinv, ndtr

    first = chance.standard_normal((cases, runs))
    second = 0.5 * first + 0.75**0.5 * chance.standard_normal((cases, runs))
    made: Floats = betaincinv(1.6, 3.0, ndtr(first)) - betaincinv(1.6, 3.0, ndtr(second))
    return made * (SD / _ALIKE_SD)


def templates(chance: np.random.Generator, cases: int, runs: int) -> Floats:
    """Half of the cases get the same words from both; the others differ all the more."""
    same = chance.random((cases, runs)) < 0.5
    return np.where(same, 0.0, alike(chance, cases, runs) * 2**0.5)


def seldom_bad(chance: np.random.Generator, cases: int, runs: int) -> Floats:
    """Mostly a little better, seldom much worse: skewness -1.4."""
    return -(chance.gamma(2.0, size=(cases, runs)) - 2.0) * (SD / 2**0.5)


def seldom_good(chance: np.random.Generator, cases: int, runs: int) -> Floats:
    """Mostly a little worse, seldom much better: skewness 1.4."""
    return -seldom_bad(chance, cases, runs)


SHAPES: Mapping[str, Shape] = {
    "alike": alike,
    "templates": templates,
    "seldom bad": seldom_bad,
    "seldom good": seldom_good,
}


def simulate(runs: int, rule: Rule, *, seed: int = 0) -> Iterator[Rate]:
    """Every shape, worse in each of SIZES and equal at the planned size; then with several cases a patient."""
    chance = np.random.default_rng(seed)
    planned = max(rule.minimum, needed(SD, rule.margin, rule.error))
    for name, shape in SHAPES.items():
        for several in (False, True):
            told = f"{name}, 1 to 4 cases a patient" if several else name
            for size in SIZES:
                yield Rate(told, "worse", size, _passes(chance, shape, size, runs, -rule.margin, rule, several), runs)
            yield Rate(told, "equal", planned, _passes(chance, shape, planned, runs, 0.0, rule, several), runs)


def checks_stop_equals(runs: int, *, slices: int = 48, patients: int = 40, seed: int = 0) -> float:
    """Share of judgements in which soft checks stop an adapter that fires each as often as the incumbent.

    Eight checks that fire on 0.1 to 5% of cases, in each slice and in slices of six together.
    """
    chance = np.random.default_rng(seed)
    rates = np.geomspace(0.001, 0.05, 8)
    differ = (rates * (1 - rates))[None, None, :, None]
    # Of the patients on whom both differ, each is worse or better by the toss of a coin.
    drawn = chance.random((runs, slices, len(rates), patients))
    worse, better = (drawn < differ).sum(axis=3), ((drawn >= differ) & (drawn < 2 * differ)).sum(axis=3)
    stopped = 0
    for ours, theirs in zip(worse, better, strict=True):
        family: dict[tuple[int, int], Split] = {}
        for width in (1, 6):
            up, down = (counts.reshape(-1, width, len(rates)).sum(axis=1).ravel() for counts in (ours, theirs))
            family |= {(width, at): Split(int(a), int(b)) for at, (a, b) in enumerate(zip(up, down, strict=True))}
        stopped += bool(significant(family))
    return stopped / runs


def _passes(
    chance: np.random.Generator, shape: Shape, size: int, runs: int, truth: float, rule: Rule, several: bool
) -> int:
    sizes = chance.integers(1, 5, size) if several else np.ones(size, dtype=int)
    owner = np.repeat(np.arange(size), sizes)
    weights = chance.choice([1.0, 2.0], len(owner)).tolist() if several else None
    passes = 0
    for start in range(0, runs, _BATCH):
        columns = min(_BATCH, runs - start)
        drawn = shape(chance, size, columns)[owner]
        if several:
            drawn = (drawn + shape(chance, len(owner), columns)) / 2**0.5
        passes += _passed(drawn + truth, [str(one) for one in owner], weights, rule)
    return passes


def _passed(columns: Floats, groups: Sequence[str], weights: Sequence[float] | None, rule: Rule) -> int:
    found = bounds(columns, groups, weights, tail=rule.error, resamples=rule.resamples, seed=rule.seed)
    count = len(set(groups))
    words = (
        verdict_of(Estimate(float(mean), float(low), float(high), len(columns), count), rule.margin, rule.minimum)
        for mean, low, high in zip(found.mean, found.low, found.high, strict=True)
    )
    return sum(word is Outcome.PASS for word in words)

"""The monitor's error rates by simulation: how soon is a worse adapter sent back, and how often an equal one?

Runs of a world share the order in which requests fall to either side, a few hundred runs at a time, and go
through the streams that the monitor goes through. The monitor looks every second; here every answer is
looked at, which gives an equal adapter more chances to be sent back and not fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radimpress.server.rollout.sequential import Floats, SliceEvidence, log_evidence, shows_worse

ALPHA = 0.04
PERCENTS = (50.0, 10.0)
_BATCH = 250
_SD = 0.2


@dataclass(frozen=True, slots=True)
class Side:
    """What comes of one adapter's answers.

    Attributes:
        noticed: share in which a check notices something.
        hard: share in which a hard check does; these are among the noticed.
        rouge: mean ROUGE-L of signed texts.
    """

    noticed: float = 0.05
    hard: float = 0.001
    rouge: float = 0.5


@dataclass(frozen=True, slots=True)
class World:
    """An adapter on trial beside an incumbent.

    Attributes:
        name: in words.
        tried: the adapter on trial, in the first of its slices; in the others it is as the incumbent is.
        incumbent: beside it.
        within: percent of the requests that fall to the trial -> requests of the slice within which it is to be
            ended where it is worse, or for which it is watched where it is equal.
        signed: share of answers whose signed text comes back.
        slices: with a trial of the same adapter and as many requests.
    """

    name: str
    tried: Side
    incumbent: Side
    within: dict[float, int]
    signed: float = 0.3
    slices: int = 1

    @property
    def equal(self) -> bool:
        """Whether there is nothing to find."""
        return self.tried == self.incumbent


# Whoever is not worse is watched for long, as there is always a next answer.
_LONG = dict.fromkeys(PERCENTS, 20_000)
WORLDS = (
    World("checks notice 15% in place of 5%", Side(noticed=0.15), Side(), {50.0: 1_000, 10.0: 2_500}),
    World("hard checks fire in 3% in place of 0.1%", Side(noticed=0.08, hard=0.03), Side(), {50.0: 1_800, 10.0: 4_000}),
    World("signed ROUGE-L is 0.4 in place of 0.5", Side(rouge=0.4), Side(), {50.0: 1_600, 10.0: 4_500}),
    World("equal", Side(), Side(), _LONG),
    World("equal, checks notice 30%", Side(noticed=0.3, hard=0.02), Side(noticed=0.3, hard=0.02), _LONG),
    World("equal, eight slices", Side(), Side(), dict.fromkeys(PERCENTS, 2_500), slices=8),
)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a trial was ended.

    Attributes:
        world: in words.
        equal: whether it should not have been.
        percent: of requests that fell to the adapter on trial.
        within: requests, of each slice, that were looked at.
        ended: runs that were ended within them.
        runs: of how many.
        median: requests until the end, in half of the runs at most; 0 where fewer were ended.
    """

    world: str
    equal: bool
    percent: float
    within: int
    ended: int
    runs: int
    median: int

    @property
    def share(self) -> float:
        """Of the runs that were ended."""
        return self.ended / self.runs

    def __str__(self) -> str:
        half = f", half of them by {self.median}" if self.median else ""
        return f"{self.world}, canary {self.percent:g}%: {self.share:.4f} of {self.runs} ended in {self.within}{half}"


@dataclass(frozen=True, slots=True)
class Figures:
    """All rates.

    Attributes:
        rates: one a world and percentage.
    """

    rates: tuple[Rate, ...]

    @property
    def worse(self) -> float:
        """The lowest share of runs in which a worse adapter was sent back within the stated requests."""
        return min(rate.share for rate in self.rates if not rate.equal)

    @property
    def equal(self) -> float:
        """The highest share of runs in which an equal adapter was sent back."""
        return max(rate.share for rate in self.rates if rate.equal)


def simulate(
    runs: int,
    alpha: float = ALPHA,
    seed: int = 0,
    worlds: tuple[World, ...] = WORLDS,
    told: Callable[[Rate], None] = lambda _: None,
) -> Figures:
    """Runs every world at every percentage.

    Args:
        runs: of each.
        alpha: as the monitor's.
        seed: of chance.
        worlds: to run.
        told: hears of each rate when it is known.
    """
    chance = np.random.default_rng(seed)
    rates = []
    for world in worlds:
        for percent, within in world.within.items():
            ends = np.concatenate(list(_batches(chance, world, percent, within, runs, alpha)))
            median = int(np.sort(ends)[(runs - 1) // 2])
            ended = int((ends <= within).sum())
            rates.append(Rate(world.name, world.equal, percent, within, ended, runs, median if median <= within else 0))
            told(rates[-1])
    return Figures(tuple(rates))


def _batches(
    chance: np.random.Generator, world: World, percent: float, within: int, runs: int, alpha: float
) -> Iterator[NDArray[np.int64]]:
    for start in range(0, runs, _BATCH):
        yield _ends(chance, world, percent, within, min(_BATCH, runs - start), alpha)


def _ends(
    chance: np.random.Generator, world: World, percent: float, within: int, runs: int, alpha: float
) -> NDArray[np.int64]:
    """The request, of its slice, at which each run is ended, [runs]; within + 1 where it is not."""
    slices = [SliceEvidence() for _ in range(world.slices)]
    ends = np.full(runs, within + 1)
    for request in range(1, within + 1):
        for at, one in enumerate(slices):
            tried = bool(chance.random() < percent / 100)
            side = world.tried if tried and at == 0 else world.incumbent
            _answer(chance, one, tried, side, runs, signed=bool(chance.random() < world.signed))
        now = shows_worse(log_evidence(slices), alpha) & (ends > within)
        ends[now] = request
        if (ends <= within).all():
            break
    return ends


def _answer(
    chance: np.random.Generator, one: SliceEvidence, tried: bool, side: Side, runs: int, *, signed: bool
) -> None:
    drawn = chance.random(runs)
    one.noticed.add(tried, (drawn < side.noticed).astype(float))
    one.hard.add(tried, (drawn < side.hard).astype(float))
    if signed:
        one.signed.add(tried, 1 - rouge(chance, side.rouge, runs))


def rouge(chance: np.random.Generator, mean: float, runs: int) -> Floats:
    """Scores of signed texts: this mean, sd 0.2, beta distributed."""
    spread = mean * (1 - mean) / _SD**2 - 1
    return chance.beta(mean * spread, (1 - mean) * spread, runs)

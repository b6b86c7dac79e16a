"""Is an adapter on trial worse than what serves? A test that may be looked at after every answer.

It is a bet against "its mean loss is not larger", made anew on every block of outcomes with what was seen before
(Waudby-Smith and Ramdas 2023, "Estimating means of bounded random variables by betting", JRSS B 86; blocks as in
Turner, Ly and Grünwald 2024, "Generic E-variables for exact sequential k-sample tests"). Losses lie in [0, 1], m is
their mean in earlier blocks. Of a block of s losses x on trial and r losses y of the incumbent a bet b multiplies
its stake by the product of all 1 + b (x - m) / s and all 1 - b (y - m) / r.

Where both means are the same, the s + r factors have expectations whose mean is 1, so that their product is 1 at
most (arithmetic and geometric mean), and less where the adapter's is lower. No stake grows in expectation, however
often one looks and whenever one stops: the chance that it ever reaches 1/alpha is alpha at most (Ville 1939). Stakes
are spread over several bets ("diversified Kelly", Waudby-Smith and Ramdas), over streams and slices; their mean is
bound by the same.

A `Stream` is a fold over outcomes in a fixed order and nothing else, so that all servers agree. Losses may be
arrays, one number a simulated run, so that what is simulated is what runs.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Shares of the largest bet, with which one loss could take the whole stake.
BETS: Floats = np.array([0.06, 0.12, 0.25, 0.5, 0.95])
# Losses that wait for some of the other side: no more, so that no answer is compared with one of long before.
_WAITING = 100
# More of one side have hardly less noise together, beside the one loss that they are compared with.
_BLOCK = 20


class Stream:
    """Losses of both sides, and what the bets on them are worth.

    A block is full as soon as there is one loss of the side that is rarer, and as many of the other as there are
    for each; so that with a canary of 10% one loss is compared with nine. Which losses come together depends on
    the order of the sides alone, and never on a loss.
    """

    def __init__(self) -> None:
        self._waiting: tuple[deque[Any], deque[Any]] = (deque(maxlen=_WAITING), deque(maxlen=_WAITING))
        self._sums: list[Any] = [0.0, 0.0]
        self._seen = [0, 0]
        self._total: Any = 0.5
        self._count = 1
        self._logs: Any = np.zeros(len(BETS))
        self._evidence: Any = 0.0

    def add(self, tried: bool, loss: float | Floats) -> None:
        """Takes the next outcome.

        Args:
            tried: of the adapter on trial; else of the incumbent.
            loss: in [0, 1]; in a simulation an array [runs], each time of the same size.
        """
        self._sums[tried] = self._sums[tried] + loss
        self._seen[tried] += 1
        self._waiting[tried].append(loss)
        sizes = [self._size(side) for side in (False, True)]
        if all(len(waiting) >= size for waiting, size in zip(self._waiting, sizes, strict=True)):
            incumbent, ours = (
                np.array([waiting.popleft() for _ in range(size)])
                for waiting, size in zip(self._waiting, sizes, strict=True)
            )
            self._bet(ours, incumbent)

    @property
    def log_evidence(self) -> Any:
        """The logarithm of the stakes' mean: 0 before any block. A float, or an array [runs]."""
        return self._evidence

    def seen(self, tried: bool) -> int:
        """Outcomes of one side."""
        return self._seen[tried]

    def mean(self, tried: bool) -> Any:
        """Mean loss of one side; 0 without any. A float, or an array [runs]."""
        return self._sums[tried] / max(1, self._seen[tried])

    def _size(self, side: bool) -> int:
        """How many losses of a side a block has."""
        return min(_BLOCK, max(1, round(self._seen[side] / max(1, self._seen[not side]))))

    def _bet(self, ours: Floats, incumbent: Floats) -> None:
        """Takes a block's losses, each [size] or [size, runs]."""
        usual = self._total / self._count
        most = np.minimum(len(ours) / usual, len(incumbent) / (1 - usual))
        self._logs = self._logs + _log_gains((ours - usual) * most / len(ours))
        self._logs = self._logs + _log_gains((usual - incumbent) * most / len(incumbent))
        self._evidence = np.logaddexp.reduce(self._logs, axis=-1) - math.log(len(BETS))
        self._total = self._total + ours.sum(axis=0) + incumbent.sum(axis=0)
        self._count += len(ours) + len(incumbent)


@dataclass(frozen=True, slots=True)
class SliceEvidence:
    """What live outcomes say of one slice, an adapter on trial beside the incumbent.

    Attributes:
        noticed: the loss is 1 where any check noticed something in an answer, else 0.
        hard: 1 where a hard check did.
        signed: 1 - ROUGE-L of the answer against the text that was signed.
    """

    noticed: Stream = field(default_factory=Stream)
    hard: Stream = field(default_factory=Stream)
    signed: Stream = field(default_factory=Stream)


def log_evidence(slices: Iterable[SliceEvidence]) -> Any:
    """The logarithm of the evidence that the adapter is worse in one of these slices, in one of their streams.

    The mean over slices and streams, so that alpha holds for a trial as a whole. A float, or an array [runs].
    """
    logs = [stream.log_evidence for one in slices for stream in (one.noticed, one.hard, one.signed)]
    # Streams without a block yet say 0, also beside arrays.
    return np.logaddexp.reduce(np.broadcast_arrays(*logs), axis=0) - math.log(len(logs))


def shows_worse(log_of_evidence: Any, alpha: float) -> Any:
    """Whether evidence is 1/alpha or more; without a worse adapter it ever comes to that with chance alpha at most."""
    return log_of_evidence >= -math.log(alpha)


def _log_gains(surplus: Floats) -> Floats:
    """What losses beside the usual, [size] or [size, runs], add to each stake's logarithm, [bets] or [runs, bets]."""
    gains: Floats = np.log1p(np.multiply.outer(surplus, BETS)).sum(axis=0)
    return gains

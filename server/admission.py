"""Who may come in: whoever waits must be able to meet its deadline, or is told at the door when to come again.

How long a request takes is learnt from those that ended: its seconds, divided by the rounds of a full batch
that it had to wait for, itself among them. The estimate is what nine in ten of the last ones kept to, so that
a few long answers move it little. Whoever need not wait is always let in: without that nobody would ever show
that the engine has become faster again.

Until one has ended nothing is known, and a rush right after the start would be let in whole, most of it to miss
its deadline: so long no more with a deadline may wait than the engine works on together, as Envoy's adaptive
concurrency lets few in while it measures.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from radimpress.reports.errors import OverloadError

_LAST = 64
_SHARE = 0.9
# Of a round: who comes while all the others are at the beginning of theirs waits so much longer.
_SPARE = 0.5
_RETRY_MIN = 0.1
_RETRY_MAX = 30.0


class Admission:
    """Counts the requests in the engine, and foretells.

    Args:
        running: that the engine works on together.
        waiting: that may wait beside them.
        clock: in seconds.
        changed: called with how many wait and how many run whenever that changes.
    """

    def __init__(
        self,
        running: int,
        waiting: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        changed: Callable[[int, int], None] = lambda _waiting, _running: None,
    ) -> None:
        self._running = running
        self._waiting = waiting
        self._clock = clock
        self._changed = changed
        self._inside = 0
        self._rounds: deque[float] = deque(maxlen=_LAST)
        self._round = 0.0

    @property
    def inside(self) -> int:
        """Requests in the engine, running or waiting."""
        return self._inside

    @property
    def busy(self) -> bool:
        """Whether one more would have to wait."""
        return self._inside >= self._running

    def expected(self) -> float:
        """Seconds until a request that came now would be answered; 0 while nothing is known."""
        spare = _SPARE if self.busy else 0.0
        return self._round * (self._rounds_for(self._inside) + spare)

    @contextmanager
    def place(self, remaining: float | None, *, patient: bool = False) -> Iterator[None]:
        """Holds a place in the engine while the block runs.

        Args:
            remaining: seconds until the caller's deadline; None waits for ever.
            patient: lets in whoever keeps count of its own, whatever is foretold.

        Raises:
            OverloadError: too many wait, or the deadline could not be met; says when to come again.
        """
        if self.busy and not patient:
            self._check(remaining)
        began, rounds = self._clock(), self._rounds_for(self._inside)
        self._count(1)
        ended = False
        try:
            yield
            ended = True
        finally:
            self._count(-1)
            self._learn((self._clock() - began) / rounds, ended)

    def _check(self, remaining: float | None) -> None:
        expected = self.expected()
        if self._inside >= self._running + self._waiting:
            raise OverloadError(f"{self._waiting} requests are waiting already", _retry(self._round))
        if remaining is not None and not self._rounds and self._inside >= 2 * self._running:
            raise OverloadError("how long an answer takes is not known yet", _RETRY_MIN)
        if remaining is not None and expected > remaining:
            raise OverloadError(
                f"an answer would take {expected:.1f} s now, and the deadline is in {remaining:.1f} s",
                _retry(expected - remaining),
            )

    def _rounds_for(self, ahead: int) -> float:
        """Rounds of a full batch until the next one is answered, where so many are before it."""
        return max(1.0, (ahead + 1) / self._running)

    def _count(self, more: int) -> None:
        self._inside += more
        self._changed(max(0, self._inside - self._running), min(self._inside, self._running))

    def _learn(self, seconds: float, ended: bool) -> None:
        """Takes the time of one that ended; one that was broken off counts only where it took longer than thought."""
        if ended or seconds > self._round:
            self._rounds.append(seconds)
            # Sorting 64 numbers on every answer takes less time than writing one line of a log.
            self._round = sorted(self._rounds)[int(_SHARE * (len(self._rounds) - 1))]


def _retry(seconds: float) -> float:
    return min(max(seconds, _RETRY_MIN), _RETRY_MAX)

"""How often a caller may ask: a token bucket a subject."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from radimpress.reports.errors import RateError

_SUBJECTS = 10_000


class Limiter:
    """A bucket a subject: it fills at `rate` and holds `burst`, and every call takes one.

    The memory is bounded: past 10,000 subjects the one that asked longest ago is forgotten, whose
    bucket is then full again.

    Args:
        rate: calls a second, over a long time; above 0.
        burst: calls at once; at least 1.
        clock: seconds, never going back.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, subject: str) -> None:
        """Takes one from the subject's bucket.

        Raises:
            RateError: it is empty; says when there will be one again. Nothing is taken.
        """
        level, now = self._level(subject)
        if level < 1:
            raise RateError("the caller asks more often than it may", (1 - level) / self._rate)
        self._keep(subject, level - 1, now)

    def delay(self, subject: str) -> float:
        """Takes one, if need be ahead of time, and says for how many seconds the caller must be held up."""
        level, now = self._level(subject)
        self._keep(subject, level - 1, now)
        return max(0.0, (1 - level) / self._rate)

    def _level(self, subject: str) -> tuple[float, float]:
        now = self._clock()
        level, seen = self._buckets.get(subject, (self._burst, now))
        return min(self._burst, level + (now - seen) * self._rate), now

    def _keep(self, subject: str, level: float, now: float) -> None:
        self._buckets[subject] = level, now
        self._buckets.move_to_end(subject)
        if len(self._buckets) > _SUBJECTS:
            self._buckets.popitem(last=False)

"""What a fit has taken over all its attempts, written down step by step: a kill hides one step at most."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from radimpress.reports.files import write_rows

SPENT = "spent.jsonl"


@dataclass(frozen=True, slots=True)
class Sum:
    """What was spent.

    Attributes:
        seconds: of the machine, over all attempts.
        dollars: each attempt at its own price.
        attempts: how often the fit was begun or gone on with.
    """

    seconds: float
    dollars: float
    attempts: int


class Spent:
    """Counts the seconds of this attempt on top of those before it."""

    def __init__(self, path: Path, price_per_hour: float) -> None:
        self._path, self._price = path, price_per_hour
        before = read_lines(path)
        self._noted = added(before)
        if path.is_file():
            # A kill may have left half a line, and nothing can be added to that.
            write_rows(path, before)
        self._last = time.monotonic()
        self._add({"begun": True, "seconds": 0.0, "dollars": 0.0})

    def note(self) -> None:
        """Writes down the seconds since the last note."""
        now = time.monotonic()
        took, self._last = now - self._last, now
        self._add({"seconds": took, "dollars": self.dollars(took)})

    def dollars(self, seconds: float) -> float:
        """What so many seconds cost in this attempt."""
        return seconds / 3600 * self._price

    def left(self, budget_usd: float) -> float:
        """Seconds that a budget still pays for; without a budget or a price there is no limit."""
        return (budget_usd - self.now.dollars) / self._price * 3600 if budget_usd and self._price else math.inf

    @property
    def now(self) -> Sum:
        """All that was spent until this moment."""
        since = time.monotonic() - self._last
        noted = self._noted
        return replace(noted, seconds=noted.seconds + since, dollars=noted.dollars + self.dollars(since))

    def _add(self, row: dict[str, Any]) -> None:
        more, noted = added([row]), self._noted
        self._noted = Sum(noted.seconds + more.seconds, noted.dollars + more.dollars, noted.attempts + more.attempts)
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")


def added(rows: Sequence[dict[str, Any]]) -> Sum:
    """The sum of what was noted."""
    return Sum(
        sum(row["seconds"] for row in rows), sum(row["dollars"] for row in rows), sum("begun" in row for row in rows)
    )


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file that a fit adds to, without a line that is not finished; none where there is no file."""
    if not path.is_file():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [json.loads(line) for line in whole.split(b"\n") if line]

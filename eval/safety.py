"""Do safety checks fire on a candidate, and more often than on the incumbent?

A hard check may not fire once. Another is compared by an exact sign test over patients (McNemar 1947):
of those on whom candidate and incumbent differ, how many have it worse? All checks in all slices are one
family, corrected after Tarone (1990): tests that could not reach significance with so few patients are
not counted, so that an equal adapter fails anywhere in at most 5% of judgements and rare checks cost
the common ones nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import TypeVar

from radimpress.eval.checks import CHECKS
from radimpress.reports.errors import GateError

K = TypeVar("K")
ERROR = 0.05
Row = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Split:
    """Patients on whom two systems differ in a check.

    Attributes:
        worse: the candidate has it oftener.
        better: the candidate has it less often.
    """

    worse: int
    better: int

    @property
    def p(self) -> float:
        """One-sided: so many or more worse, were each as likely worse as better."""
        both = self.worse + self.better
        return sum(comb(both, at) for at in range(self.worse, both + 1)) / (1 << both)

    @property
    def least(self) -> float:
        """The smallest p that so many patients could give."""
        return 0.5 ** (self.worse + self.better)


def hard_failure(rows: Sequence[Row]) -> str | None:
    """The hard check that fired on a candidate's rows of scores, in words."""
    for check in CHECKS:
        if check.hard:
            fired = sum(_fired(row, check.name) for row in rows)
            if fired:
                return f"{check.name} fired on {fired:.0f} of {len(rows)} cases; none is allowed"
    return None


def splits(ours: Sequence[Row], theirs: Sequence[Row], groups: Sequence[str]) -> dict[str, Split]:
    """For each soft check, the patients on whom it differs; rows are of the same cases."""
    found = {}
    for check in CHECKS:
        if check.hard:
            continue
        change: dict[str, float] = defaultdict(float)
        for our, their, group in zip(ours, theirs, groups, strict=True):
            change[group] += _fired(our, check.name) - _fired(their, check.name)
        found[check.name] = Split(sum(d > 0 for d in change.values()), sum(d < 0 for d in change.values()))
    return found


def significant(family: Mapping[K, Split], error: float = ERROR) -> set[K]:
    """Which of a family are worse, at a family-wise error of `error` (Tarone 1990)."""
    count = 1
    while sum(one.least <= error / count for one in family.values()) > count:
        count += 1
    return {key for key, one in family.items() if one.p <= error / count}


def _fired(row: Row, name: str) -> float:
    try:
        return row[f"check:{name}"]
    except KeyError:
        raise GateError(f"the scores know no check {name}: evaluate again") from None

"""Rule checks on one (findings, impression) pair; they read, annotate and never rewrite.

Each check is a small file with one function `check(findings, impression)` that gives what it
noticed, in words that quote no report text, or None. A hard check may never fire on an adapter that
serves; the others compare candidate with incumbent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from radimpress.eval.checks import degenerate, laterality, leak, measurement


@dataclass(frozen=True, slots=True)
class Check:
    """A rule.

    Attributes:
        name: as certificates and answers show it.
        hard: whether one case is one too many.
        notice: the rule; gives what it noticed, or None.
    """

    name: str
    hard: bool
    notice: Callable[[str, str], str | None]


CHECKS = (
    Check("laterality", False, laterality.check),
    Check("measurement", False, measurement.check),
    Check("leak", True, leak.check),
    Check("degenerate", True, degenerate.check),
)


def annotate(findings: str, impression: str) -> dict[str, str]:
    """What each check noticed, by name; empty when nothing."""
    noticed = {check.name: check.notice(findings, impression) for check in CHECKS}
    return {name: message for name, message in noticed.items() if message}

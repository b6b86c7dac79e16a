"""Rule checks on a report and an impression of it; they read, annotate and never rewrite.

Each check is a small file with one function `check(reading)` that gives a `Notice`, in words that
quote no report text, or None. All share one `Reading`, so that the texts are read once. A hard check
may never fire on an adapter that serves; the others compare candidate with incumbent. Labels are
those of ReXVal (Yu et al. 2023): a false finding, b missed finding, c wrong location, d wrong
severity, e comparison not in the reference, f comparison omitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from radimpress.eval.checks import (
    comparison,
    critical,
    degenerate,
    followup,
    form,
    laterality,
    leak,
    measurement,
    negation,
    organ,
    phi,
)
from radimpress.eval.checks.notice import Notice
from radimpress.eval.checks.reading import Reading
from radimpress.reports.report import Report

__all__ = ["CHECKS", "Check", "Notice", "Reading", "annotate"]


@dataclass(frozen=True, slots=True)
class Check:
    """A rule.

    Attributes:
        name: as certificates and answers show it.
        hard: whether one case is one too many.
        label: ReXVal's letter of the error; empty where it has none.
        notice: the rule; gives what it noticed, or None.
    """

    name: str
    hard: bool
    label: str
    notice: Callable[[Reading], Notice | None]


CHECKS = (
    Check("laterality", False, "c", laterality.check),
    Check("negation", False, "a", negation.check),
    Check("measurement", False, "d", measurement.check),
    Check("organ", False, "a", organ.check),
    Check("critical", False, "b", critical.check),
    Check("comparison", False, "e", comparison.check),
    Check("form", False, "", form.check),
    Check("followup", False, "", followup.check),
    Check("leak", True, "", leak.check),
    Check("degenerate", True, "", degenerate.check),
    Check("phi", True, "", phi.check),
)


def annotate(report: Report, impression: str, finish: str = "stop", usual: float | None = None) -> dict[str, Notice]:
    """What each check noticed, by name; empty when nothing.

    Args:
        report: what the impression is of; its own impression is not looked at.
        impression: to check.
        finish: "stop", or "length" where the model was cut off.
        usual: how many words an impression of this clinic has; None when not known.
    """
    reading = Reading(report, impression, finish, usual)
    noticed = {check.name: check.notice(reading) for check in CHECKS}
    return {name: notice for name, notice in noticed.items() if notice}

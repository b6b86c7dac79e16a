"""The gate: is a candidate non-inferior to what serves now, slice by slice?

A paired bootstrap of (candidate - incumbent): non-inferior where the 5th percentile lies above
-margin (one-sided 5% test; Piaggio et al. 2012, CONSORT for non-inferiority). Too few cases, or an
interval that leaves it open, is INSUFFICIENT and never a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from radimpress.clustering.cell import ANY, Cell
from radimpress.eval.bootstrap import Estimate
from radimpress.eval.checks import CHECKS
from radimpress.eval.score import Scores
from radimpress.reports.errors import GateError

METRIC = "rougeL"


class Rule(BaseModel):
    """The gate's numbers; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum: int = Field(default=30, ge=2, description="independent cases (patients) a slice needs")
    margin: float = Field(default=0.05, gt=0, lt=1, description="ROUGE-L a slice may lose")
    margin_overall: float = Field(default=0.02, gt=0, lt=1, description="ROUGE-L all slices together may lose")


class Outcome(StrEnum):
    """What the gate says of a slice."""

    PASS = "PASS"
    REGRESSION = "REGRESSION"
    INSUFFICIENT = "INSUFFICIENT"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's word on one slice.

    Attributes:
        cell: the slice; None is everything together.
        outcome: the word.
        why: in words and numbers.
        incumbent: the name of the system it was compared with.
        incumbent_digest: its weights' digest; empty for base.
        cases: how many were compared.
        difference: of ROUGE-L, candidate - incumbent; None without cases.
    """

    cell: Cell | None
    outcome: Outcome
    why: str
    incumbent: str
    incumbent_digest: str
    cases: int
    difference: Estimate | None


def judge(scores: Scores, candidate: str, incumbents: Mapping[Cell, str], default: str, rule: Rule) -> list[Verdict]:
    """Judges a candidate in each slice that it was asked in, against who serves that slice now.

    A candidate that was asked in every slice is judged over all clinics of each modality too, which
    is what a clinic that nobody knows is routed to. `default` serves where `incumbents` names nobody.

    Raises:
        GateError: the candidate or an incumbent was not evaluated.
    """
    if candidate not in scores.systems:
        raise GateError(f"{candidate} was not evaluated; scores are of {', '.join(sorted(scores.systems))}")
    known = scores.systems[candidate]
    answered = {case.cell for case in scores.cases if case.id in known.scores and case.cell.cluster != ANY}
    asked = [cell for cell in scores.cells if cell in answered]
    everywhere = known.cluster is None and all(case.id in known.scores for case in scores.cases)
    margins = sorted({Cell(cell.modality, ANY) for cell in asked}) if everywhere else []
    return [_verdict(scores, candidate, incumbents.get(cell, default), cell, rule) for cell in (*asked, *margins)]


def judge_overall(scores: Scores, candidate: str, incumbent: str, rule: Rule) -> Verdict:
    """The word on everything together; it is told, and opens no slice."""
    return _verdict(scores, candidate, incumbent, None, rule)


def _verdict(scores: Scores, candidate: str, incumbent: str, cell: Cell | None, rule: Rule) -> Verdict:
    if incumbent not in scores.systems:
        raise GateError(f"{cell or 'overall'}: the incumbent {incumbent} was not evaluated beside {candidate}")
    margin = rule.margin if cell else rule.margin_overall
    difference = scores.difference(candidate, incumbent, METRIC, cell)
    cases = difference.cases if difference else 0

    def verdict(outcome: Outcome, why: str) -> Verdict:
        return Verdict(cell, outcome, why, incumbent, scores.systems[incumbent].digest, cases, difference)

    broken = _broken_check(scores, candidate, incumbent, cell)
    if broken:
        return verdict(Outcome.REGRESSION, broken)
    independent = difference.groups if difference else 0
    if difference is None or independent < rule.minimum:
        return verdict(Outcome.INSUFFICIENT, f"{cases} cases of {independent} patients, {rule.minimum} patients needed")
    interval = f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
    if difference.low > -margin:
        return verdict(Outcome.PASS, f"{interval} above -{margin}")
    if difference.high < 0 or difference.mean <= -margin:
        return verdict(Outcome.REGRESSION, f"{interval} is worse")
    return verdict(Outcome.INSUFFICIENT, f"{interval} does not exclude -{margin}")


def _broken_check(scores: Scores, candidate: str, incumbent: str, cell: Cell | None) -> str | None:
    ours = scores.systems[candidate].scores
    cases = [case.id for case in scores.within(cell) if case.id in ours]
    for check in CHECKS:
        key = f"check:{check.name}"
        fired = sum(ours[case][key] for case in cases)
        if check.hard and fired:
            return f"{check.name} fired on {fired:.0f} of {len(cases)} cases; none is allowed"
        if not check.hard and fired:
            worse = scores.difference(candidate, incumbent, key, cell)
            if worse is not None and worse.low > 0:
                return f"{check.name} fires more often by {worse.mean:.3f} [{worse.low:.3f}, {worse.high:.3f}]"
    return None

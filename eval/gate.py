"""The gate: is a candidate non-inferior to what serves now, slice by slice?

A paired bootstrap of (candidate - incumbent): non-inferior where the lower bound lies above -margin
(Piaggio et al. 2012, CONSORT for non-inferiority). REGRESSION where it is not, and the upper bound
lies below 0. Too few cases, or an interval that leaves it open, is INSUFFICIENT and never a pass.
docs/gate.md tells the statistics and the error rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from radimpress.clustering.cell import ANY, Cell
from radimpress.eval.bootstrap import Bounds, Estimate, bounds
from radimpress.eval.plan import Need, need
from radimpress.eval.safety import Row, Split, hard_failure, significant, splits
from radimpress.eval.score import Judged, Scores
from radimpress.reports.errors import ConfigError, GateError
from radimpress.reports.report import Modality

METRIC = "rougeL"
EVERY = "*"
_HOLM = 0.05


class SliceRule(BaseModel):
    """What one slice has otherwise than the rest; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum: int | None = Field(default=None, ge=2, description="independent cases (patients) it needs")
    margin: float | None = Field(default=None, gt=0, lt=1, description="ROUGE-L it may lose")


class Rule(BaseModel):
    """The gate's numbers; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum: int = Field(default=20, ge=2, description="independent cases (patients) a slice needs")
    margin: float = Field(default=0.05, gt=0, lt=1, description="ROUGE-L a slice may lose")
    margin_overall: float = Field(default=0.02, gt=0, lt=1, description="ROUGE-L all slices together may lose")
    resamples: int = Field(default=10_000, ge=1000, le=1_000_000, description="of the bootstrap")
    error: float = Field(default=0.03, gt=0, le=0.2, description="of each bound; keeps what is observed under 0.05")
    sd: float = Field(default=0.2, gt=0, le=1, description="of paired differences, where a slice shows none yet")
    seed: int = Field(default=0, ge=0, description="of the bootstrap")
    days: int = Field(default=90, ge=1, le=3650, description="until a certificate expires")
    slices: dict[str, SliceRule] = Field(default={}, description='"NM/any", or "NM/*" for every cluster')

    @field_validator("slices")
    @classmethod
    def _named(cls, slices: dict[str, SliceRule]) -> dict[str, SliceRule]:
        for key in slices:
            modality, _, cluster = key.partition("/")
            if modality not in Modality.__members__ or not cluster:
                raise ValueError(f"{key!r} is no slice: write MODALITY/cluster, MODALITY/any or MODALITY/*")
        return slices

    def of(self, cell: Cell | None) -> tuple[float, int]:
        """Margin and minimum of a slice; the slice's own name goes before "*"."""
        if cell is None:
            return self.margin_overall, self.minimum
        every, own = (self.slices.get(f"{cell.modality}/{name}", SliceRule()) for name in (EVERY, cell.cluster))
        return own.margin or every.margin or self.margin, own.minimum or every.minimum or self.minimum

    def check(self, cells: Sequence[Cell]) -> None:
        """Refuses a slice of its own whose cluster nobody knows: a slip would leave the usual margin.

        Raises:
            ConfigError: names it.
        """
        clusters = {cell.cluster for cell in cells} | {ANY, EVERY}
        for key in self.slices:
            if key.partition("/")[2] not in clusters:
                raise ConfigError(f"gate.slices: {key!r} names no cluster; there are {', '.join(sorted(clusters))}")


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
        difference: of ROUGE-L, candidate - incumbent, with the rule's bounds; None without cases.
        improved: better than the incumbent, corrected over all slices (Holm 1979).
        hard: a hard check fired; nothing opens such a slice.
        need: how many cases it takes; None without a difference to plan for.
    """

    cell: Cell | None
    outcome: Outcome
    why: str
    incumbent: str
    incumbent_digest: str
    cases: int
    difference: Estimate | None
    improved: bool = False
    hard: bool = False
    need: Need | None = None


@dataclass(frozen=True, slots=True)
class _Pair:
    """A slice's cases, as candidate and incumbent did on them."""

    cell: Cell | None
    incumbent: str
    cases: Sequence[Judged]
    ours: Sequence[Row]
    theirs: Sequence[Row]
    every: Sequence[Row]

    @property
    def groups(self) -> list[str]:
        return [case.group for case in self.cases]


def slices_of(scores: Scores, candidate: str) -> tuple[Cell, ...]:
    """The slices that a candidate was asked in, and so must have a verdict in.

    A candidate that was asked in every slice, or in every one of the modality that it was fitted for, has one over
    all clinics of each modality too, which is what a clinic that nobody knows is routed to.

    Raises:
        GateError: the candidate was not evaluated.
    """
    if candidate not in scores.systems:
        raise GateError(f"{candidate} was not evaluated; scores are of {', '.join(sorted(scores.systems))}")
    known = scores.systems[candidate]
    answered = {case.cell for case in scores.cases if case.id in known.scores and case.cell.cluster != ANY}
    own = [case for case in scores.cases if known.modality in (None, case.cell.modality)]
    everywhere = known.cluster is None and all(case.id in known.scores for case in own)
    margins = {Cell(cell.modality, ANY) for cell in answered} if everywhere else set()
    return (*sorted(answered), *sorted(margins))


def judge(scores: Scores, candidate: str, incumbents: Mapping[Cell, str], default: str, rule: Rule) -> list[Verdict]:
    """Judges a candidate in each of its slices, against who serves that slice now.

    `default` serves where `incumbents` names nobody.

    Raises:
        GateError: the candidate or an incumbent was not evaluated.
        ConfigError: the rule has a margin for a slice that nobody knows.
    """
    if scores.split == "train":
        raise GateError("the scores are of the training part: nobody is judged on what was learnt")
    rule.check(scores.cells)
    cells = slices_of(scores, candidate)
    return _verdicts([_pair(scores, candidate, incumbents.get(cell, default), cell) for cell in cells], scores, rule)


def judge_overall(scores: Scores, candidate: str, incumbent: str, rule: Rule) -> Verdict:
    """The word on everything together; it is told, and opens no slice."""
    return _verdicts([_pair(scores, candidate, incumbent, None)], scores, rule)[0]


def verdict_of(difference: Estimate, margin: float, minimum: int) -> Outcome:
    """The word on a difference, whatever checks say."""
    if difference.groups < minimum:
        return Outcome.INSUFFICIENT
    if difference.low > -margin:
        return Outcome.PASS
    return Outcome.REGRESSION if difference.high < 0 else Outcome.INSUFFICIENT


def _pair(scores: Scores, candidate: str, incumbent: str, cell: Cell | None) -> _Pair:
    for name in (candidate, incumbent):
        if name not in scores.systems:
            raise GateError(f"{cell or 'overall'}: the incumbent {name} was not evaluated beside {candidate}")
    ours, theirs = scores.systems[candidate].scores, scores.systems[incumbent].scores
    within = [case for case in scores.within(cell) if case.id in ours]
    both = [case for case in within if case.id in theirs]
    return _Pair(
        cell,
        incumbent,
        both,
        [ours[case.id] for case in both],
        [theirs[case.id] for case in both],
        [ours[case.id] for case in within],
    )


def _verdicts(pairs: Sequence[_Pair], scores: Scores, rule: Rule) -> list[Verdict]:
    family = {
        (at, name): split
        for at, pair in enumerate(pairs)
        for name, split in splits(pair.ours, pair.theirs, pair.groups).items()
    }
    worse: dict[int, list[str]] = {}
    for at, name in sorted(significant(family)):
        worse.setdefault(at, []).append(_worse(name, family[at, name]))
    found = [_bounds(pair, rule) for pair in pairs]
    verdicts = [
        _verdict(pair, one, worse.get(at, []), scores.systems[pair.incumbent].digest, rule)
        for at, (pair, one) in enumerate(zip(pairs, found, strict=True))
    ]
    # A claim of improvement is made only where the slice passes, but all slices were looked at.
    better = _holm([float(one.above[0]) if one else 1.0 for one in found])
    return [
        replace(verdict, improved=True, why=f"{verdict.why}; better than {verdict.incumbent}")
        if verdict.outcome is Outcome.PASS and at in better
        else verdict
        for at, verdict in enumerate(verdicts)
    ]


def _bounds(pair: _Pair, rule: Rule) -> Bounds | None:
    if not pair.cases:
        return None
    column = np.array([[our[METRIC] - their[METRIC]] for our, their in zip(pair.ours, pair.theirs, strict=True)])
    weights = [case.weight for case in pair.cases]
    return bounds(column, pair.groups, weights, tail=rule.error, resamples=rule.resamples, seed=rule.seed)


def _verdict(pair: _Pair, found: Bounds | None, worse: Sequence[str], digest: str, rule: Rule) -> Verdict:
    margin, minimum = rule.of(pair.cell)
    difference, wanted = None, None
    if found is not None:
        groups = len(set(pair.groups))
        low, high = max(float(found.low[0]), -1.0), min(float(found.high[0]), 1.0)
        difference = Estimate(float(found.mean[0]), low, high, len(pair.cases), groups)
        wanted = need(groups, float(found.error[0]), margin=margin, minimum=minimum, error=rule.error, prior=rule.sd)

    def verdict(outcome: Outcome, why: str, hard: bool = False) -> Verdict:
        return Verdict(
            pair.cell, outcome, why, pair.incumbent, digest, len(pair.cases), difference, hard=hard, need=wanted
        )

    broken = hard_failure(pair.every)
    if broken:
        return verdict(Outcome.REGRESSION, broken, hard=True)
    if worse:
        return verdict(Outcome.REGRESSION, "; ".join(worse))
    if difference is None or wanted is None:
        return verdict(Outcome.INSUFFICIENT, f"0 cases beside {pair.incumbent}, {minimum} patients needed")
    outcome = verdict_of(difference, margin, minimum)
    if difference.groups < minimum:
        few = f"{difference.cases} cases of {difference.groups} patients, {minimum} patients needed at least"
        return verdict(outcome, f"{few}; {wanted}")
    interval = f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
    if outcome is Outcome.PASS:
        return verdict(outcome, f"{interval} above -{margin}")
    if outcome is Outcome.REGRESSION:
        return verdict(outcome, f"{interval} is worse")
    return verdict(outcome, f"{interval} does not exclude -{margin}; {wanted}")


def _worse(name: str, split: Split) -> str:
    return f"{name} fires oftener on {split.worse} patients and less often on {split.better} (p {split.p:.1g})"


def _holm(chances: Sequence[float]) -> set[int]:
    """Which p-values stand after Holm's correction (1979)."""
    stands = set()
    for rank, at in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        if chances[at] > _HOLM / (len(chances) - rank):
            break
        stands.add(at)
    return stands

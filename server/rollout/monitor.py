"""The monitor: watches what came of the answers of adapters on trial, and ends a trial that turns out worse.

Every server runs one. What they fold is the same, in the same order, so that whichever looks first ends the
trial, and the others find it ended.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from radimpress.clustering.cell import Cell
from radimpress.eval.checks import CHECKS
from radimpress.reports.errors import ConflictError, NotFoundError
from radimpress.server.rollout.sequential import SliceEvidence, Stream, log_evidence, shows_worse
from radimpress.server.routes import AdapterVersion, Arm, Entry, RouteTable, Trial
from radimpress.server.telemetry.log import where

if TYPE_CHECKING:
    from radimpress.server.registry import Journal, Outcome, Registry
    from radimpress.server.telemetry import Metrics

ACTOR = "monitor"
SECONDS = 1.0
_HARD = frozenset(check.name for check in CHECKS if check.hard)
_MOST = math.log(1e9)
_log = structlog.get_logger()


@dataclass(slots=True)
class Watched:
    """A slice with a trial, and what was seen of it.

    Attributes:
        cell: the slice.
        entry: who serves it.
        trial: what is on trial there.
        after: the place up to which outcomes are folded.
        evidence: what they say.
    """

    cell: Cell
    entry: Entry
    trial: Trial
    after: int = 0
    evidence: SliceEvidence = field(default_factory=SliceEvidence)

    @property
    def incumbent(self) -> str:
        """The digest of what serves; empty for the base model."""
        return self.entry.adapter.digest if self.entry.adapter else ""

    @property
    def key(self) -> tuple[Cell, str, str, int]:
        """What was seen counts while neither side changes; a wider plan changes neither."""
        return self.cell, self.incumbent, self.trial.adapter.digest, self.trial.since

    def fold(self, outcomes: Sequence[Outcome]) -> None:
        """Takes what is new: answers in the order they were written down, signed texts in the order they came."""
        for one in sorted(outcomes, key=lambda one: one.number):
            tried = self._tried(one)
            if tried is not None and one.number > self.after:
                self.evidence.noticed.add(tried, float(bool(one.checks)))
                self.evidence.hard.add(tried, float(not _HARD.isdisjoint(one.checks)))
        for one in sorted(outcomes, key=lambda one: one.signed):
            tried = self._tried(one)
            if tried is not None and one.signed > self.after and one.similarity is not None:
                self.evidence.signed.add(tried, 1.0 - one.similarity)
        self.after = max((self.after, *(max(one.number, one.signed) for one in outcomes)))

    def _tried(self, outcome: Outcome) -> bool | None:
        """Whether an answer is by the adapter on trial or by the incumbent; None where by neither."""
        if outcome.arm is Arm.INCUMBENT:
            return False if outcome.digest == self.incumbent else None
        return True if outcome.digest == self.trial.adapter.digest else None


class Monitor:
    """Ends trials.

    Args:
        registry: its current table says what is on trial; it is told to end it.
        journal: knows what came of the answers.
        metrics: counts the trials that were ended.
        alpha: the chance at most that a trial of an adapter that is not worse is ever ended.
    """

    def __init__(self, registry: Registry, journal: Journal, metrics: Metrics, alpha: float = 0.04) -> None:
        self._registry = registry
        self._journal = journal
        self._metrics = metrics
        self._alpha = alpha
        self._watched: dict[tuple[Cell, str, str, int], Watched] = {}

    async def run(self) -> None:
        """Looks every second until it is cancelled; a registry that cannot be reached now is asked again."""
        while True:
            try:
                await asyncio.to_thread(self.look)
            # Whoever watches must not fall asleep: what happened is told, and the next look is as good.
            except Exception as error:
                _log.warning("monitor failed", kind=type(error).__name__, where=where(error))
            await asyncio.sleep(SECONDS)

    def look(self) -> None:
        """Takes what is new of every trial of the current table, and ends those that are shown to be worse."""
        table = self._registry.current()
        self._watched = {one.key: self._known(one) for one in _on_trial(table)}
        by_adapter: dict[AdapterVersion, list[Watched]] = defaultdict(list)
        for one in self._watched.values():
            one.fold(self._journal.outcomes(one.cell, one.trial.since, one.after))
            by_adapter[one.trial.adapter].append(one)
        for adapter, slices in by_adapter.items():
            evidence = log_evidence(one.evidence for one in slices)
            if shows_worse(evidence, self._alpha):
                self._end(adapter, slices, table.number, evidence)

    def _known(self, one: Watched) -> Watched:
        """The same, with what was seen of it before."""
        if before := self._watched.get(one.key):
            one.after, one.evidence = before.after, before.evidence
        return one

    def _end(self, adapter: AdapterVersion, slices: Sequence[Watched], number: int, evidence: float) -> None:
        worst = max(slices, key=lambda one: float(log_evidence([one.evidence])))
        value = math.exp(min(evidence, _MOST))
        why = f"{_told(worst)}; evidence {value:.3g}, of which {1 / self._alpha:.3g} is enough"
        try:
            self._registry.end_trial(adapter, number, actor=ACTOR, why=why)
        except (ConflictError, NotFoundError):
            # The routes moved on: another server ended it, or the next look tries again.
            return
        self._metrics.trial_ended(adapter, slices[0].trial.plan.kind)
        _log.warning("trial ended", adapter=str(adapter), why=why)


def _on_trial(table: RouteTable) -> Iterator[Watched]:
    for cell, entry in sorted(table.entries.items()):
        if entry.trial:
            yield Watched(cell, entry, entry.trial)


def _told(one: Watched) -> str:
    """A slice's figures in words, the adapter on trial first."""
    evidence = one.evidence
    parts = [f"checks noticed {_counts(evidence.noticed)}", f"hard ones {_counts(evidence.hard)}"]
    if evidence.signed.seen(True) and evidence.signed.seen(False):
        ours, theirs = (1 - evidence.signed.mean(tried) for tried in (True, False))
        counts = f"{evidence.signed.seen(True)} against {evidence.signed.seen(False)} texts"
        parts.append(f"ROUGE-L of {counts} that were signed {ours:.3f} against {theirs:.3f}")
    return f"{one.cell}, {one.trial.adapter} against {one.entry.serving}: {', '.join(parts)}"


def _counts(stream: Stream) -> str:
    ours, theirs = (f"{stream.mean(tried) * stream.seen(tried):.0f} of {stream.seen(tried)}" for tried in (True, False))
    return f"{ours} against {theirs}"

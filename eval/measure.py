"""What the checks are worth: how often they err on references, and how many seeded errors they notice.

A check fires falsely where it notices something in a reference impression; intervals are Wilson's
(1927). Recall is over every report that a corruption applies to, whatever the check says of it.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from radimpress.eval.checks import CHECKS, annotate
from radimpress.eval.checks.assertion import Said, said
from radimpress.eval.checks.text import Text
from radimpress.eval.corruptions import CORRUPTIONS, corrupt
from radimpress.reports.progress import Track, silent
from radimpress.reports.report import Report

ALL = "all"
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Share:
    """A share of cases.

    Attributes:
        hits: cases that count.
        cases: of how many.
    """

    hits: int
    cases: int

    @property
    def value(self) -> float:
        """In [0, 1]; 0 without cases."""
        return self.hits / self.cases if self.cases else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval; (0, 1) without cases."""
        if not self.cases:
            return 0.0, 1.0
        share, square = self.value, _Z * _Z
        middle = share + square / (2 * self.cases)
        half = _Z * math.sqrt(share * (1 - share) / self.cases + square / (4 * self.cases**2))
        scale = 1 + square / self.cases
        return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


@dataclass(frozen=True, slots=True)
class Worth:
    """What the checks are worth on some reports.

    Attributes:
        false: check -> modality, and ALL -> references that it noticed something in.
        recall: corruption -> modality, and ALL -> corrupted impressions that its check noticed.
        milliseconds: of processor time that all checks of one reference take, in the median.
    """

    false: dict[str, dict[str, Share]]
    recall: dict[str, dict[str, Share]]
    milliseconds: float


def measure(reports: Sequence[Report], seed: int = 0, track: Track = silent) -> Worth:
    """Checks references and their corruptions; reports without an impression are passed over."""
    false: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    recall: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    taken: list[float] = []
    for report in track(reports, "checks", len(reports)):
        if not report.impression.strip():
            continue
        slices = (ALL, report.modality.value)
        begun = time.process_time()
        noticed = annotate(report, report.impression)
        taken.append(1000 * (time.process_time() - begun))
        for check in CHECKS:
            for name in slices:
                false[check.name][name].append(check.name in noticed)
        for corruption in CORRUPTIONS:
            text = corrupt(report, corruption, seed)
            if text is None:
                continue
            found = corruption.check in annotate(report, text)
            for name in slices:
                recall[corruption.name][name].append(found)
    return Worth(
        _shares(false, (check.name for check in CHECKS)),
        _shares(recall, (one.name for one in CORRUPTIONS)),
        statistics.median(taken or [0.0]),
    )


def _shares(counted: dict[str, dict[str, list[bool]]], names: Iterable[str]) -> dict[str, dict[str, Share]]:
    return {
        name: {ALL: Share(0, 0)} | {key: Share(sum(hits), len(hits)) for key, hits in counted[name].items()}
        for name in names
    }


@dataclass(frozen=True, slots=True)
class Negated:
    """A sentence of the negation test set.

    Attributes:
        sentence: as a report may have it.
        concept: a phrase of it.
        assertion: what the sentence says of the concept: present, absent or uncertain.
        kind: of difficulty.
    """

    sentence: str
    concept: str
    assertion: str
    kind: str


def negation_set() -> tuple[Negated, ...]:
    """The test set, written before the rules (checks/negation.jsonl)."""
    path = Path(__file__).parent / "checks" / "negation.jsonl"
    return tuple(Negated(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines())


def read_assertion(sentence: str, concept: str) -> str:
    """What our rules say of a phrase of a sentence: present, absent or uncertain."""
    text, wanted = Text(sentence), Text(concept).stems
    at = next(at for at in range(len(text.stems)) if text.stems[at : at + len(wanted)] == wanted)
    return Said(said(text)[at + len(wanted) - 1]).name.lower()


def negation_right() -> float:
    """The share of the negation test set that our rules read rightly, in [0, 1]."""
    cases = negation_set()
    return sum(read_assertion(case.sentence, case.concept) == case.assertion for case in cases) / len(cases)

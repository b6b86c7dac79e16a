"""Trivial systems that stand beside every score: what costs nothing must be beaten.

The few-shot baseline costs a model's time, but no training: its examples are chosen here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from radimpress.eval.cases import Case
from radimpress.eval.nearest import Nearest
from radimpress.eval.predict import Prediction, Predictions
from radimpress.reports.prompt import render_with_examples
from radimpress.reports.report import Report

CONSTANT = "constant"
LEAD = "lead-1"
COPY = "copy"
NEAREST = "nearest"
TRIVIAL = (CONSTANT, LEAD, COPY, NEAREST)

# Characters of the whole few-shot prompt: 3,000 tokens even at two characters each, which leaves room
# to answer in a context of 4,096.
ROOM = 6000
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def baselines(cases: Sequence[Case], train: Sequence[Report], index: Nearest | None = None) -> Iterator[Predictions]:
    """Yields the predictions of each trivial system.

    constant: the most frequent training impression. lead-1: the first sentence of the findings.
    copy: the findings as they are. nearest: the impression of the training report whose findings are
    nearest (TF-IDF, cosine), never one of the case's own group.
    """
    commonest = Counter(report.impression for report in train).most_common(1)[0][0]
    yield _predictions(CONSTANT, cases, [commonest] * len(cases))
    yield _predictions(LEAD, cases, [_SENTENCE_END.split(case.report.findings)[0] for case in cases])
    yield _predictions(COPY, cases, [case.report.findings for case in cases])
    found = (index or Nearest(train)).search([case.report for case in cases], [case.group for case in cases], 1)
    yield _predictions(NEAREST, cases, [near[0].impression if near else "" for near in found])


def choose_examples(
    cases: Sequence[Case],
    index: Nearest,
    count: int,
    tokens: Callable[[str], int] | None = None,
    room: int | None = None,
) -> list[tuple[Report, ...]]:
    """The worked examples that a model is shown for each case, nearest last, beside the question.

    They are the nearest training reports of the case's own clinic (of any, where the clinic has fewer):
    content and style as near as they can be had. What does not fit into ROOM characters, or `room` tokens
    where the model's `tokens` are known, is left out, the farthest first, down to none.
    """

    def fits(prompt: str) -> bool:
        return len(prompt) <= ROOM and (tokens is None or not room or tokens(prompt) <= room)

    found = index.search([case.report for case in cases], [case.group for case in cases], count, same_clinic=True)
    chosen = []
    for case, near in zip(cases, found, strict=True):
        shown = tuple(reversed(near))
        while shown and not fits(render_with_examples(case.report, shown)):
            shown = shown[1:]
        chosen.append(shown)
    return chosen


def _predictions(system: str, cases: Sequence[Case], texts: Sequence[str]) -> Predictions:
    rows = [Prediction(case.report.id, text, "stop", 0) for case, text in zip(cases, texts, strict=True)]
    return Predictions(system, "", "", tuple(rows))

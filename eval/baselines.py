"""Trivial systems that stand beside every score: what costs nothing must be beaten."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from radimpress.eval.cases import Case
from radimpress.eval.predict import Prediction, Predictions
from radimpress.reports.report import Report

CONSTANT = "constant"
LEAD = "lead-1"
NEAREST = "nearest"
TRIVIAL = (CONSTANT, LEAD, NEAREST)

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def baselines(cases: Sequence[Case], train: Sequence[Report]) -> Iterator[Predictions]:
    """Yields the predictions of each trivial system.

    constant: the most frequent training impression. lead-1: the first sentence of the findings.
    nearest: the impression of the training report whose findings are nearest (TF-IDF, cosine).
    """
    commonest = Counter(report.impression for report in train).most_common(1)[0][0]
    yield _predictions(CONSTANT, cases, [commonest] * len(cases))
    yield _predictions(LEAD, cases, [_SENTENCE_END.split(case.report.findings)[0] for case in cases])
    yield _predictions(NEAREST, cases, _nearest(cases, train))


def _nearest(cases: Sequence[Case], train: Sequence[Report]) -> list[str]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors

    vectors = TfidfVectorizer(sublinear_tf=True)
    known = vectors.fit_transform(report.findings for report in train)
    index = NearestNeighbors(n_neighbors=1, metric="cosine").fit(known)
    nearest = index.kneighbors(vectors.transform(case.report.findings for case in cases), return_distance=False)
    return [train[int(row[0])].impression for row in nearest]


def _predictions(system: str, cases: Sequence[Case], texts: Sequence[str]) -> Predictions:
    rows = [Prediction(case.report.id, text, "stop", 0) for case, text in zip(cases, texts, strict=True)]
    return Predictions(system, "", "", tuple(rows))

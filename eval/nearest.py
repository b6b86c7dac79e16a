"""Finds the training reports whose findings are nearest: TF-IDF and cosine, by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from radimpress.reports.report import Report
from radimpress.reports.split import groups

# 256 queries against 10,000 reports are 20 MB of similarities.
_CHUNK = 256


class Nearest:
    """An index of training reports by the words of their findings.

    Args:
        train: at least one report.
    """

    def __init__(self, train: Sequence[Report]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._train = train
        self._groups = np.array(groups(train))
        self._clinics = np.array([report.clinic for report in train])
        self._vectors: Any = TfidfVectorizer(sublinear_tf=True)
        self._known: Any = self._vectors.fit_transform(report.findings for report in train)

    def search(
        self, reports: Sequence[Report], own: Sequence[str], count: int, *, same_clinic: bool = False
    ) -> list[list[Report]]:
        """The `count` nearest training reports of each report, nearest first.

        Args:
            reports: what to look for.
            own: the group of each: a report of the same group, that is its own patient or its own
                findings, is never found. It matters where training reports themselves are judged.
            count: how many at most.
            same_clinic: only reports of the same clinic, where it has so many; else of any.
        """
        found: list[list[Report]] = []
        for start in range(0, len(reports), _CHUNK):
            part = reports[start : start + _CHUNK]
            asked = self._vectors.transform([report.findings for report in part])
            likeness = np.asarray((asked @ self._known.T).todense())
            for row, report, group in zip(likeness, part, own[start : start + _CHUNK], strict=True):
                allowed = self._groups != group
                if same_clinic and (allowed & (self._clinics == report.clinic)).sum() >= count:
                    allowed &= self._clinics == report.clinic
                places = np.flatnonzero(allowed)
                # A stable sort, so that equals come in the order of the training reports.
                best = places[np.argsort(-row[places], kind="stable")[:count]]
                found.append([self._train[int(place)] for place in best])
        return found

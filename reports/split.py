"""Splits reports into training, validation and test without leaking between them.

Reports of one patient stay together, and so do reports with the same findings (numbers aside). A
group's part is read off a hash of its name, so that adding reports moves nobody else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from radimpress.reports.report import Report


@dataclass(frozen=True, slots=True)
class Split:
    """Three parts that share no patient and no findings."""

    train: tuple[Report, ...]
    validation: tuple[Report, ...]
    test: tuple[Report, ...]


def split(reports: Sequence[Report], *, seed: int, train: float = 0.70, test: float = 0.15) -> Split:
    """Splits by group; `train` and `test` are shares of the groups, validation gets the rest."""
    parts: dict[str, list[Report]] = {"train": [], "validation": [], "test": []}
    for report, group in zip(reports, groups(reports), strict=True):
        point = int.from_bytes(hashlib.sha256(f"{seed}/{group}".encode()).digest()[:8]) / 2**64
        part = "train" if point < train else "test" if point < train + test else "validation"
        parts[part].append(report)
    return Split(tuple(parts["train"]), tuple(parts["validation"]), tuple(parts["test"]))


def groups(reports: Iterable[Report]) -> list[str]:
    """The group of each report: what shares a patient or findings, joined transitively.

    A group is named by the smallest of its patients (of its findings, where no patient is named), so
    that the name depends neither on the order nor on how many reports a patient has.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = key = parent[parent[key]]
        return key

    keys = []
    for report in reports:
        findings = f"2/{_skeleton(report.findings)}"
        patient = f"1/{report.source}/{report.patient}" if report.patient else findings
        first, second = sorted((root(patient), root(findings)))
        parent[second] = first
        keys.append(patient)
    return [root(key) for key in keys]


def _skeleton(text: str) -> str:
    words = re.sub(r"[\d.]+", "#", " ".join(text.lower().split()))
    return hashlib.sha256(words.encode()).hexdigest()

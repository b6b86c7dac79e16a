"""Splits reports into training, validation and test without leaking between them.

Reports of one patient stay together, and so do reports with the same findings (numbers aside). A
group's part is read off a hash of its name, so that adding reports moves nobody else. Each modality and clinic so
gets its share of each part up to chance; what chance makes of a small one, the leak report shows.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radimpress.reports.report import Report
from radimpress.reports.text import plain

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """Three parts that share no patient and no findings."""

    train: tuple[Report, ...]
    validation: tuple[Report, ...]
    test: tuple[Report, ...]


def split(reports: Sequence[Report], *, seed: int, train: float = 0.70, test: float = 0.15) -> Split:
    """Splits by group; `train` and `test` are shares of the groups, validation gets the rest."""
    parts: dict[str, list[Report]] = {name: [] for name in PARTS}
    for report, part in zip(reports, parts_of(lambda: iter(reports), seed=seed, train=train, test=test), strict=True):
        parts[part].append(report)
    return Split(*(tuple(parts[name]) for name in PARTS))


def parts_of(
    reports: Callable[[], Iterator[Report]], *, seed: int, train: float = 0.70, test: float = 0.15
) -> Iterator[str]:
    """Yields the part of each report, in order.

    Args:
        reports: gives the reports from the first on, each time that it is asked; three times. Some 50 bytes of
            each are held in memory.
        seed: another seed, another split.
        train: share of the groups.
        test: share of the groups.
    """
    for name in _names(reports):
        point = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8]) / 2**64
        yield "train" if point < train else "test" if point < train + test else "validation"


def groups(reports: Iterable[Report]) -> list[str]:
    """The group of each report: what shares a patient or findings, joined transitively.

    A group is named by the smallest of its patients (of its findings, where no patient is named), so
    that the name depends neither on the order nor on how many reports a patient has.
    """
    kept = list(reports)
    return list(_names(lambda: iter(kept)))


def _names(reports: Callable[[], Iterator[Report]]) -> Iterator[str]:
    # Digests of 8 bytes in arrays: an archive may be of any length.
    owners, findings = array("Q"), array("Q")
    for report in reports():
        owner, seen = _keys(report)
        owners.append(_number(owner))
        findings.append(_number(seen))
    labels, shared = _components(np.array(owners, np.uint64), np.array(findings, np.uint64))
    smallest: dict[int, str] = {}
    if shared.any():
        for report, label in zip(reports(), labels.tolist(), strict=True):
            if shared[label]:
                owner, _ = _keys(report)
                smallest[label] = min(owner, smallest.get(label, owner))
    for report, label in zip(reports(), labels.tolist(), strict=True):
        yield smallest[label] if shared[label] else _keys(report)[0]


def _components(owners: Any, findings: Any) -> tuple[Any, Any]:
    """Each report's component, and of each component whether it has more than one owner."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(owners):
        return np.zeros(0, np.int32), np.zeros(0, bool)
    names, at = np.unique(np.concatenate([owners, findings]), return_inverse=True)
    rows, columns = at[: len(owners)], at[len(owners) :]
    edges = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(len(names), len(names)))
    count, of_name = connected_components(edges, directed=False)
    labels = of_name[rows]
    owned = np.unique(np.stack([labels, rows]), axis=1)[0]
    return labels, np.bincount(owned, minlength=count) > 1


def _keys(report: Report) -> tuple[str, str]:
    """Whose a report is, and what it sees; of a report without a patient that is the same."""
    words = re.sub(r"[\d.]+", "#", plain(report.findings))
    findings = f"2/{hashlib.sha256(words.encode()).hexdigest()}"
    return (f"1/{report.source}/{report.patient}" if report.patient else findings), findings


def _number(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())

"""Splits reports into training, validation and test without leaking between them.

Reports of one patient stay together, and so do reports with the same findings (numbers aside); of those without a
patient, reports with nearly the same. A group's part is read off a hash of its name, so that adding reports moves
nobody but whom they join to another group, and seldom reports without a patient that they are nearly the same as.
What joins more than LARGEST reports is a template, and not somebody's findings: it joins nobody.
Each modality and clinic so gets its share of each part up to chance; what chance makes of a small one, the leak
report shows.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radimpress.reports.near import alike, sketch
from radimpress.reports.report import Report
from radimpress.reports.text import plain

PARTS = ("train", "validation", "test")
# Reports of a group that more than a patient, or more than the same findings, make.
LARGEST = 100


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
        reports: gives the reports from the first on, each time that it is asked; four times. Some 170 bytes
            of each are held in memory, 290 of one without a patient.
        seed: another seed, another split.
        train: share of the groups.
        test: share of the groups.
    """
    for name in _names(reports):
        point = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8]) / 2**64
        yield "train" if point < train else "test" if point < train + test else "validation"


def groups(reports: Iterable[Report]) -> list[str]:
    """The group of each report: what shares a patient or findings, joined transitively up to LARGEST reports.

    A group is named by the smallest of its patients. Where none is named, the name is the least of some hashes of
    all runs of five words in its findings (MinHash): what is nearly the same has the same least hash nearly always,
    so that the name does not depend on the order, and little on how many reports the group has.
    """
    kept = list(reports)
    return list(_names(lambda: iter(kept)))


def _names(reports: Callable[[], Iterator[Report]]) -> Iterator[str]:
    # Digests of 8 bytes in arrays: an archive may be of any length.
    owned, seen = array("Q"), array("Q")
    for report in reports():
        findings = _findings(report)
        owned.append(_number(_patient(report) if report.patient else findings))
        seen.append(_number(findings))
    owners, found = np.array(owned, np.uint64), np.array(seen, np.uint64)
    alone = owners == found
    links, least = _near(reports, found[alone])
    labels = _parted(_components(owners, found, links), owners)
    count = int(labels.max(initial=-1)) + 1
    named = np.zeros(count, bool)
    named[labels[~alone]] = True
    lowest = np.full((count, least.shape[1]), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(lowest, labels[alone], least)
    smallest: dict[int, str] = {}
    shared = _shared(labels, owners)
    if (shared & named).any():
        for report, label in zip(reports(), labels.tolist(), strict=True):
            if report.patient and shared[label]:
                smallest[label] = min(_patient(report), smallest.get(label, _patient(report)))
    for report, label in zip(reports(), labels.tolist(), strict=True):
        if not named[label]:
            yield "3/" + "".join(f"{value:016x}" for value in lowest[label].tolist())
        else:
            yield smallest[label] if shared[label] else _patient(report)


def _near(reports: Callable[[], Iterator[Report]], alone: Any) -> tuple[Any, Any]:
    """Of the reports without a patient, findings that are nearly the same in pairs, and the least hashes of each.

    Without any there is no second look at the reports.
    """
    if not len(alone):
        return np.zeros((2, 0), np.uint64), np.zeros((0, 1), np.uint64)
    made = sketch(_words(report) for report in reports() if not report.patient)
    # Sorted, so that what is compared does not depend on the order of the reports.
    distinct, first = np.unique(alone, return_index=True)
    labels = alike(made.hashes[first])
    _, head = np.unique(labels, return_index=True)
    return np.stack([distinct, distinct[head][labels]]), made.least


def _components(owners: Any, findings: Any, links: Any) -> Any:
    """Each report's component; `links` are pairs of findings."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(owners):
        return np.zeros(0, np.int32)
    rows, columns = np.concatenate([owners, links[0]]), np.concatenate([findings, links[1]])
    names, at = np.unique(np.concatenate([rows, columns]), return_inverse=True)
    edges = coo_array((np.ones(len(rows), np.int8), (at[: len(rows)], at[len(rows) :])), shape=(len(names), len(names)))
    return connected_components(edges, directed=False)[1][at[: len(owners)]]


def _parted(labels: Any, owners: Any) -> Any:
    """Components that are too large fall apart to those of each owner.

    Findings that a template makes join patients in chains, in the end nearly all of them, and leave nothing to split.
    """
    too_large = np.bincount(labels, minlength=1)[labels] > LARGEST
    _, own = np.unique(owners, return_inverse=True)
    return np.unique(np.where(too_large, len(labels) + own, labels), return_inverse=True)[1]


def _shared(labels: Any, owners: Any) -> Any:
    """Whether a component has more than one owner."""
    pairs = np.zeros(len(labels), [("label", np.int32), ("owner", np.uint64)])
    pairs["label"], pairs["owner"] = labels, owners
    return np.bincount(np.unique(pairs)["label"], minlength=int(labels.max(initial=-1)) + 1) > 1


def _patient(report: Report) -> str:
    return f"1/{report.source}/{report.patient}"


def _findings(report: Report) -> str:
    return f"2/{hashlib.sha256(_words(report).encode()).hexdigest()}"


def _words(report: Report) -> str:
    """What the findings say, numbers aside."""
    return re.sub(r"[\d.]+", "#", plain(report.findings))


def _number(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())

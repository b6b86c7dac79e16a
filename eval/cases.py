"""The held-out cases that adapters are judged on."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from radimpress.clustering.cell import ANY, Cell
from radimpress.clustering.clusters import Clusters
from radimpress.reports.errors import InputError
from radimpress.reports.files import digest_of
from radimpress.reports.prompt import render
from radimpress.reports.report import Report
from radimpress.reports.split import groups


@dataclass(frozen=True, slots=True)
class Case:
    """One held-out report.

    Attributes:
        report: with its impression, which is the reference.
        cell: its slice.
        group: cases of one group share a patient or findings and are resampled together.
        weight: how many reports of its slice it stands for, where a slice was sampled.
    """

    report: Report
    cell: Cell
    group: str
    weight: float


def choose_cases(reports: Sequence[Report], clusters: Clusters, *, limit: int, seed: int) -> tuple[Case, ...]:
    """At most `limit` cases, seeded; 0 takes all.

    Slices give one case each in turn, so that a rare slice is judged on all it has before a common one
    on more than that.

    Raises:
        InputError: there is none.
    """
    if not reports:
        raise InputError("test", "holds no report to judge on")
    shelves: dict[Cell, list[tuple[Report, str]]] = defaultdict(list)
    for report, group in zip(reports, groups(reports), strict=True):
        shelves[Cell(report.modality, clusters.of(report.clinic) or ANY)].append((report, group))
    chance = random.Random(seed)
    for _, shelf in sorted(shelves.items()):
        chance.shuffle(shelf)
    depth = 0
    while limit == 0 or sum(min(len(shelf), depth + 1) for shelf in shelves.values()) <= limit:
        depth += 1
        if depth >= max(len(shelf) for shelf in shelves.values()):
            break
    depth = max(1, depth)
    return tuple(
        Case(report, cell, group, len(shelf) / min(len(shelf), depth))
        for cell, shelf in sorted(shelves.items())
        for report, group in shelf[:depth]
    )


def cases_digest(cases: Sequence[Case]) -> str:
    """SHA-256, in hex, over which reports were judged and with which references."""
    return digest_of([[case.report.id, render(case.report), case.report.impression, str(case.cell)] for case in cases])

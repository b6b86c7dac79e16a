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


def choose_cases(reports: Sequence[Report], clusters: Clusters, *, per_cell: int, seed: int) -> tuple[Case, ...]:
    """At most `per_cell` cases of each slice, seeded; 0 takes all.

    Raises:
        InputError: there is none.
    """
    shelves: dict[Cell, list[tuple[Report, str]]] = defaultdict(list)
    for report, group in zip(reports, groups(reports), strict=True):
        shelves[Cell(report.modality, clusters.of(report.clinic) or ANY)].append((report, group))
    chance = random.Random(seed)
    cases = []
    for cell, shelf in sorted(shelves.items()):
        taken = shelf if per_cell == 0 else chance.sample(shelf, min(per_cell, len(shelf)))
        cases += [Case(report, cell, group, len(shelf) / len(taken)) for report, group in taken]
    if not cases:
        raise InputError("test", "holds no report to judge on")
    return tuple(cases)


def cases_digest(cases: Sequence[Case]) -> str:
    """SHA-256, in hex, over which reports were judged and with which references."""
    return digest_of([[case.report.id, render(case.report), case.report.impression, str(case.cell)] for case in cases])

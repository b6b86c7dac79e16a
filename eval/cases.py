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
from radimpress.reports.report import Modality, Report
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


_Placed = tuple[Cell, Report, str]


def choose_cases(
    reports: Sequence[Report], clusters: Clusters, *, limit: int, seed: int, per_modality: int = 0
) -> tuple[Case, ...]:
    """At most `limit` cases, seeded; 0 takes all.

    Slices give one case each in turn, so that a rare slice is judged on all it has before a common one
    on more than that. `per_modality` takes that many of each modality instead, whatever their clinic,
    as the published experiment did (20 each).

    Raises:
        InputError: there is none, or both `limit` and `per_modality` are given.
    """
    if not reports:
        raise InputError("test", "holds no report to judge on")
    if limit and per_modality:
        raise InputError("per_modality", f"is {per_modality} where cases is {limit}: one of them must be 0")
    placed = [
        (Cell(report.modality, clusters.of(report.clinic) or ANY), report, group)
        for report, group in zip(reports, groups(reports), strict=True)
    ]
    return _of_each_modality(placed, per_modality, seed) if per_modality else _in_turn(placed, limit, seed)


def _of_each_modality(placed: Sequence[_Placed], count: int, seed: int) -> tuple[Case, ...]:
    shelves: dict[Modality, list[_Placed]] = defaultdict(list)
    for one in placed:
        shelves[one[0].modality].append(one)
    cases = []
    for modality, shelf in sorted(shelves.items()):
        # Its own chance each, so that a modality more or less leaves the others' cases as they were.
        drawn = random.Random(f"{seed}/{modality}").sample(shelf, min(count, len(shelf)))
        cases += [Case(report, cell, group, len(shelf) / len(drawn)) for cell, report, group in drawn]
    return tuple(sorted(cases, key=lambda case: case.cell))


def _in_turn(placed: Sequence[_Placed], limit: int, seed: int) -> tuple[Case, ...]:
    shelves: dict[Cell, list[tuple[Report, str]]] = defaultdict(list)
    for cell, report, group in placed:
        shelves[cell].append((report, group))
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

"""The quality funnel: every report leaves by exactly one door, and the doors add up.

Thresholds are the published ones: metadata present, findings of 100 characters or more, an
impression of 20 to 1000 characters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from radimpress.reports.errors import InputError
from radimpress.reports.prompt import FINDINGS_MAX, clean
from radimpress.reports.read import Archive
from radimpress.reports.report import Modality, Report


class Door(StrEnum):
    """How a report leaves the funnel; the values are the words people read."""

    UNREADABLE = "record cannot be read"
    NO_CLINIC = "clinic missing"
    NO_MODALITY = "modality missing or not known"
    NO_CONTENT = "findings or impression missing"
    FINDINGS_SHORT = "findings too short"
    FINDINGS_LONG = "findings too long to be asked about"
    IMPRESSION_SHORT = "impression too short"
    IMPRESSION_LONG = "impression too long"
    DUPLICATE = "same findings and impression as an earlier report"
    KEPT = "kept"


class Thresholds(BaseModel):
    """What a report needs to be learnt from, in characters; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    findings_min: int = Field(default=100, ge=1)
    impression_min: int = Field(default=20, ge=1)
    impression_max: int = Field(default=1000, ge=1)


@dataclass(slots=True)
class Funnel:
    """What went in and by which door it left.

    Attributes:
        kept: the reports that are good enough, in order.
        set_aside: (id or place, door) of each other one.
    """

    thresholds: Thresholds
    kept: list[Report] = field(default_factory=list)
    set_aside: list[tuple[str, Door]] = field(default_factory=list)

    @property
    def counts(self) -> dict[Door, int]:
        """Reports by door, every door named; the sum is what went in."""
        counted = Counter(door for _, door in self.set_aside)
        counted[Door.KEPT] = len(self.kept)
        return {door: counted[door] for door in Door}

    @property
    def total(self) -> int:
        """How many records went in."""
        return len(self.kept) + len(self.set_aside)

    def as_json(self) -> dict[str, Any]:
        """The funnel as funnel.json holds it; no report text."""
        return {
            "total": self.total,
            "thresholds": self.thresholds.model_dump(),
            "doors": {door.value: count for door, count in self.counts.items()},
            "set_aside": [[place, door.value] for place, door in self.set_aside],
        }


def sift(archive: Archive, thresholds: Thresholds) -> Funnel:
    """Sends every record of an archive through the funnel.

    Raises:
        InputError: nothing is left.
    """
    funnel = Funnel(thresholds)
    funnel.set_aside += [(place, Door.UNREADABLE) for place in archive.unreadable]
    seen: set[tuple[str, str]] = set()
    for report in archive.reports:
        door = _door(report, thresholds, seen)
        if door is Door.KEPT:
            funnel.kept.append(report)
        else:
            funnel.set_aside.append((report.id, door))
    if not funnel.kept:
        raise InputError("reports", f"none of {funnel.total} is left by the filter: {explain(funnel.counts.items())}")
    return funnel


def explain(counts: Iterable[tuple[Door, int]]) -> str:
    """The doors that were used, in words."""
    return ", ".join(f"{count} {door.value}" for door, count in counts if count) or "no records"


def _door(report: Report, limits: Thresholds, seen: set[tuple[str, str]]) -> Door:
    if not report.clinic:
        return Door.NO_CLINIC
    if report.modality is Modality.UNSPECIFIED:
        return Door.NO_MODALITY
    findings, impression = clean(report.findings), clean(report.impression)
    if not findings or not impression:
        return Door.NO_CONTENT
    if len(findings) < limits.findings_min:
        return Door.FINDINGS_SHORT
    if len(report.findings) > FINDINGS_MAX:
        return Door.FINDINGS_LONG
    if len(impression) < limits.impression_min:
        return Door.IMPRESSION_SHORT
    if len(impression) > limits.impression_max:
        return Door.IMPRESSION_LONG
    pair = (_plain(report.findings), _plain(report.impression))
    if pair in seen:
        return Door.DUPLICATE
    seen.add(pair)
    return Door.KEPT


def _plain(text: str) -> str:
    return " ".join(text.lower().split())

"""The quality funnel: every report leaves by exactly one door, and the doors add up.

Thresholds are the published ones: metadata present, findings of 100 characters or more, an
impression of 20 to 1000 characters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from radimpress.reports.errors import InputError
from radimpress.reports.language import foreign, languages
from radimpress.reports.prompt import FIELD_MAX, FIELDS, FINDINGS_MAX, clean
from radimpress.reports.read import Archive, Unreadable
from radimpress.reports.report import Modality, Report
from radimpress.reports.text import plain

# What is left open in a form that nobody filled in.
_BLANK = re.compile(r"_{3,}|\[\s*\]|\[[^\]]{0,40}\]|\*{3}|<[a-z ]{2,30}>|\{[^}]{0,40}\}", re.IGNORECASE)
# So many of them, one to so many words, make findings a form.
_BLANKS, _WORDS_EACH = 3, 12


class Door(StrEnum):
    """How a report leaves the funnel; the values are the words people read."""

    UNREADABLE = "record cannot be read"
    NO_CLINIC = "clinic missing"
    NO_MODALITY = "modality missing or not known"
    NO_CONTENT = "findings or impression missing"
    FINDINGS_SHORT = "findings too short"
    FINDINGS_LONG = "findings too long to be asked about"
    FIELD_LONG = "another field too long to be asked about"
    IMPRESSION_SHORT = "impression too short"
    IMPRESSION_LONG = "impression too long"
    TEMPLATE = "findings are a form that nobody filled in"
    COPIED = "impression is copied from the findings"
    LANGUAGE = "in another language"
    DUPLICATE = "same findings and impression as an earlier report"
    KEPT = "kept"


class Thresholds(BaseModel):
    """What a report needs to be learnt from, in characters; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    findings_min: int = Field(default=100, ge=1)
    impression_min: int = Field(default=20, ge=1)
    impression_max: int = Field(default=1000, ge=1)
    languages: tuple[str, ...] = Field(default=("en",), description="ISO 639-1 codes; none: any language")

    @field_validator("languages")
    @classmethod
    def _told(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(codes) - languages()) if codes != ("en",) else ()
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no ISO 639-1 code of a language that can be told")
        return codes


@dataclass(frozen=True, slots=True)
class Funnel:
    """What went in and by which door it left.

    Attributes:
        thresholds: by which.
        counts: reports by door, every door named.
    """

    thresholds: Thresholds
    counts: dict[Door, int]

    @property
    def kept(self) -> int:
        """How many are good enough."""
        return self.counts[Door.KEPT]

    @property
    def total(self) -> int:
        """How many records went in."""
        return sum(self.counts.values())

    def as_json(self) -> dict[str, Any]:
        """The funnel as funnel.json holds it; no report text."""
        return {
            "total": self.total,
            "thresholds": self.thresholds.model_dump(mode="json"),
            "doors": {door.value: count for door, count in self.counts.items()},
        }


@dataclass(frozen=True, slots=True)
class Sifted:
    """An archive in memory that went through the funnel.

    Attributes:
        funnel: the doors.
        kept: the reports that are good enough, in order.
        set_aside: (id or place, door) of each other one.
    """

    funnel: Funnel
    kept: tuple[Report, ...]
    set_aside: tuple[tuple[str, Door], ...]


@dataclass(slots=True)
class Sieve:
    """Sends records through the funnel one by one.

    Attributes:
        thresholds: by which.
    """

    thresholds: Thresholds
    _counted: Counter[Door] = field(default_factory=Counter)
    # Digests of 16 bytes: an archive may be of any length.
    _seen: set[bytes] = field(default_factory=set)

    def door(self, record: Report | Unreadable) -> Door:
        """The door by which a record leaves, counted."""
        door = Door.UNREADABLE if isinstance(record, Unreadable) else self._door(record)
        self._counted[door] += 1
        return door

    @property
    def funnel(self) -> Funnel:
        """What went in so far."""
        return Funnel(self.thresholds, {door: self._counted[door] for door in Door})

    def check(self) -> Funnel:
        """The funnel at its end.

        Raises:
            InputError: nothing is left.
        """
        found = self.funnel
        if not found.kept:
            raise InputError("reports", f"none of {found.total} is left by the filter: {explain(found.counts.items())}")
        return found

    def _door(self, report: Report) -> Door:
        limits = self.thresholds
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
        if any(len(getattr(report, name)) > FIELD_MAX for name in FIELDS):
            return Door.FIELD_LONG
        if len(impression) < limits.impression_min:
            return Door.IMPRESSION_SHORT
        if len(impression) > limits.impression_max:
            return Door.IMPRESSION_LONG
        compared = plain(report.findings), plain(report.impression)
        if _is_form(findings):
            return Door.TEMPLATE
        if compared[1] in compared[0]:
            return Door.COPIED
        if limits.languages and foreign(findings, limits.languages):
            return Door.LANGUAGE
        pair = blake2b("\n\n".join(compared).encode(), digest_size=16).digest()
        if pair in self._seen:
            return Door.DUPLICATE
        self._seen.add(pair)
        return Door.KEPT


def sift(archive: Archive, thresholds: Thresholds) -> Sifted:
    """Sends every record of an archive through the funnel.

    Raises:
        InputError: nothing is left.
    """
    sieve = Sieve(thresholds)
    aside = [(place, sieve.door(Unreadable(place, ""))) for place in archive.unreadable]
    doors = [(report, sieve.door(report)) for report in archive.reports]
    aside += [(report.id, door) for report, door in doors if door is not Door.KEPT]
    return Sifted(sieve.check(), tuple(report for report, door in doors if door is Door.KEPT), tuple(aside))


def explain(counts: Iterable[tuple[Door, int]]) -> str:
    """The doors that were used, in words."""
    return ", ".join(f"{count} {door.value}" for door, count in counts if count) or "no records"


def _is_form(findings: str) -> bool:
    blanks = len(_BLANK.findall(findings))
    return blanks >= _BLANKS and blanks * _WORDS_EACH > len(findings.split())

"""Cuts a whole transcription into its sections, under the headings that people really use.

A heading stands at the beginning of a line, in capitals or between Markdown's stars, or, where it is one that
this file knows, in capitals within a line. Headings that are known say what a section is; others are subheadings
of the section before them, or, where a report has no findings heading, findings themselves ("BIOMETRY:").

Does not cover headings in other languages than English, nor headings without colon in ordinary writing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a section holds."""

    FINDINGS = "findings"
    IMPRESSION = "impression"
    READING = "interpretation"
    SUMMARY = "summary"
    EXAM = "exam"
    INDICATION = "indication"
    COMPARISON = "comparison"
    TECHNIQUE = "technique"
    ADDENDUM = "addendum"
    NOTE = "note"
    OTHER = "other"


# Whole headings, without what stands in brackets, in the singular where both are used.
_HEADINGS = {
    Kind.FINDINGS: (
        "findings|result|report|radiology report|radiographic findings|imaging findings|ct findings|mri findings"
        "|mr findings|ultrasound findings|sonographic findings|description|observations|body of report"
    ),
    Kind.IMPRESSION: (
        "impression|imp|conclusion|opinion|conclusion and recommendations|impression and recommendations"
        "|impression and plan|final impression|radiologist impression|radiographic impression|ct impression"
        "|mri impression|conclusions and recommendations|diagnostic impression|assessment and conclusion"
    ),
    Kind.READING: "interpretation|final interpretation",
    Kind.SUMMARY: "summary|assessment",
    Kind.EXAM: (
        "exam|examination|study|type of exam|type of examination|exam type|procedure|procedure performed|procedure done"
        "|study performed|exam performed|exam name|procedures|type of study|test|type of test|title"
    ),
    Kind.INDICATION: (
        "indication|reason|reason for exam|reason for examination|reason for study|reason for test|reason for procedure"
        "|reason for visit|reason for referral|reason for consultation|clinical history|history|clinical indication"
        "|clinical|clinical information|clinical data|clinical details|clinical question|hx|hx cc|cc"
        "|history and indication|indication for procedure|indication for exam|indication for study"
        "|reason for this examination|present illness|history of present illness|brief history|pertinent history"
    ),
    Kind.COMPARISON: (
        "comparison|comparison exam|comparison examination|comparison study|comparison studies|previous studies"
        "|prior studies|prior|compared to"
    ),
    Kind.TECHNIQUE: (
        "technique|protocol|procedure and technique|scan technique|image technique|imaging technique|stress technique"
        "|technical factors|contrast|contrast material|method|procedure and interpretation|radiopharmaceutical|dose"
        "|radiation dose|equipment|procedure in detail|details of procedure|procedure details|medication"
    ),
    Kind.ADDENDUM: "addendum|amendment",
    Kind.NOTE: (
        "pmh|shx|fhx|meds|course|ros|lab|labs|allergies|past medical history|family history|social history"
        "|review of systems|physical examination|physical exam|vital signs|plan|disposition|hospital course"
        "|preoperative diagnosis|postoperative diagnosis|preoperative diagnoses|postoperative diagnoses|anesthesia"
        "|complications|estimated blood loss|surgeon|assistant|date of birth|dictated by|electronically signed by"
        "|signed by|recommendation|recommendations|follow up|follow-up|discharge diagnosis|chief complaint"
    ),
}
_PLURAL = re.compile(r"(?<=[a-z]{3})s$")


def _singular(word: str) -> str:
    return word if word.endswith(("us", "is", "ss")) else _PLURAL.sub("", word)


_KIND = {" ".join(map(_singular, words.split())): kind for kind, many in _HEADINGS.items() for words in many.split("|")}
# As in "stress protocol", which tells how; longer headings may tell what was seen by it.
_SHORT = 2
_NAME_MAX = 60
# Between stars; or in capitals with a colon; or known, in any case, with a colon.
_STARRED = re.compile(r"^\s*\*\*\s*(?P<name>[^*\n]{1,80}?)\s*(?P<colon>:?)\s*\*\*\s*:?[ \t]*")
_CAPITAL = re.compile(r"^\s*(?P<name>[A-Z][A-Z0-9 ,/&()'.-]{1,58}?)\s*:[ \t]*")
_ANY = re.compile(r"^\s*(?P<name>[A-Za-z][A-Za-z ,/&'-]{1,58}?)\s*:[ \t]*")
_BARE = re.compile(r"^\s*(?P<name>[A-Z][A-Z ]{2,40})\s*$")
_INLINE = re.compile(
    r"(?<=[.;]\s)(?P<name>IMPRESSION|IMPRESSIONS|CONCLUSION|CONCLUSIONS|FINDINGS|OPINION)\s*:[ \t]*(?=\S)"
)


@dataclass(frozen=True, slots=True)
class Section:
    """A piece of a report.

    Attributes:
        name: its heading as it is written, without colon; empty before the first.
        kind: what it holds.
        lines: its text, line by line, none of them blank.
    """

    name: str
    kind: Kind
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Its lines."""
        return "\n".join(self.lines)

    @property
    def whole(self) -> str:
        """Its lines under their heading."""
        return f"{self.name}: {self.text}".strip() if self.name else self.text


@dataclass(frozen=True, slots=True)
class Sections:
    """A transcription, cut.

    Attributes:
        findings: what is seen, with the subheadings in it; empty where it has none.
        impression: the conclusion; empty where it has none.
        exam: the examination's name.
        indication: why it was asked for.
        comparison: with what it was compared.
        technique: how it was done.
        explicit: whether the findings stood under a heading that says so.
        impressions: how many it has; the last is taken.
        note: whether it is something else: a clinical note, an operation, a discharge letter.
    """

    findings: str = ""
    impression: str = ""
    exam: str = ""
    indication: str = ""
    comparison: str = ""
    technique: str = ""
    explicit: bool = True
    impressions: int = 0
    note: bool = False


def kind_of(name: str) -> Kind:
    """What a heading says that its section holds."""
    plain = re.sub(r"\([^)]*\)", " ", name.lower())
    words = re.sub(r"[^a-z&/ -]", " ", plain).replace("&", " and ").replace("/", " and ").split()
    plain = " ".join(_singular(word) for word in words if word != "the")
    if len(words) == _SHORT and plain.endswith((" technique", " protocol")):
        return Kind.TECHNIQUE
    return _KIND.get(plain, Kind.OTHER)


def cut(text: str) -> list[Section]:
    """The sections of a text, in order; every line that is not blank is in one of them."""
    made: list[Section] = []
    name, kind, lines = "", Kind.OTHER, list[str]()

    def close() -> None:
        if name or lines:
            made.append(Section(name, kind, tuple(lines)))

    for line in _lines(text):
        found = _heading(line)
        if found is None:
            lines.append(line)
            continue
        close()
        name, rest = found
        kind, lines = kind_of(name), [rest] if rest else []
    close()
    return made


def read_sections(text: str) -> Sections:
    """Findings, impression and what belongs to them.

    Findings are what stands under findings headings, and under headings that nothing is known of ("BIOMETRY:"),
    each with its heading, up to the last impression; where no heading says findings, what stands before the first
    heading too. The impression is the last one, with its addendum.
    """
    sections = _settled(cut(text))
    kinds = [section.kind for section in sections]
    stated = [at for at, section in enumerate(sections) if section.kind is Kind.IMPRESSION and section.lines]
    last = stated[-1] if stated else len(sections)
    explicit = any(section.kind is Kind.FINDINGS or "finding" in section.name.lower() for section in sections)
    found = [
        section.text if section.kind is Kind.FINDINGS else section.whole
        for section in sections[:last]
        if section.kind is Kind.FINDINGS or (section.kind is Kind.OTHER and (section.name or not explicit))
    ]
    concluded = [sections[at].text for at in stated[-1:]]
    concluded += [section.whole for section in sections[last:] if section.kind is Kind.ADDENDUM]
    return Sections(
        findings="\n".join(filter(None, found)),
        impression="\n".join(concluded) if stated else "",
        exam=_first(sections, Kind.EXAM),
        indication=_first(sections, Kind.INDICATION),
        comparison=_first(sections, Kind.COMPARISON),
        technique=" ".join(section.text for section in sections if section.kind is Kind.TECHNIQUE),
        explicit=explicit,
        impressions=len(stated),
        note=kinds.count(Kind.NOTE) >= _NOTES,
    )


# So many headings of a clinical note are no radiology report's.
_NOTES = 3


def _settled(sections: list[Section]) -> list[Section]:
    """What "interpretation" and "summary" mean in this report: its conclusion where it has no other."""
    kinds = {section.kind for section in sections}
    meant = {Kind.SUMMARY: Kind.OTHER if Kind.IMPRESSION in kinds else Kind.IMPRESSION}
    concluded = Kind.IMPRESSION in kinds or Kind.SUMMARY in kinds or Kind.FINDINGS not in kinds
    meant[Kind.READING] = Kind.FINDINGS if concluded else Kind.IMPRESSION
    return [Section(one.name, meant.get(one.kind, one.kind), one.lines) for one in sections]


def _lines(text: str) -> Iterator[str]:
    """Lines that are not blank; a heading within a line begins one."""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        start = 0
        for found in _INLINE.finditer(line):
            if line[start : found.start()].strip(" *"):
                yield line[start : found.start()].strip()
                start = found.start()
        if rest := line[start:].strip():
            yield rest


def _heading(line: str) -> tuple[str, str] | None:
    """A line's heading and what follows it; None where it has none."""
    found = _STARRED.match(line)
    if found:
        rest = line[found.end() :].replace("**", "").strip()
        if found["colon"] or not rest or kind_of(found["name"]) is not Kind.OTHER:
            return found["name"], rest
        return None
    found = _CAPITAL.match(line)
    if found is None:
        found = _ANY.match(line) or _BARE.match(line)
        if found is not None and kind_of(found["name"]) in (Kind.OTHER, Kind.NOTE):
            found = None
    return (found["name"], line[found.end() :].replace("**", "").strip()) if found else None


def _first(sections: Iterable[Section], kind: Kind) -> str:
    return next((" ".join(section.lines) for section in sections if section.kind is kind and section.lines), "")

"""Cuts a whole transcription into its sections, under the headings that people really use.

A heading stands at the beginning of a line, in capitals or between Markdown's stars, or, where it is one that
this file knows, in any case, with a number, a hash or brackets around it, or within a line. Headings that are known say
what a section is; others are subheadings of the section before them, or, where a report has no findings heading,
findings themselves ("BIOMETRY:"). Where a file lost its lines, as MTSamples' tables did, lines.py gives them back.

Does not cover headings in other languages than English, nor headings without colon in ordinary writing, but for
findings and impression on a line of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from radimpress.reports.headings import SIDE, Kind, concludes, kind_of
from radimpress.reports.lines import lines_of

_SIGNATURE, _NAME = "signed", "name"
# "LEFT BREAST:" in an impression is a part of it, "DISCLAIMER:" is none.
_PART = re.compile(
    r"\b(?:left|right|bilateral|both|head|brain|neck|thyroid|chest|lungs?|heart|breasts?|abdomen|pelvis|liver|kidneys?"
    r"|pancreas|spleen|gallbladder|adrenals?|bladder|prostate|bowel|colon|aorta|mediastinum|pleura|bones?|nodes?"
    r"|(?:[ctl]|cervical|thoracic|lumbar|lumbosacral)[ -]?spine|spine|hips?|knees?|ankles?|foot|feet|shoulders?|elbows?"
    r"|wrists?|hands?|(?:upper|lower) extremit(?:y|ies)|cta?|mr[ia]|ultrasound|x-?rays?|mammogram|doppler|fetus"
    r"|twin|baby|uterus|ovar(?:y|ies)|test(?:is|es|icles?)|[CTL]\d{1,2}[-/][CTLS]?\d{1,2})\b",
    re.IGNORECASE,
)
# "CT TECHNOLOGIST:", "HEAD OF DEPARTMENT:", "ICD DIAGNOSIS:".
_NO_PART = re.compile(
    r"\b(?:tech\w*|department|physician|radiologist|sonographer|dose|privacy|icd|code|number|letter|date|time|by)\b",
    re.IGNORECASE,
)
_PART_MAX = 400
_TITLE_MAX = 80
# Between stars; or in capitals with a colon; or known, in any case, with a colon.
# Spaces are counted, as each unbounded run of them beside another multiplies the ways to fail.
_STARRED = re.compile(
    r"^\s*\*{2,3}\s{0,9}(?P<name>[^*\n]{1,80}?)\s{0,9}(?P<colon>:?)\s{0,9}\*{2,3}\s{0,9}(?P<after>:?)[ \t]*"
)
# A whole line between stars that is none: "**IMPRESSION: Normal.**", "**2. Nodule.**".
_BOLD = re.compile(r"^\s*\*\*([^*\n]+)\*\*\s*$")
_CAPITAL = re.compile(r"^\s*(?P<name>[A-Z][A-Z0-9 ,/&()'.-]{1,58}?)\s*:[ \t]*")
_ANY = re.compile(r"^\s*(?P<name>[A-Za-z][A-Za-z ,/&'-]{1,58}?)\s*:[ \t]*")
_BARE = re.compile(
    r"^\s*(?P<name>[A-Z][A-Z ]{2,40}(?=\s*$)|Findings|FINDINGS|Impressions?|IMPRESSIONS?|Conclusions?|CONCLUSIONS?)"
    r"[.;]?\s*$"
)
# Known, with something around it: "## Findings", "[IMPRESSION]", "2. CONCLUSION:", "IMPRESSION - ".
_DRESSED = re.compile(
    r"^\s*(?:(?P<mark>#{1,6}|[-*•>]|\(?(?:\d{1,2}|[IVX]{1,4})[.)])\s*)?(?P<open>[\[<*_]{0,2})"
    r"(?P<name>[A-Za-z][A-Za-z &/-]{1,40}?)[\]>*_]{0,2}\s*(?P<colon>[:：]|[ \t][-–—=](?=\s)|--|$)[\]>*_]{0,2}[ \t]*"
)
_CORE = (Kind.FINDINGS, Kind.IMPRESSION)
_ENDS = (Kind.IMPRESSION, Kind.SUMMARY, Kind.DIAGNOSIS, Kind.ADDENDUM, Kind.SIGNED)
# Below a blank line these have nothing more to say.
_ABOVE = (Kind.EXAM, Kind.INDICATION, Kind.COMPARISON)
# In ordinary writing these may be text.
_CAPITALS_ALONE = (Kind.OTHER, Kind.NOTE, Kind.ADVICE)
# In capitals anywhere but after another word in capitals, else after a sentence.
_INLINE = re.compile(
    r"(?:(?<=\s)(?<![A-Z/&]\s)(?:IMPRESSIONS?|CONCLUSIONS?|FINDINGS)"
    r"|(?<=[.;?]\s)(?:OPINION|IMP|INTERPRETATION|INDICATION|CLINICAL HISTORY|HISTORY|COMPARISON|TECHNIQUE"
    r"|Impressions?|Conclusions?|Findings))\s*:[ \t]*(?=\S)"
    # Between stars anywhere.
    r"|(?<=\s)\*\*\s*[A-Z][A-Z0-9 ,/&()'.-]{1,58}?\s*(?::\s*\*\*|\*\*\s*:)"
)
# A sentence, an item, or a heading with what follows it; not "Lungs".
_SAID = re.compile(r"[.!?;]$|^\d{1,2}[.)]|:")
# In capitals and no sentence nor an item.
_TITLE = re.compile(r"(?!\d{1,2}[.)])[^:a-z]*[^.,:;!?a-z]")
# What may stand before a heading on its line and is no text.
_NOTHING = re.compile(r"(?:(?:\d{1,2}|[IVX]{1,4})[.)])?")
_RULE = re.compile(r"\s*([=_*~-])\1{2,}\s*")
_SIGNED = re.compile(
    r"^\s*\**(?:electronically signed|dictated (?:by|on|and)|transcribed (?:by|on)"
    r"|dictated but not (?:read|reviewed)|end of (?:the )?(?:report|impression))\b"
    r"|^\s*(?:DD?|TD?|DT)\s*:\s*\d{1,2}[/-]\d{1,2}[/-]\d{2,4}",
    re.IGNORECASE,
)
# "Jane B. Doe, M.D.", who may have signed, or have asked.
_PERSON = re.compile(
    r"^\s*[A-Z][\w.'-]*(?: [A-Z][\w.'-]*){1,3},\s*(?:M\.? ?D|D\.? ?O|MBBS|Ph\.? ?D|FRCR|FRCPC)\b\.?\s*$"
)


@dataclass(frozen=True, slots=True)
class Section:
    """A piece of a report.

    Attributes:
        name: its heading as it is written, without colon; empty before the first.
        kind: what it holds.
        lines: its text, line by line, none of them blank.
        first: how many of them stand before the first blank line.
    """

    name: str
    kind: Kind
    lines: tuple[str, ...]
    first: int = 0

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
        title: a line above all headings, or one between stars.
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
    title: str = ""
    indication: str = ""
    comparison: str = ""
    technique: str = ""
    explicit: bool = True
    impressions: int = 0
    note: bool = False


def cut(text: str) -> list[Section]:
    """The sections of a text, in order; every line that is not blank is in one of them."""
    made: list[Section] = []
    name, kind, lines, first = "", Kind.OTHER, list[str](), 0
    # What goes on below a line of administration, which is one line long, but below a conclusion.
    before, blank = (name, kind), False

    def close() -> None:
        if name or lines:
            made.append(Section(name, kind, tuple(lines), first or len(lines)))

    for line in _lines(text):
        if not line:
            first, blank = first or len(lines), True
            continue
        found = _heading(line, kind)
        if found is None:
            if kind is Kind.ADMIN and (lines or blank) and before[1] not in _ENDS:
                close()
                (name, kind), lines, first = ("", Kind.OTHER) if blank and before[1] in _ABOVE else before, [], 0
            bold = _BOLD.match(line)
            lines.append(bold[1].strip() if bold else line)
            continue
        close()
        blank = False
        before = before if kind is Kind.ADMIN else (name, kind)
        name, rest = found
        kind, lines, first = kind_of(name), [rest] if rest else [], 0
        if kind is Kind.OTHER and concludes(name):
            kind = Kind.DIAGNOSIS
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
    stated = [
        at
        for at, section in enumerate(sections)
        if section.kind is Kind.IMPRESSION and (section.lines or _parted(sections[at + 1 :]))
    ]
    last = stated[-1] if stated else len(sections)
    explicit = any(section.kind is Kind.FINDINGS or "finding" in section.name.lower() for section in sections)
    found = _found(sections[:last], explicit)
    if stated and not found:
        # The impression stands first, or nothing says where the findings begin.
        found = _found([one for one in sections[last:] if one.kind is Kind.FINDINGS], explicit)
        if not found:
            sections = [*_loosened(sections[:last]), *sections[last:]]
            found = _found(sections[: len(sections) - len(kinds) + last], explicit)
            stated = [len(sections) - len(kinds) + at for at in stated]
            last = stated[-1]
    concluded = [_told(one) for one in _last_run(sections, stated) if one.lines]
    concluded += [section.whole for section in _parts(sections[last + 1 :])]
    concluded += [section.whole for section in sections[last:] if section.kind is Kind.ADDENDUM]
    return Sections(
        findings="\n".join(found),
        impression="\n".join(concluded) if stated else "",
        exam=_first(sections, Kind.EXAM),
        title=_title(sections[:1]),
        indication=_first(sections, Kind.INDICATION),
        comparison=_first(sections, Kind.COMPARISON),
        technique=" ".join(section.text for section in sections if section.kind is Kind.TECHNIQUE),
        explicit=explicit,
        impressions=len(stated),
        note=kinds.count(Kind.NOTE) >= _NOTES,
    )


def _last_run(sections: Sequence[Section], stated: Sequence[int]) -> list[Section]:
    """The last impression, and those before it that are parts of the same: only administration stands between."""
    run = list(stated[-1:])
    for at in reversed(stated[:-1]):
        names = sections[at].name, sections[run[0]].name
        parted = names[0] != names[1] and not all(map(_PART.search, names))
        if parted or any(one.kind is not Kind.ADMIN for one in sections[at + 1 : run[0]]):
            break
        run.insert(0, at)
    return [sections[at] for at in run]


def _parts(sections: Iterable[Section]) -> Iterator[Section]:
    """What stands first below an impression, under a part of the body, an examination or another conclusion.

    Longer text is another examination's findings.
    """

    def inside(one: Section) -> bool:
        named = (_PART.search(one.name) or concludes(one.name)) and not _NO_PART.search(one.name)
        return one.kind is Kind.OTHER and 0 < len(one.text) <= _PART_MAX and bool(named)

    return takewhile(inside, sections)


def _parted(sections: Sequence[Section]) -> bool:
    """Whether an impression without text of its own is whole in its parts: some of them would be worse than none."""
    parts = len(list(_parts(sections)))
    return bool(parts) and not any(one.kind is Kind.OTHER and one.lines for one in sections[parts : parts + 1])


def _told(one: Section) -> str:
    """A section's text; under its heading where only that says the side."""
    return one.whole if SIDE.search(one.name) else one.text


def _found(sections: Iterable[Section], explicit: bool) -> list[str]:
    """The findings among some sections."""
    found = (
        _told(section) if section.kind is Kind.FINDINGS else section.whole
        for section in sections
        if section.kind is Kind.FINDINGS or (section.kind is Kind.OTHER and (section.name or not explicit))
    )
    return [text for text in found if text]


def _loosened(sections: Iterable[Section]) -> Iterator[Section]:
    """What stands below a blank line under a heading that is no section's own, as a section without heading.

    Not below a technique, whose first paragraph often has findings in it: a part of them would be worse than none.
    """
    for one in sections:
        if one.kind in _ABOVE and 0 < one.first < len(one.lines):
            yield Section(one.name, one.kind, one.lines[: one.first], one.first)
            yield Section("", Kind.OTHER, one.lines[one.first :])
        else:
            yield one


# What concludes only where something else says findings.
_UNSURE = re.compile("diagnos|finding", re.IGNORECASE)
# So many headings of a clinical note are no radiology report's.
_NOTES = 3


def _settled(sections: list[Section]) -> list[Section]:
    """What "interpretation" and "summary" mean in this report: its conclusion where it has no other."""
    kinds = {section.kind for section in sections}
    meant = {Kind.SUMMARY: Kind.OTHER if Kind.IMPRESSION in kinds else Kind.IMPRESSION}
    concluded = bool(kinds & {Kind.IMPRESSION, Kind.SUMMARY, Kind.DIAGNOSIS}) or Kind.FINDINGS not in kinds
    meant[Kind.READING] = Kind.FINDINGS if concluded else Kind.IMPRESSION
    settled, seen, told = list[Section](), False, False
    for one in sections:
        kind = meant.get(one.kind, one.kind)
        if one.kind is Kind.DIAGNOSIS:
            # A diagnosis that stands before what was found is why it was looked for.
            said = seen or (told and not _UNSURE.search(one.name))
            kind = Kind.IMPRESSION if said and not kinds & {Kind.IMPRESSION, Kind.SUMMARY} else Kind.OTHER
        seen = seen or kind is Kind.FINDINGS
        told = told or (kind is Kind.OTHER and bool(one.name and one.lines))
        settled.append(Section(one.name, kind, one.lines, one.first))
    return settled


def _lines(text: str) -> Iterator[str]:
    """Lines without the space around them; a heading within a line begins one."""
    for line in map(_unstarred, lines_of(text)):
        start = 0
        for found in _INLINE.finditer(line):
            if not _NOTHING.fullmatch(line[start : found.start()].strip(" \t*#>[<(_-")):
                yield line[start : found.start()].strip()
                start = found.start()
        yield "" if _RULE.fullmatch(line) else line[start:].strip()


def _unstarred(line: str) -> str:
    """A line that is between stars as a whole and is no heading, without them."""
    bold = _BOLD.match(line)
    text = bold[1].strip() if bold else ""
    if kind_of(text) is Kind.OTHER and _SAID.search(text) and not text.endswith(":") and not _TITLE.fullmatch(text):
        return text
    return line


def _heading(line: str, inside: Kind) -> tuple[str, str] | None:
    """A line's heading and what follows it; None where it has none."""
    found = _STARRED.match(line)
    if found:
        rest = line[found.end() :].replace("**", "").strip()
        known = kind_of(found["name"]) is not Kind.OTHER
        if (
            known
            or found["colon"]
            or found["after"]
            or (not rest and (inside is not Kind.IMPRESSION or found["name"].isupper()))
        ):
            return found["name"], rest
        return None
    if _SIGNED.match(line):
        return _SIGNATURE, line
    if _PERSON.match(line):
        return _NAME, line
    found = _CAPITAL.match(line)
    if found is None:
        found = _ANY.match(line) or _BARE.match(line)
        if found is not None and kind_of(found["name"]) in _CAPITALS_ALONE and not _concluding(found["name"]):
            found = None
    found = found or _dressed(line)
    return (found["name"], line[found.end() :].replace("**", "").strip()) if found else None


def _concluding(name: str) -> bool:
    """Whether a name such as "Overall Impression" is a heading in ordinary writing too; a diagnosis may be text."""
    return name.istitle() and concludes(name) and not _UNSURE.search(name)


def _dressed(line: str) -> re.Match[str] | None:
    found = _DRESSED.match(line)
    if found is None or kind_of(found["name"]) in (*_CAPITALS_ALONE, Kind.SIGNED, Kind.ADMIN):
        return None
    if found["colon"] in (":", "："):
        return found
    # Without a colon it has to look like a heading, and to be one that ends another's section for certain.
    set_off = found["open"] or (found["mark"] or "").startswith("#") or found["name"].isupper()
    dashed = bool(found["colon"]) and found["name"][0].isupper()
    return found if kind_of(found["name"]) in _CORE and (set_off or dashed) else None


def _title(first: Sequence[Section]) -> str:
    said = "".join(one.lines[0] if not one.name else "" if one.lines else one.name for one in first)
    return said.replace("**", "") if len(said) <= _TITLE_MAX else ""


def _first(sections: Iterable[Section], kind: Kind) -> str:
    return next((" ".join(section.lines) for section in sections if section.kind is kind and section.lines), "")

"""Whole transcriptions: a text file each, or a JSON line each with the text in `text`.

Sections are cut by their headings (sections.py). The examination's name is what stands under EXAM, else the
record's `sample_name` or `exam`, else a title above all headings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from radimpress.reports.headings import Kind
from radimpress.reports.modality import guess_modality
from radimpress.reports.readers.json_lines import parsed
from radimpress.reports.readers.rows import RECORD_MAX, SEVERAL, Row, decoded, lines_of
from radimpress.reports.sections import cut, read_sections

TEXT = "text"
# A text that a message names: what it holds, its name, itself.
Part = tuple[Kind, str, str]
# Where findings and impression are there, these are sections beside them, and no text is without a place.
_PLACED = {
    Kind.FINDINGS,
    Kind.IMPRESSION,
    Kind.ADDENDUM,
    Kind.INDICATION,
    Kind.COMPARISON,
    Kind.TECHNIQUE,
    Kind.EXAM,
    Kind.ADVICE,
    Kind.NOTE,
    Kind.ADMIN,
    Kind.SIGNED,
}
# What a heading between stars cannot have, and a heading of its kind where the kind's name is none.
_STARS = re.compile(r"[*\s]+")
_HEADINGS = {Kind.NOTE: "PLAN", Kind.ADMIN: "DATE"}


def read(path: Path) -> Iterator[Row]:
    """Yields the report of a text file, or of each line."""
    if path.suffix in (".jsonl", ".ndjson"):
        for line, raw in lines_of(path):
            found = parsed(raw)
            yield str(line), found if isinstance(found, str) else record(str(found.get(TEXT) or ""), found)
        return
    with path.open("rb") as file:
        data = file.read(RECORD_MAX + 1)
    if len(data) > RECORD_MAX:
        yield "1", f"has more than {RECORD_MAX} bytes"
    else:
        yield "1", record(decoded(data), {})


def record(text: str, known: Mapping[str, object]) -> dict[str, object] | str:
    """A transcription as a record; what is known of it besides goes first.

    Args:
        text: the whole of it.
        known: columns by name; `modality`, `exam` or `sample_name`, and `description` tell of the modality, and last
            the technique.
    """
    found = read_sections(text)
    if found.note:
        return "a clinical note, not a report"

    def told(name: str) -> str:
        value = known.get(name)
        return "" if value is None else str(value).strip()

    exam = told("exam") or found.exam or told("sample_name") or found.title
    said = (told("modality"), exam, told("sample_name"), told("description"), found.title, found.technique)
    made: dict[str, object] = {name: value for name, value in known.items() if name != TEXT}
    made.update(
        findings=found.findings,
        impression=found.impression,
        exam=exam,
        indication=told("indication") or found.indication,
        comparison=told("comparison") or found.comparison,
        modality=guess_modality(*said).value,
    )
    if found.impressions > 1:
        made[SEVERAL] = True
    return made


def sectioned(parts: Sequence[Part], known: Mapping[str, object]) -> dict[str, object] | str:
    """Texts that a message names as a record; a transcription under their names, where one of them is no section.

    Args:
        parts: in the message's order.
        known: columns by name; an indication that is known goes first.
    """
    kinds = {kind for kind, _, text in parts if text.strip()}
    if not {Kind.FINDINGS, Kind.IMPRESSION} <= kinds <= _PLACED:
        return record(_assembled(parts), known)

    def joined(*chosen: Kind) -> str:
        return "\n".join(text for one in chosen for kind, _, text in parts if kind is one and text)

    return {
        **known,
        "findings": joined(Kind.FINDINGS),
        "impression": joined(Kind.IMPRESSION, Kind.ADDENDUM),
        "comparison": joined(Kind.COMPARISON),
        "indication": known.get("indication") or joined(Kind.INDICATION),
    }


def _assembled(parts: Sequence[Part]) -> str:
    """The texts under headings, impressions and addenda last; as they are where no name says a section."""
    if all(kind is Kind.OTHER for kind, _, _ in parts):
        return "\n".join(text for _, _, text in parts)
    last = (Kind.IMPRESSION, Kind.ADDENDUM)
    ordered = sorted(parts, key=lambda part: last.index(part[0]) + 1 if part[0] in last else 0)
    lines: list[str] = []
    for (kind, name), group in groupby(ordered, key=lambda part: (part[0], part[1] if part[0] is Kind.OTHER else "")):
        text = "\n".join(own for _, _, own in group)
        # What has headings of its own is not told by its name.
        if kind is not Kind.OTHER or all(one.kind is Kind.OTHER for one in cut(text)):
            heading = _HEADINGS.get(kind, kind.value.upper()) if kind is not Kind.OTHER else _STARS.sub(" ", name)
            lines.append(f"**{heading.strip() or 'FINDINGS'}:**")
        lines.append(text)
    return "\n".join(lines)

"""Whole transcriptions: a text file each, or a JSON line each with the text in `text`.

Sections are cut by their headings (sections.py). The examination's name is what stands under EXAM, else the
record's `sample_name` or `exam`, else a title above all headings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from radimpress.reports.modality import guess_modality
from radimpress.reports.readers.json_lines import parsed
from radimpress.reports.readers.rows import RECORD_MAX, Row, decoded, lines_of
from radimpress.reports.sections import read_sections

TEXT = "text"


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
        yield "1", record(decoded(data), {"id": path.stem})


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
    return made

"""HL7 v2 result messages, ORU^R01 (HL7 2.5.1, chapter 7), by the hl7 library: one report an OBR segment.

A file holds one message or many, plain, in a batch (FHS, BHS) or framed by MLLP, its segments ended by CR, LF or
both. The text is in the OBX segments that hold text (TX, FT, ST): those whose identifier names a section, by LOINC or
in words, are that section, one without identifier goes on with the one before it. If none does, or some hold no section
that is known, all of them together are a transcription, under their names. MSH-18 names the charset.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from radimpress.reports.headings import Kind, kind_of
from radimpress.reports.modality import guess_modality
from radimpress.reports.readers.rows import RECORD_MAX, Row, decoded
from radimpress.reports.readers.transcription import Part, sectioned

_TEXTS = {"TX", "FT", "ST", "CE", "CWE", ""}
# LOINC's codes of a report's sections.
LOINC = {
    "59776-5": Kind.FINDINGS,
    "18782-3": Kind.FINDINGS,
    "19005-8": Kind.IMPRESSION,
    "55110-1": Kind.IMPRESSION,
    "18785-6": Kind.INDICATION,
    "11329-0": Kind.INDICATION,
    "18834-2": Kind.COMPARISON,
    "55111-9": Kind.TECHNIQUE,
}
# Suffixes of OBX-3 that radiology systems use: diagnostic text, impression, addendum, recommendation.
_SUFFIXES = {"GDT": Kind.FINDINGS, "FIND": Kind.FINDINGS, "IMP": Kind.IMPRESSION, "ADT": Kind.ADDENDUM}
_CHARSETS = {"ASCII": "", "": "", "UNICODE": "utf-8", "UNICODE UTF-8": "utf-8", "UNICODE UTF-16": "utf-16"}
_SEGMENT = re.compile(rb"[A-Z][A-Z0-9]{2}(?=[^A-Za-z0-9\s]|$)")
# Escape sequences (HL7 2.5.1, 2.7): delimiters, line breaks, bytes, and what only changes how text looks. The
# library's own unescape drops words that follow a sequence it does not know, and writes them into the log.
_ESCAPE = re.compile(r"\\([^\\\n]{1,64})\\")
_DELIMITERS = "FSTRE"
_BREAKS = (".br", ".sp", ".ce", ".in", ".ti")
# Where MSH-18 stands, as MSH-1 is the separator itself.
_CHARSET = 17
# Segments around messages, of files and batches.
_ENVELOPE = {b"FHS", b"BHS", b"BTS", b"FTS"}
_CANCELLED = {"X", "I", "O", "S"}
# OBX-11: deleted, not obtained, wrong (as of another patient).
_WITHDRAWN = {"D", "X", "W"}


def read(path: Path) -> Iterator[Row]:
    """Yields the reports of each message."""
    for number, raw in enumerate(_messages(path), start=1):
        place = f"message {number}"
        if len(raw) > RECORD_MAX:
            yield place, f"has more than {RECORD_MAX} bytes"
            continue
        found = _reports(raw)
        if isinstance(found, str):
            yield place, found
            continue
        for at, row in enumerate(found, start=1):
            yield (place if len(found) == 1 else f"{place}, report {at}"), row


def _messages(path: Path) -> Iterator[bytes]:
    """Each message, its segments ended by CR."""
    segments: list[bytes] = []
    size = 0
    for line in _lines(path):
        mark = line[3:4]
        segment = _SEGMENT.match(line) and (not segments or mark == segments[0][3:4])
        # A next message may have a separator of its own, once more behind four other delimiters.
        if segments and line.startswith(b"MSH") and (segment or (mark and mark == line[8:9])):
            yield b"\r".join(segments)
            segments, size = [], 0
        if segment and line[:3] in _ENVELOPE:
            continue
        size += len(line) + 1
        if size > RECORD_MAX + len(line) + 1:
            continue
        if segments and not segment:
            # A line feed within a field, which some systems write; "IMP:" is no segment.
            segments[-1] += b"\\.br\\" + line
        else:
            segments.append(line)
    if segments:
        yield b"\r".join(segments)


def _lines(path: Path) -> Iterator[bytes]:
    """Lines that are not blank, ended by CR or LF, without MLLP's frames."""
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(1 << 16):
            first, *more = re.split(rb"[\r\n]", chunk)
            *whole, rest = (rest + first, *more)
            for line in whole:
                if stripped := line.strip(b"\x0b\x1c \t"):
                    yield stripped
            if len(rest) > RECORD_MAX:
                yield rest
                rest = b""
    if stripped := rest.strip(b"\x0b\x1c \t"):
        yield stripped


def _reports(raw: bytes) -> list[dict[str, object] | str] | str:
    import hl7

    if len(raw) <= len(b"MSH|^~\\&"):
        return "no HL7 message: it does not begin with a whole MSH"
    head = raw.split(b"\r", 1)[0].split(raw[3:4])
    charset = head[_CHARSET].decode("latin-1").split("~")[0].strip() if len(head) > _CHARSET else ""
    text = decoded(raw, _CHARSETS.get(charset, charset.replace("8859/", "iso-8859-")))
    try:
        message = hl7.parse(text)
        kind = _part(message.segment("MSH"), 9)
    # Whatever a parser of other people's messages trips over, the message is set aside and the run goes on.
    except Exception as error:
        return f"not HL7 that can be read ({type(error).__name__})"
    if not kind.startswith("ORU"):
        return f"a message of type {kind[:16]!r}, not ORU^R01"
    made: list[dict[str, object] | str] = []
    patient, header = "", message.segment("MSH")
    order: Any = None
    observed: list[Any] = []
    try:
        for segment in message:
            name = str(segment[0])
            if name in ("PID", "OBR") and order is not None:
                made.append(_report(message, header, patient, order, observed))
                order, observed = None, []
            if name == "PID":
                patient = _part(segment, 3)
            elif name == "OBR":
                order = segment
            elif name == "OBX":
                observed.append(segment)
        if order is not None:
            made.append(_report(message, header, patient, order, observed))
    except Exception as error:
        made.append(f"not HL7 that can be read ({type(error).__name__})")
    return made or "an ORU^R01 message without an OBR segment"


def _report(message: Any, header: Any, patient: str, order: Any, observed: list[Any]) -> dict[str, object] | str:
    if _part(order, 25) in _CANCELLED:
        return f"its status (OBR-25) is {_part(order, 25)!r}: no result"
    parts: list[Part] = []
    for one in observed:
        if _part(one, 2) not in _TEXTS or _part(one, 11) in _WITHDRAWN:
            continue
        text = "\n".join(_text(message, repetition) for repetition in one[5]) if len(one) > 5 else ""
        name = _part(one, 3, 1) or _part(one, 3)
        kind, name = (_kind(one), name) if name or not parts else parts[-1][:2]
        parts.append((kind, name, text))
    exam = _part(order, 4, 1) or _part(order, 4)
    known: dict[str, object] = {
        "id": "/".join(filter(None, (_part(order, 3) or _part(order, 2), _part(header, 10)))),
        "clinic": _part(header, 4),
        "patient": patient,
        "study": _part(order, 3) or _part(order, 2),
        "exam": exam,
        "indication": _part(order, 31, 1) or _part(order, 13),
        "modality": guess_modality(_part(order, 24), exam, _part(order, 4)).value,
    }
    return sectioned(parts, known)


def _kind(observed: Any) -> Kind:
    """What an OBX segment holds, by its identifier."""
    for name in (_part(observed, 3), _part(observed, 3, 1), _part(observed, 3, 3), _part(observed, 3, 4)):
        for word in (name, name.rpartition("&")[2]):
            kind = LOINC.get(word) or _SUFFIXES.get(word.upper()) or kind_of(word)
            if kind is not Kind.OTHER:
                return kind
    return Kind.OTHER


def _part(segment: Any, field: int, component: int = 0) -> str:
    """A component of a field's first repetition; empty where it is not there."""
    try:
        found = segment[field][0]
    except IndexError:
        return ""
    if isinstance(found, str):
        return found.strip() if component == 0 else ""
    try:
        return str(found[component]).strip()
    except IndexError:
        return ""


def _text(message: Any, repetition: Any) -> str:
    delimiters = dict(zip(_DELIMITERS, (message.separators[at] for at in (1, 3, 4, 2)), strict=False))
    delimiters["E"] = message.esc

    def plain(found: re.Match[str]) -> str:
        code = found[1]
        if code in delimiters:
            return str(delimiters[code])
        if code.lower().startswith(_BREAKS):
            return "\n"
        if code[0] == "X" and re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", code[1:]):
            return decoded(bytes.fromhex(code[1:]))
        # Highlighting, and what some system calls its own, is left out; anything else is text.
        return "" if code in ("H", "N") or code[0] in "CMZ" else found[0]

    return _ESCAPE.sub(plain, str(repetition)).replace("\r\n", "\n").replace("\r", "\n")

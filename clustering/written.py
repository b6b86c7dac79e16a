"""`Written`: an impression cut into lines, sentences and words, once for all style features."""

from __future__ import annotations

import re
from dataclasses import dataclass

# No pattern repeats what another repetition beside it can take, so that time grows with the text's length only.
_MARK = re.compile(r"(?:\d{1,3}[.)]|[-–—*•·●▪◦])\s")
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
_STOP = re.compile(r"[.;!?](?=\s|$)|\n")


@dataclass(frozen=True, slots=True)
class Written:
    """An impression, taken apart.

    Attributes:
        text: the impression.
        findings: that it was written from; empty where they are not known.
        lines: that are not blank, without blanks at their ends.
        sentences: that have a word, without the marks and numbers of a list; a line's end ends a sentence.
        words: of Latin letters, in lower case.
    """

    text: str
    findings: str
    lines: tuple[str, ...]
    sentences: tuple[str, ...]
    words: tuple[str, ...]


def take_apart(impression: str, findings: str = "") -> Written:
    """Cuts an impression into what style features are counted on."""
    lines = tuple(line.strip() for line in impression.splitlines() if line.strip())
    bare = (_MARK.sub("", line, count=1) if _MARK.match(line) else line for line in lines)
    parts = [part.strip() for line in bare for part in _STOP.split(line)]
    sentences = tuple(part for part in parts if _WORD.search(part))
    return Written(impression, findings, lines, sentences, tuple(map(str.lower, _WORD.findall(impression))))


def words(listed: str) -> frozenset[str]:
    """A set of words, from one text with blanks between them."""
    return frozenset(listed.split())

"""Which words of an impression are not in the reference, and which of the reference it leaves out.

Words are compared as difflib does (Ratcliff and Obershelp 1988), without case and punctuation; the marks
of a list are form and no words. "Small effusion, right." beside "1. Small right effusion." differs in
where "right" stands, and in nothing else.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import NamedTuple

_MARK = re.compile(r"^[ \t]*(?:\d+[.)]|[-*•])[ \t]+", re.MULTILINE)
# A number keeps its decimals: 1.5 and 15 are different words, and so are 1.5 and 1.6.
_WORD = re.compile(r"\w+(?:[.,]\d+)*")


class Change(NamedTuple):
    """One place where a text and its reference differ; offsets in characters.

    Attributes:
        start, stop: the words that the text adds; equal where it only leaves out.
        without: from here in the reference ...
        until: ... to here are the words that the text leaves out; equal where it only adds.
    """

    start: int
    stop: int
    without: int
    until: int


def differences(text: str, reference: str) -> tuple[Change, ...]:
    """Where `text` differs from `reference`, in the order of the text."""
    ours, theirs = _words(text), _words(reference)
    matcher = SequenceMatcher(None, [word for word, _, _ in theirs], [word for word, _, _ in ours], autojunk=False)
    return tuple(
        Change(*_span(ours, first, last, len(text)), *_span(theirs, lost, kept, len(reference)))
        for kind, lost, kept, first, last in matcher.get_opcodes()
        if kind != "equal"
    )


def _words(text: str) -> list[tuple[str, int, int]]:
    # Blanked and not cut out, so that offsets stay those of the text.
    plain = _MARK.sub(lambda mark: " " * len(mark[0]), text)
    return [(word[0].casefold(), *word.span()) for word in _WORD.finditer(plain)]


def _span(words: list[tuple[str, int, int]], first: int, last: int, length: int) -> tuple[int, int]:
    """Characters of some words; of none, the place where they would stand."""
    if first < last:
        return words[first][1], words[last - 1][2]
    place = words[first][1] if first < len(words) else words[-1][2] if words else length
    return place, place

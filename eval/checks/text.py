"""A report's text as words with their places, and sentences; read once, used by every check."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

_TOKEN = re.compile(r"\d+(?:\.\d+)*|\.\d+|[^\W\d_]+(?:['’][^\W\d_]+)?\d*|[^\s]", re.IGNORECASE)
_STOPS = frozenset(".;!?")
# A full stop after these ends no sentence.
_ABBREVIATIONS = frozenset(["dr", "mr", "mrs", "ms", "vs", "approx"])


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words `first` up to, not including, `last` of a text."""

    first: int
    last: int


class Text:
    """A text's words.

    Attributes:
        raw: as written.
        words: in lower case; numbers whole, hyphens and other signs as words of their own.
        sentences: parts between full stops, semicolons and line ends that end something.
    """

    __slots__ = ("__dict__", "_matches", "raw", "sentences", "words")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.words: list[str] = []
        self.sentences: list[Sentence] = []
        self._matches: list[re.Match[str]] = []
        words, matches = self.words, self._matches
        found = list(_TOKEN.finditer(raw))
        tokens = [match[0].lower() for match in found]
        # Only where one of these stands can a sentence end.
        marks = {at for at, token in enumerate(tokens) if token in _STOPS}
        if "\n" in raw:
            marks |= {at for at in range(1, len(found)) if "\n" in raw[found[at - 1].end() : found[at].start()]}
        first = taken = 0
        for at in sorted(marks):
            words += tokens[taken:at]
            matches += found[taken:at]
            taken = at
            ends = tokens[at] in _STOPS and _ends(raw, found[at].end(), words)
            if ends or _begins_line(raw, found, at):
                if len(words) > first:
                    self.sentences.append(Sentence(first, len(words)))
                first = len(words)
            if ends:
                taken = at + 1
        words += tokens[taken:]
        matches += found[taken:]
        if len(words) > first:
            self.sentences.append(Sentence(first, len(words)))

    @cached_property
    def starts(self) -> list[int]:
        """Each word's first character, as an offset in `raw`."""
        return [match.start() for match in self._matches]

    @cached_property
    def stops(self) -> list[int]:
        """Where each word ends in `raw`."""
        return [match.end() for match in self._matches]

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every word that occurs."""
        return frozenset(self.words)

    @cached_property
    def stems(self) -> list[str]:
        """Each word without its plural."""
        return [stem(word) if word[-1] in "sai" else word for word in self.words]

    @cached_property
    def sentence_of(self) -> list[int]:
        """For each word, its sentence."""
        return [at for at, part in enumerate(self.sentences) for _ in range(part.first, part.last)]

    def sentence_at(self, offset: int) -> int:
        """The sentence that the character at `offset` belongs to; the first where there is none before."""
        at = max(0, bisect_right(self.starts, offset) - 1)
        return self.sentence_of[at] if self.words else 0

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Character offsets of the words `first` up to, not including, `last`."""
        return self._matches[first].start(), self._matches[last - 1].end()


def _begins_line(raw: str, found: list[re.Match[str]], at: int) -> bool:
    """Whether a token begins a line that goes on with no sentence of the line before."""
    start = found[at].start()
    return at > 0 and "\n" in raw[found[at - 1].end() : start] and not raw[start].islower()


def _ends(raw: str, stop: int, words: list[str]) -> bool:
    """Whether the sign before `stop` ends a sentence."""
    if raw[stop - 1] != ".":
        return True
    if words and words[-1] in _ABBREVIATIONS:
        return False
    return stop >= len(raw) or not (raw[stop].islower() or raw[stop].isdigit())


_IRREGULAR = {
    "metastases": "metastasis",
    "diverticula": "diverticulum",
    "thrombi": "thrombus",
    "emboli": "embolus",
    "calculi": "calculus",
    "vertebrae": "vertebra",
    "bronchi": "bronchus",
    "testes": "testis",
    "ova": "ovum",
    "foci": "focus",
    "pelves": "pelvis",
    "feet": "foot",
    "hemithoraces": "hemithorax",
    "calves": "calf",
    "menisci": "meniscus",
    "humeri": "humerus",
    "ureters": "ureter",
}
_SINGULAR = ("ss", "us", "is", "as")


def stem(word: str) -> str:
    """A word without its plural's ending; good enough to compare words with."""
    if len(word) < 4 or word[-1] not in "sai":
        return word
    known = _IRREGULAR.get(word)
    if known:
        return known
    if word[-1] != "s" or word.endswith(_SINGULAR):
        return word
    if word.endswith("ies") and len(word) > 5:
        return word[:-3] + "y"
    if word.endswith("oses") or (word.endswith("ases") and len(word) > 6):
        return word[:-2] + "is"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1]

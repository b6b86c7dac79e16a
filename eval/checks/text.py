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
        starts, stops: each word's character offsets in `raw`.
        sentences: parts between full stops, semicolons and line ends that end something.
    """

    __slots__ = ("__dict__", "raw", "sentences", "starts", "stops", "words")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.words: list[str] = []
        self.starts: list[int] = []
        self.stops: list[int] = []
        self.sentences: list[Sentence] = []
        words, starts, stops = self.words, self.starts, self.stops
        first, end = 0, 0
        for match in _TOKEN.finditer(raw):
            word, (start, stop) = match[0].lower(), match.span()
            if start > end and len(words) > first and "\n" in raw[end:start] and not raw[start].islower():
                self.sentences.append(Sentence(first, len(words)))
                first = len(words)
            end = stop
            if word in _STOPS and _ends(raw, stop, words):
                if len(words) > first:
                    self.sentences.append(Sentence(first, len(words)))
                first = len(words)
                continue
            words.append(word)
            starts.append(start)
            stops.append(stop)
        if len(words) > first:
            self.sentences.append(Sentence(first, len(words)))

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every word that occurs."""
        return frozenset(self.words)

    @cached_property
    def stems(self) -> list[str]:
        """Each word without its plural."""
        return [stem(word) for word in self.words]

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
        return self.starts[first], self.stops[last - 1]


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

"""Style features of one impression: what a radiologist would name, each a number in [0, 1]."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_NUMBER = re.compile(r"^\s*\d+\s*[.)]\s")
_BULLET = re.compile(r"^\s*[-*•]\s")
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
_SENTENCE = re.compile(r"[.;!?]+(?:\s|$)|\n+")
_SMALL_WORDS = frozenset(
    [
        "a",
        "an",
        "the",
        "is",
        "are",
        "was",
        "were",
        "has",
        "have",
        "been",
        "there",
        "with",
        "of",
        "in",
        "to",
        "this",
        "that",
        "which",
    ]
)
_RECOMMENDS = re.compile(r"\b(recommend\w*|advise\w*|suggest\w*|consider|follow-?up|correlat\w*)\b", re.IGNORECASE)
_HEDGES = re.compile(
    r"\b(may|might|possibl\w*|probabl\w*|likely|suspicious|cannot be excluded|suggestive)\b", re.IGNORECASE
)


def _share(lines: Sequence[str], pattern: re.Pattern[str]) -> float:
    return sum(bool(pattern.match(line)) for line in lines) / max(1, len(lines))


def numbered(text: str) -> float:
    """Share of lines that begin with a number."""
    return _share(_lines(text), _NUMBER)


def bulleted(text: str) -> float:
    """Share of lines that begin with a bullet."""
    return _share(_lines(text), _BULLET)


def listed(text: str) -> float:
    """1 when it is a list of any kind."""
    return float(numbered(text) + bulleted(text) > 0.5)


def upper_case(text: str) -> float:
    """Share of upper case among letters."""
    letters = [letter for letter in text if letter.isalpha()]
    return sum(letter.isupper() for letter in letters) / max(1, len(letters))


def fullness(text: str) -> float:
    """Small words (articles, auxiliaries, prepositions) against 30% of words; low is telegraphic."""
    words = [word.lower() for word in _WORD.findall(text)]
    return min(1.0, sum(word in _SMALL_WORDS for word in words) / max(1, len(words)) / 0.3)


def sentence_length(text: str) -> float:
    """Mean words a sentence, 20 being 1."""
    sentences = [part for part in _SENTENCE.split(text) if _WORD.search(part)]
    return min(1.0, len(_WORD.findall(text)) / max(1, len(sentences)) / 20)


def length(text: str) -> float:
    """Characters, 400 being 1."""
    return min(1.0, len(text) / 400)


def recommends(text: str) -> float:
    """1 when it recommends something."""
    return float(bool(_RECOMMENDS.search(text)))


def hedges(text: str) -> float:
    """1 when it hedges."""
    return float(bool(_HEDGES.search(text)))


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


FEATURES: tuple[Callable[[str], float], ...] = (
    numbered,
    bulleted,
    listed,
    upper_case,
    fullness,
    sentence_length,
    length,
    recommends,
    hedges,
)
NAMES = tuple(feature.__name__ for feature in FEATURES)
# How much each counts when clinics are compared: the mark and the case of a list are habits within
# one way of writing, the list itself and full sentences are ways of writing.
WEIGHTS: Vector = np.array([0.5, 0.5, 1.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.5])


def style(text: str) -> Vector:
    """All features of one impression; shape (len(NAMES),)."""
    return np.array([feature(text) for feature in FEATURES])

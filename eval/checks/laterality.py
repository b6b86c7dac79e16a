"""A side in the impression that contradicts the findings (ReXVal c, wrong location).

For each side in the impression, the words that follow it are looked up in the findings: where they
stand only beside the opposite side, the impression contradicts. Does not cover sides that the
findings never state.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[a-z]+")
_SENTENCE = re.compile(r"[.;\n]+")
_SIDES = {"left": "left", "right": "right", "bilateral": "both", "both": "both", "bilaterally": "both"}
_OPPOSITE = {"left": "right", "right": "left"}
_REACH = 4
_EMPTY = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "in",
        "with",
        "and",
        "or",
        "is",
        "are",
        "at",
        "on",
        "to",
        "no",
        "there",
        "than",
        "side",
        "sided",
    ]
)


def check(findings: str, impression: str) -> str | None:
    """Notices a left that the findings say is right, or the reverse."""
    beside = _sides_by_word(findings)
    for sentence in _SENTENCE.split(impression.lower()):
        words = _WORD.findall(sentence)
        for at, word in enumerate(words):
            opposite = _OPPOSITE.get(_SIDES.get(word, ""))
            if opposite is None:
                continue
            near = [other for other in words[at + 1 : at + 1 + _REACH] if other not in _EMPTY]
            known = [beside[other] for other in near if other in beside]
            if known and all(sides == {opposite} for sides in known):
                return "a side contradicts the findings"
    return None


def _sides_by_word(findings: str) -> dict[str, set[str]]:
    """For each word of the findings, the sides that its sentences state."""
    beside: dict[str, set[str]] = {}
    for sentence in _SENTENCE.split(findings.lower()):
        words = _WORD.findall(sentence)
        sides = {_SIDES[word] for word in words if word in _SIDES}
        for word in set(words) - _EMPTY - set(_SIDES):
            if sides:
                beside.setdefault(word, set()).update(sides)
    return beside

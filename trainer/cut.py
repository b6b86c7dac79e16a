"""Which sentences of findings that are too long for training go first.

A rule that a person can follow: sentences that say that something is normal go first, the last of them
before the others; then the remaining sentences from the end. Numbers, change and doubt make a sentence
informative whatever else it says, and so does what it finds beside: "mild congestion without edema". Serving
never cuts: it refuses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_END = re.compile(r"(?<=[.!?;])\s+|\n+")
_NORMAL = re.compile(
    r"\b(?:no|not|without|negative|normal|unremarkable|clear|intact|patent|preserved|maintained)\b",
    re.IGNORECASE,
)
_TELLS = re.compile(
    r"\d|\b(?:change[ds]?|interval|new|larger|smaller|increas\w*|decreas\w*|stable|but|except|however|cannot|"
    r"longer|suspicious|possible|possibl[ey]|probabl[ey]|likely|suggest\w*|concern\w*|not (?:clear|normal|intact))\b",
    re.IGNORECASE,
)
# What "without" and its like are said of, which may be a finding; "lungs are without" names none.
_BESIDE = re.compile(r",\s*(?:(?:with|and|but) )?no\b|\b(?:with|and|but) no\b|\bwithout\b", re.IGNORECASE)
_NO_FINDING = re.compile(r"(?:specifically|otherwise|.*\b(?:is|are|was|were))?[\s,]*", re.IGNORECASE | re.DOTALL)
_WITH = re.compile(r"\bwith\b", re.IGNORECASE)


def is_normal(sentence: str) -> bool:
    """Whether a sentence only says that something is as it should be."""
    if _TELLS.search(sentence) or not _NORMAL.search(sentence):
        return False
    before = _BESIDE.split(sentence, maxsplit=1)[0]
    said = [] if _NO_FINDING.fullmatch(before) else [before]
    return all(map(_NORMAL.search, (*said, *_WITH.split(sentence)[1:])))


class Cuts(Sequence[str]):
    """The findings with one sentence left out, with two, and so on to the last one that is left."""

    def __init__(self, findings: str) -> None:
        self._sentences = [part.strip() for part in _END.split(findings) if part.strip()]
        normal = [at for at, sentence in enumerate(self._sentences) if is_normal(sentence)]
        telling = sorted(set(range(len(self._sentences))) - set(normal))
        # Back to front: normal ones are given up first, the last before the others.
        self._order = [*reversed(normal), *reversed(telling)][:-1]

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, at: Any) -> Any:
        left_out = set(self._order[: range(len(self))[at] + 1])
        return " ".join(sentence for place, sentence in enumerate(self._sentences) if place not in left_out)

"""An impression that is empty, or loops: the same four words in a row more than three times.

Does not cover one that merely repeats a statement once.
"""

from __future__ import annotations

import re
from collections import Counter

_SPAN = 4
_TIMES = 3


def check(findings: str, impression: str) -> str | None:
    """Notices an empty or looping impression."""
    del findings
    words = re.findall(r"\w+", impression.lower())
    if not words:
        return "the impression has no words"
    spans = Counter(tuple(words[at : at + _SPAN]) for at in range(len(words) - _SPAN + 1))
    if spans and max(spans.values()) > _TIMES:
        return "the impression repeats itself"
    return None

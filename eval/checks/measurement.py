"""A measurement in the impression that the findings do not hold (ReXVal d, wrong severity).

"1.2 cm" and "12 mm" are one measurement. Does not cover numbers without a unit of length.
"""

from __future__ import annotations

import re

_NUMBER = r"\d*\.?\d+"
_BY = r"[x×]\s*"
_LENGTH = re.compile(rf"({_NUMBER})\s*(?:{_BY}({_NUMBER})\s*)?(?:{_BY}({_NUMBER})\s*)?-?(mm|cm)\b", re.IGNORECASE)


def check(findings: str, impression: str) -> str | None:
    """Notices lengths that stand in the impression only."""
    foreign = lengths(impression) - lengths(findings)
    if foreign:
        return f"{len(foreign)} measurement(s) do not stand in the findings"
    return None


def lengths(text: str) -> set[float]:
    """The lengths in a text, in millimetres."""
    return {
        round(float(number) * (10 if unit.lower() == "cm" else 1), 2)
        for *numbers, unit in _LENGTH.findall(text)
        for number in numbers
        if number
    }

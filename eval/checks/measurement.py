r"""A measurement, level or category in the impression that the report does not hold (ReXVal d, wrong severity).

"1.2 cm" and "12 mm" are one measurement, and 12.4 mm may be rounded to 1.2 cm. Lengths, volumes, HU,
SUV, percents, angles, pressures and rates are compared by value; RADS categories, grades and
vertebral levels by name, where "C4-C7" holds C5 too.

    "12 cm nodule."  findings "A 12 mm nodule."        noticed
    "L3-L4 disc."    findings "L4-5 disc."             noticed
    "1 cm nodule."   findings "A 10 mm nodule."        silent

Does not cover which of two lesions has which size, nor intervals of time.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from radimpress.eval.checks.notice import Notice
from radimpress.eval.checks.reading import Reading

# Blanks and digits are bounded: a page of them takes no longer.
_NUMBER = r"(?:\d{1,9}(?:,\d{3}){1,3}(?:\.\d{1,9})?|\d{1,12}(?:\.\d{1,9})?|\.\d{1,9})(?!\d)"
_BLANK = r"\s{0,3}"
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), ("length", 1.0)),
    **dict.fromkeys(("cm", "cms", "centimeter", "centimeters", "centimetre", "centimetres"), ("length", 10.0)),
    **dict.fromkeys(("inch", "inches"), ("length", 25.4)),
    **dict.fromkeys(("ml", "cc", "milliliter", "milliliters"), ("volume", 1.0)),
    **dict.fromkeys(("liter", "liters", "litre", "litres"), ("volume", 1000.0)),
    **dict.fromkeys(("hu", "hounsfield"), ("density", 1.0)),
    **dict.fromkeys(("%", "percent"), ("share", 1.0)),
    **dict.fromkeys(("degree", "degrees", "°"), ("angle", 1.0)),
    "mmhg": ("pressure", 1.0),
    "bpm": ("rate", 1.0),
}
# In ASCII: beyond it "s" is also the long s, which no lower case brings back.
_UNIT = "(?a:" + "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True)) + ")"
_QUANTITY = re.compile(
    rf"(?<![\w.])({_NUMBER}(?:(?:{_BLANK}(?:-{_BLANK})?{_UNIT})?{_BLANK}(?:x|×|by|\*|-|to|and|,){_BLANK}{_NUMBER}){{0,3}})"
    rf"{_BLANK}(?:-{_BLANK})?({_UNIT})(?![a-z])",
    re.IGNORECASE,
)
_NUMBERS = re.compile(_NUMBER)
_DIGIT = re.compile(r"\d")
_SUV = re.compile(r"\bSUV\b\D{0,20}?(\d{1,9}(?:\.\d{1,9})?)", re.IGNORECASE)
_RADS = re.compile(
    r"\b(bi|li|pi|ti|lung|o|nd|c|cad|lr|ni)[\s-]?rads?\b\W{0,3}(?:category|score|assessment|v\d\S{0,8})?\W{0,3}([0-6][a-cx]?)\b",
    re.IGNORECASE,
)
_GRADE = re.compile(r"\b(grade|stage|type)\W{1,2}(\d|iv|i{1,3}|v)\b", re.IGNORECASE)
_LEVEL = re.compile(
    r"\b([clts])(\d{1,2})(?:\s{0,3}(?:-|–|/|through|to|thru)\s{0,3}([clts]?)(\d{1,2}))?\b"
    r"(?![\s-]{0,3}(?:weighted|hyper|hypo|signal|image|sequence|flair|and t\d))",
    re.IGNORECASE,
)
_SPINE = {**{f"c{n}": n for n in range(1, 9)}, **{f"t{n}": 7 + n for n in range(1, 13)}}
_SPINE.update({f"l{n}": 19 + n for n in range(1, 7)} | {f"s{n}": 25 + n for n in range(1, 6)})
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5"}


class Quantity(NamedTuple):
    """A value in its kind's own unit, and half of what its last digit stands for."""

    kind: str
    value: float
    rounding: float
    start: int
    stop: int


def check(reading: Reading) -> Notice | None:
    """Notices quantities, levels and categories that stand in the impression only."""
    text = reading.text
    if not _DIGIT.search(text) and "grade" not in text.lower():
        return None
    stated = quantities(text)
    if stated:
        known = quantities(reading.source)
        for quantity in stated:
            if not any(_same(quantity, other) for other in known):
                return Notice(f"a {quantity.kind} does not stand in the report", quantity.start, quantity.stop)
    for pattern, name in ((_RADS, "category"), (_GRADE, "grade")):
        for match in pattern.finditer(text):
            if _name(match) not in {_name(other) for other in pattern.finditer(reading.source)}:
                return Notice(f"a {name} does not stand in the report", *match.span())
    return _levels(reading)


def quantities(text: str) -> list[Quantity]:
    """The quantities in a text."""
    found = []
    for match in _QUANTITY.finditer(text):
        kind, factor = _UNITS[match[2].lower()]
        for number in _NUMBERS.findall(match[1]):
            decimals = len(number.partition(".")[2])
            value = float(number.replace(",", ""))
            found.append(Quantity(kind, value * factor, 0.5 * 10**-decimals * factor, *match.span()))
    for match in _SUV.finditer(text):
        decimals = len(match[1].partition(".")[2])
        found.append(Quantity("SUV", float(match[1]), 0.5 * 10**-decimals, *match.span()))
    return found


def _same(stated: Quantity, known: Quantity) -> bool:
    if stated.kind != known.kind:
        return False
    # A rounded value may be off by its last digit's half, but 1 cm is not 6 mm.
    off = abs(stated.value - known.value)
    return off < 0.001 or (known.rounding < stated.rounding and off <= min(stated.rounding, 0.1 * known.value) + 0.001)


def _name(match: re.Match[str]) -> tuple[str, str]:
    value = match[2].lower()
    return match[1].lower(), _ROMAN.get(value, value)


def _levels(reading: Reading) -> Notice | None:
    stated = list(_LEVEL.finditer(reading.text))
    if not stated:
        return None
    known = {level for match in _LEVEL.finditer(reading.source) for level in _run(match)}
    for match in stated:
        levels = _run(match)
        if levels and not {levels[0], levels[-1]} <= known:
            return Notice("a vertebral level does not stand in the report", *match.span())
    return None


def _run(match: re.Match[str]) -> list[int]:
    """The levels from the first to the last that a match names; none when it is no level."""
    first = _SPINE.get(f"{match[1]}{match[2]}".lower())
    if first is None:
        return []
    if not match[4]:
        # T1 and T2 alone are weightings as often as vertebrae.
        return [] if match[0].lower() in {"t1", "t2"} else [first]
    last = _SPINE.get(f"{match[3] or match[1]}{match[4]}".lower())
    if last is None and not match[3]:
        last = _SPINE.get(f"s{match[4]}")
    return list(range(first, last + 1)) if last is not None and last >= first else [first]

"""Style features of one impression: what a radiologist would name, each a number in [0, 1].

A feature counts a habit of writing: its form, its length, its words. What is said of the patient moves some of
them too (a clinic that scans nodules writes more sizes); that is taken away later, by modality and exam.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from radimpress.clustering.written import Written, take_apart, words

Vector = NDArray[np.float64]

_NUMBER = re.compile(r"\d+\s*[.)]\s")
_BULLET = re.compile(r"[-–—*•·●▪◦]\s")
_HEADER = re.compile(r"(?:\d{1,3}[.)]\s+|[-–—*•·●▪◦]\s+)?[A-Z][A-Za-z/&() -]{1,30}:(?:\s|$)")
_SMALL = words("a an the is are was were has have been there with of in to this that which")
_FULL = words("a an the is are was were has have been there this these that we i")
_RECOMMENDS = re.compile(
    r"\b(recommend\w*|advise\w*|suggest(?!iv)\w*|consider|follow-?up|correlat\w*)\b", re.IGNORECASE
)
_HEDGES = re.compile(
    r"\b(may|might|could(?! not)|possibl\w*|probabl\w*|presumabl\w*|perhaps|(?:un)?likely|suspici\w+|suspect\w*"
    r"|questionable|equivocal|suggestive|concerning for|cannot (?:be excluded|exclude))\b",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(
    r"(?:there\s(?:is|are|was|were)\s)?(?:otherwise\s)?(?:no|without|negative|normal|unremarkable)\b"
    r"|.*\b(?:unremarkable|normal|negative)\W*$",
    re.IGNORECASE,
)
_EVIDENCE = re.compile(r"\b(?:no|without)\s(?:\w{1,20}\s){0,2}evidence\b", re.IGNORECASE)
_SIZE = r"(?<![\d.,])\d{1,4}(?:[.,]\d{1,3})?[\s-]{0,2}"
_MM = re.compile(_SIZE + r"(?:mm\b|millimet)", re.IGNORECASE)
_CM = re.compile(_SIZE + r"(?:cm\b|centimet)", re.IGNORECASE)
_CROSS = re.compile(r"\d\s{0,2}(?:mm|cm)?\s{0,2}[x×]\s{0,2}\d", re.IGNORECASE)
_BY = re.compile(r"\d\s{0,2}(?:mm|cm)?\s{1,2}by\s{1,2}\d", re.IGNORECASE)
_DECIMAL = re.compile(
    r"(?<![\d.,])\d{1,4}[.,]\d{1,3}[\s-]{0,2}(?:mm|cm|millimet|centimet|[x×]\s{0,2}\d)", re.IGNORECASE
)
_COMPARES = re.compile(
    r"\b(compar(?:ed|ison|ing)|prior|previous(?:ly)?|(?:earlier|last|old|outside)\s(?:exam\w*|stud\w+|films?))\b",
    re.IGNORECASE,
)
_CHANGE = re.compile(r"\b(unchanged|no (?:significant |interval )?change|stable|interval|persist\w*)\b", re.IGNORECASE)
_PERSON = re.compile(
    r"\b(?:we|our|my|i(?= (?:would|recommend|suggest|advise|suspect|favou?r|think|believe|do|see|have)\b))\b",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[A-Za-z0-9]+(?:/[A-Za-z]?(?![A-Za-z]))?")
# Names of what is scanned with, and numbers: everybody writes these so.
_PLAIN = words("CT MR MRI PET US XR AP PA II III IV VI VII VIII IX XI XII")
_SHORT = words(
    "w/ w/o s/p c/w r/o b/l h/o d/t f/u y/o rt lt bilat abn dz wnl neg pos mod sev eff infil fx hx dx rec susp poss "
    "prob cxr rul rml rll lul lll ruq luq rlq llq sbo dvt pe ptx chf copd ggo ivc svc djd oa uti cva ich sah nph lad "
    "hcc ca mets nl unremark approx asym asymm incr decr eval abd"
)


def _share(hits: Iterable[bool], count: int, full: float = 1.0) -> float:
    return min(1.0, sum(hits) / max(1, count) / full)


def _has(pattern: re.Pattern[str], of: Written) -> float:
    return float(pattern.search(of.text) is not None)


def numbered(of: Written) -> float:
    """Share of lines that begin with a number."""
    return _share((bool(_NUMBER.match(line + " ")) for line in of.lines), len(of.lines))


def bulleted(of: Written) -> float:
    """Share of lines that begin with a bullet or a dash."""
    return _share((bool(_BULLET.match(line)) for line in of.lines), len(of.lines))


def listed(of: Written) -> float:
    """1 when it is a list of any kind: more than half of its lines have a mark."""
    return float(numbered(of) + bulleted(of) > 0.5)


def line_count(of: Written) -> float:
    """Lines, 6 being 1."""
    return min(1.0, len(of.lines) / 6)


def headed(of: Written) -> float:
    """Share of lines that begin with a header, as in "Lungs:"."""
    return _share((bool(_HEADER.match(line)) for line in of.lines), len(of.lines))


def closed(of: Written) -> float:
    """Share of lines that end with a full stop."""
    return _share((line.endswith(".") for line in of.lines), len(of.lines))


def upper_case(of: Written) -> float:
    """Share of upper case among letters."""
    letters = [letter for letter in of.text if letter.isalpha()]
    return _share((letter.isupper() for letter in letters), len(letters))


def fullness(of: Written) -> float:
    """Small words (articles, auxiliaries, prepositions) against 30% of words; low is telegraphic."""
    return _share((word in _SMALL for word in of.words), len(of.words), 0.3)


def telegraphic(of: Written) -> float:
    """Share of sentences without an article, an auxiliary or a pronoun."""
    clipped = (_FULL.isdisjoint(sentence.lower().split()) for sentence in of.sentences)
    return _share(clipped, len(of.sentences))


def sentence_length(of: Written) -> float:
    """Mean words a sentence, 20 being 1."""
    return min(1.0, len(of.words) / max(1, len(of.sentences)) / 20)


def length(of: Written) -> float:
    """Characters, 400 being 1."""
    return min(1.0, len(of.text) / 400)


def compression(of: Written) -> float:
    """Characters against those of the findings, as many being 1; 0 where there are no findings."""
    return min(1.0, len(of.text) / len(of.findings)) if of.findings else 0.0


def recommends(of: Written) -> float:
    """1 when it recommends something."""
    return _has(_RECOMMENDS, of)


def hedges(of: Written) -> float:
    """1 when it hedges."""
    return _has(_HEDGES, of)


def first_person(of: Written) -> float:
    """1 when it says "we" or "I"."""
    return _has(_PERSON, of)


def opens_negative(of: Written) -> float:
    """1 when its first sentence is a negative statement, as in "No acute abnormality"."""
    return float(bool(of.sentences) and _NEGATIVE.match(of.sentences[0]) is not None)


def closes_negative(of: Written) -> float:
    """1 when it has several sentences and the last is a negative statement."""
    return float(len(of.sentences) > 1 and _NEGATIVE.match(of.sentences[-1]) is not None)


def says_no_evidence(of: Written) -> float:
    """1 when it says "no evidence of" where "no" would do."""
    return _has(_EVIDENCE, of)


def millimetres(of: Written) -> float:
    """1 when it gives a size in millimetres."""
    return _has(_MM, of)


def centimetres(of: Written) -> float:
    """1 when it gives a size in centimetres."""
    return _has(_CM, of)


def crossed_sizes(of: Written) -> float:
    """1 when it gives a size across and along with a cross, as in "3 x 4 mm"."""
    return _has(_CROSS, of)


def worded_sizes(of: Written) -> float:
    """1 when it gives a size across and along in words, as in "3 by 4 mm"."""
    return _has(_BY, of)


def decimals(of: Written) -> float:
    """1 when it gives a size with a decimal."""
    return _has(_DECIMAL, of)


def compares(of: Written) -> float:
    """1 when it names an earlier examination."""
    return _has(_COMPARES, of)


def tells_change(of: Written) -> float:
    """1 when it says stable, unchanged, interval or the like."""
    return _has(_CHANGE, of)


def abbreviated(of: Written) -> float:
    """Abbreviations against 20% of words; where all is upper case, only those that are well known."""
    tokens, mixed = _TOKEN.findall(of.text), upper_case(of) < 0.7
    count = sum(token.lower() in _SHORT or (mixed and _capitals(token)) for token in tokens)
    return min(1.0, count / max(1, len(of.words)) / 0.2)


def _capitals(token: str) -> bool:
    return 2 <= len(token) <= 5 and token.isupper() and token not in _PLAIN and sum(map(str.isalpha, token)) > 1


FEATURES: tuple[Callable[[Written], float], ...] = (
    numbered,
    bulleted,
    listed,
    line_count,
    headed,
    closed,
    upper_case,
    fullness,
    telegraphic,
    sentence_length,
    length,
    compression,
    recommends,
    hedges,
    first_person,
    opens_negative,
    closes_negative,
    says_no_evidence,
    millimetres,
    centimetres,
    crossed_sizes,
    worded_sizes,
    decimals,
    compares,
    tells_change,
    abbreviated,
)
NAMES = tuple(feature.__name__ for feature in FEATURES)
# How much each counts when clinics are compared: the mark and the case of a list are habits within
# one way of writing, the list itself and full sentences are ways of writing.
_WEIGHT = {"numbered": 0.5, "bulleted": 0.5, "upper_case": 0.5, "recommends": 0.5, "hedges": 0.5} | dict.fromkeys(
    ("listed", "fullness", "sentence_length", "length"), 1.0
)
WEIGHTS: Vector = np.array([_WEIGHT.get(name, 0.0) for name in NAMES])


def style(impression: str, findings: str = "") -> Vector:
    """All features of one impression; shape (len(NAMES),)."""
    of = take_apart(impression, findings)
    return np.array([feature(of) for feature in FEATURES])

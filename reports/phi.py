"""What looks like it identifies somebody: names, dates, numbers and addresses of people.

XXXX and other marks of de-identification, and placeholders such as "Dr. X", are none. Does not cover names without a
title or a usual first name before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)"
)
_FIRST = _listed(
    "james john robert michael william david richard joseph thomas charles christopher daniel matthew anthony "
    "steven paul andrew joshua kenneth kevin brian george timothy ronald edward jason jeffrey ryan jacob gary "
    "nicholas eric jonathan stephen larry justin scott brandon benjamin samuel gregory alexander patrick frank "
    "raymond jack dennis jerry tyler aaron jose adam nathan henry peter mary patricia jennifer linda elizabeth "
    "barbara susan jessica sarah karen lisa nancy betty sandra margaret ashley kimberly emily donna michelle carol "
    "amanda melissa deborah stephanie rebecca sharon laura cynthia dorothy amy kathleen angela shirley emma brenda "
    "pamela nicole anna samantha katherine christine helen debra rachel carolyn janet maria catherine heather diane "
    "olivia julie joyce victoria jane alice martha juan carlos luis ahmed mohammed wei maria elena ivan"
)
_NAMES = "|".join(written for name in sorted(_FIRST) for written in (name.capitalize(), name.upper()))
_TITLES = (
    # MR is a modality and MS a disease; a person is Mr or MR.
    r"\b(?:Mr|Ms|Miss|(?i:m[rs])\.|(?i:dr|mrs|prof|doctor|professor|nurse)\b\.?)\s+((?:[A-Z]\.?\s+)*[A-Z][A-Za-z'’-]+)"
    r"|\b(?i:patient(?: name)?|name|physician|provider|signed by|dictated by|attending|"
    r"discussed with|reported to|spoke with)"
    r"\s*:\s*([A-Z][A-Za-z'’-]+(?:,?\s+[A-Z][A-Za-z'’-]+)?)"
)
_DEGREES = r"|\b([A-Z][a-z]+(?:\s+[A-Z][a-z]+)?,?\s+(?:M\.?D\.?|D\.?O\.?|R\.?N\.?|PA-C|FRCR))(?![A-Za-z])"
_ADDRESSED = re.compile(
    rf"{_TITLES}"
    rf"|\b((?:{_NAMES})\s+(?:[A-Z]\.?\s+)?[A-Z][A-Za-z'’-]+)"
    rf"|\b([A-Z][a-z'’-]+,\s+(?:{_NAMES}))\b"
    rf"{_DEGREES}"
)
_TITLED = re.compile(f"{_TITLES}{_DEGREES}")
_NUMBERED = re.compile(
    rf"""
    (?<![\w.+-])[\w.+-]{{1,64}}@[\w-]{{1,64}}\.[\w.]+
    |https?://\S+|\bwww\.\S+
    |\b(?:mrn|medical\ record(?:\ (?:number|no))?|accession(?:\ (?:number|no|\#))?|acc|patient\ id|pt\ id|dob|
        date\ of\ birth|ssn|chart|account|case\ (?:number|no)|record\ (?:number|no)|encounter)
        \s{{0,3}}(?:(?:\#|no\.?|number|id)\s{{0,3}})?(?:[:\#=]\s{{0,3}})?(?=[\w/-]{{0,40}}\d)[A-Z]{{0,4}}[\d/-][\w/-]{{2,}}
    |\b\d{{3}}-\d{{2}}-\d{{4}}\b
    |(?<!\d)(?:\+?\d{{1,2}}[\s.-]?)?\(?\d{{3}}\)?[\s.-]\d{{3}}[\s.-]\d{{4}}\b
    |\b(?:call|phone|telephone|tel|pager?|fax|ext|extension|contact|reach)\b\D{{0,16}}\d{{3}}[-.\ ]?\d{{4}}\b
    |\b\d{{1,2}}[/.-]\d{{1,2}}[/.-](?:19|20)?\d{{2}}\b
    |\b(?:19|20)\d{{2}}[/.-]\d{{1,2}}[/.-]\d{{1,2}}\b
    |\b{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+(?:19|20)\d{{2}}\b
    |\b\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTH}\.?,?\s+(?:19|20)\d{{2}}\b
    |\b{_MONTH}\s+(?:of\s+)?(?:19|20)\d{{2}}\b
    |\b[A-Z]{{1,4}}-?\d{{6,}}\b|\b\d{{7,}}\b
    |\b\d{{1,5}}\s+(?:[A-Z][a-z]+\s+){{1,2}}(?:street|st\.|avenue|ave|road|rd\.|boulevard|lane|drive)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_PLACEHOLDER = re.compile(r"^(?:[xyz]+|abc|[a-z]|mm.dd.y+|name|doctor|smith's)$", re.IGNORECASE)
# What an address, a link or a number cannot do without.
_SIGNS = re.compile(r"\d|@|://|www", re.IGNORECASE)
_LETTERS = re.compile(r"[A-Za-z]+")
_WORDS = re.compile(r"[A-Za-z][A-Za-z'’-]+|\d+")


def identifying(text: str) -> Iterator[tuple[tuple[int, int], list[str]]]:
    """Yields where a text identifies somebody, and by which words, in small letters; placeholders are left out."""
    for pattern in _patterns(text):
        for match in pattern.finditer(text):
            group = next((at for at, found in enumerate(match.groups(), start=1) if found), 0)
            words = [word.lower() for word in _WORDS.findall(match[group]) if not _PLACEHOLDER.match(word)]
            if words:
                yield match.span(group), words


def words_of(text: str) -> set[str]:
    """The words and numbers of a text, in small letters, as `identifying` gives them."""
    return {word.lower() for word in _WORDS.findall(text)}


def _patterns(text: str) -> Iterator[re.Pattern[str]]:
    """The patterns that could match; most texts hold no first name and no number, and looking is dear."""
    yield _TITLED if _FIRST.isdisjoint(map(str.lower, _LETTERS.findall(text))) else _ADDRESSED
    if _SIGNS.search(text):
        yield _NUMBERED

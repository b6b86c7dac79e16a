"""More reports of rare modalities, made of real ones so that the label stays true by construction.

Each change touches findings and impression together, or what the impression does not depend on:

    mirror     left and right change places everywhere; not where an organ has a side of its own
    measure    every measurement is scaled by one factor, the same value to the same value, in order
    order      independent normal sentences of the findings change places
    synonym    words for the same in the findings
    form       the impression's items as another clinic writes them: numbered, bulleted or as a paragraph

What was made is marked in its id, as in "a-17~mirror+measure", is of the same patient, and belongs into training
alone. Who calls must have the safety checks agree that nothing contradicts that did not before.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from radimpress.reports.report import Modality, Report

Change = Callable[[Report, random.Random], Report | None]
_MARK = "~"
_FIELDS = ("findings", "impression", "exam", "indication", "comparison")

# What has a side of its own, or is said of one side only.
_SIDED = re.compile(
    r"heart|cardi|ventric|atri[ua]|aort|coronar|cava|mitral|tricuspid|liver|hepat|splen|gallbladder|bil[ie]|stomach"
    r"|gastr|pancrea|append|cec[au]|caec|colon|sigmoid|duoden|ileoc|middle lobe|lingul|dextro|levo|situs|arch"
    r"|thoracic duct|azyg|handed|dominan|right away|righ?t? of way|\bleft (?:the|without|against|ama)\b|\bl[t>]|\brt\b"
    r"|\(l\)|\(r\)|\b[lr]\b|(?:minor|horizontal) fissure"
    # Sides within an abbreviation, as in "RLL" and "LUQ", which would stay.
    r"|\b[lr](?:[uml]l|[ul][qe]|v|a|ca|cx|ad|cc|mlo|ij|ica|cca|mca|aca|pca|vot)\b",
    re.IGNORECASE,
)
_SIDES = re.compile(r"\b(left|right)(?=\b|ward|-?sided)", re.IGNORECASE)
_OTHER = {"left": "right", "right": "left"}
_MEASURE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(?=(?:\s*(?:x|by)\s*\d+(?:\.\d+)?)*\s*(?:mm|cm)\b)", re.IGNORECASE)
# Where a measurement's own value decides what is said of it.
_BOUND = re.compile(
    r"centimet|fleischner|less than|greater than|more than|at least|up to|upper limit|normal (?:size|in)|threshold"
    r"|[<>≤≥]|li-?rads|ti-?rads|o-?rads|pi-?rads|bi-?rads|percent|%|weeks?\b|previous|prior|compar|interval|stable|unchanged"
    r"|increas|decreas|grown|larger|smaller",
    re.IGNORECASE,
)
_FACTORS = (Decimal("0.85"), Decimal("0.9"), Decimal("1.1"), Decimal("1.15"), Decimal("1.2"))
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_NORMAL = re.compile(
    r"\b(?:normal|unremarkable|clear|intact|patent|preserved|within normal limits)\b|^no\b|^there (?:is|are) no\b",
    re.IGNORECASE,
)
_LEANS = re.compile(
    r"\b(?:this|these|that|those|it|its|they|their|also|otherwise|remain\w*|other|another|same|above|below|however|but"
    r"|except|although|further|additional|former|latter|again|likewise|similar\w*|rest|elsewhere|therefore|or)\b",
    re.IGNORECASE,
)
_SYNONYMS = (
    ("There is no evidence of", "No evidence of"),
    ("There is no", "No"),
    ("There are no", "No"),
    ("is within normal limits", "is normal"),
    ("are within normal limits", "are normal"),
    ("is unremarkable", "is normal"),
    ("are unremarkable", "are normal"),
    ("is demonstrated", "is seen"),
    ("are demonstrated", "are seen"),
    ("is identified", "is seen"),
    ("are identified", "are seen"),
)
_ITEM = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+")


def mirror(report: Report, chance: random.Random) -> Report | None:
    """Left and right change places; None where that could be wrong, or there is no side."""
    del chance
    texts = {name: getattr(report, name) for name in _FIELDS}
    whole = "\n".join(texts.values())
    if _SIDED.search(whole) or not _SIDES.search(whole):
        return None
    swapped: dict[str, Any] = {name: _SIDES.sub(_opposite, text) for name, text in texts.items()}
    return replace(report, **swapped)


def measure(report: Report, chance: random.Random) -> Report | None:
    """Scales all measurements by one factor; None where a value decides what is said, or there is none."""
    both = f"{report.findings}\n{report.impression}"
    values = sorted({Decimal(value) for value in _MEASURE.findall(both)})
    if not values or _BOUND.search(both):
        return None
    factor = chance.choice(_FACTORS)
    scaled = {value: (value * factor).quantize(value).normalize() for value in values}
    new = [scaled[value] for value in values]
    # As many values as before, in the same order, none of them as it was, and none across a centimetre.
    if sorted(set(new)) != new or set(new) & set(values) or any(not value for value in new):
        return None

    def other(found: re.Match[str]) -> str:
        return f"{scaled[Decimal(found[1])]:f}"

    return replace(
        report, findings=_MEASURE.sub(other, report.findings), impression=_MEASURE.sub(other, report.impression)
    )


def order(report: Report, chance: random.Random) -> Report | None:
    """Normal sentences that lean on no other change places; None where there are fewer than two."""
    if "\n" in report.findings:
        return None
    sentences = _SENTENCE.split(report.findings.strip())
    free = [at for at, one in enumerate(sentences) if at and _NORMAL.search(one) and not _LEANS.search(one)]
    # A sentence after a free one may lean on it.
    free = [at for at in free if at + 1 == len(sentences) or not _LEANS.search(sentences[at + 1])]
    if len(free) < 2:
        return None
    moved = free[:]
    while moved == free:
        chance.shuffle(moved)
    made = sentences[:]
    for to, source in zip(free, moved, strict=True):
        made[to] = sentences[source]
    return replace(report, findings=" ".join(made))


def synonym(report: Report, chance: random.Random) -> Report | None:
    """One phrase of the findings by another for the same; None where none is known."""
    found = [(old, new) for old, new in _SYNONYMS if re.search(rf"\b{old} ", report.findings + " ")]
    if not found:
        return None
    old, new = chance.choice(found)
    return replace(report, findings=re.sub(rf"\b{old}(?= |$|\.)", new, report.findings))


def form(report: Report, shape: str) -> Report | None:
    """The impression's items in another form; None where it has one item, or has that form already.

    Args:
        report: whose items stand on lines of their own.
        shape: "numbered", "bulleted" or "paragraph".
    """
    lines = [line for line in report.impression.split("\n") if line.strip()]
    items = [_ITEM.sub("", line).strip() for line in lines]
    if len(items) < 2 or shape == shape_of(report.impression) or not all(_ITEM.match(line) for line in lines):
        return None
    if shape == "paragraph":
        return replace(report, impression=" ".join(item if item.endswith(".") else f"{item}." for item in items))
    marks = (f"{at}. " if shape == "numbered" else "- " for at in range(1, len(items) + 1))
    return replace(report, impression="\n".join(mark + item for mark, item in zip(marks, items, strict=True)))


def shape_of(impression: str) -> str:
    """The form of an impression: "numbered", "bulleted" or "paragraph"."""
    first = impression.lstrip()[:3]
    return "numbered" if re.match(r"\d+[.)]", first) else "bulleted" if first[:1] in "-*•" and first else "paragraph"


CHANGES: Mapping[str, Change] = {"mirror": mirror, "measure": measure, "order": order, "synonym": synonym}


def is_made(report: Report) -> bool:
    """Whether a report was made here, as its mark says."""
    _, mark, made = report.id.rpartition(_MARK)
    return bool(mark) and all(name in {*CHANGES, "form"} for name in made.rstrip("0123456789").split("+"))


def augment(
    reports: Sequence[Report],
    wanted: Mapping[Modality, int],
    accept: Callable[[Report, Report], bool],
    *,
    seed: int = 0,
    cap: int = 3,
) -> Iterator[Report]:
    """Makes reports until a modality has as many as are wanted, or no more can be made.

    Args:
        reports: of training, none of them made here.
        wanted: reports of a modality, made ones included.
        accept: whether a made report, given with the one that it was made of, contradicts itself no more than that.
        seed: the same gives the same.
        cap: made of one report, at most.

    Yields:
        The made reports, without the given ones.
    """
    shapes = _shapes(reports)
    for modality in sorted(wanted):
        own = [report for report in reports if report.modality is modality]
        missing = wanted[modality] - len(own)
        chance = random.Random(f"{seed}/{modality.value}")
        known = {_text(report) for report in own}
        for turn in range(cap):
            for report in chance.sample(own, len(own)) if own else ():
                if missing <= 0:
                    break
                made = _changed(report, chance, shapes.get(report.clinic, ""), turn)
                if made is None or _text(made) in known or not accept(made, report):
                    continue
                known.add(_text(made))
                missing -= 1
                yield made


def _changed(report: Report, chance: random.Random, shape: str, turn: int) -> Report | None:
    """A report after one or more changes, its id marked with them."""
    made, names = report, list[str]()
    for name in chance.sample(list(CHANGES), len(CHANGES)):
        if names and chance.random() < 0.5:
            continue
        changed = CHANGES[name](made, chance)
        if changed is not None:
            made, names = changed, [*names, name]
    if shape and (formed := form(made, shape)) is not None:
        made, names = formed, [*names, "form"]
    return replace(made, id=f"{report.id}{_MARK}{'+'.join(names)}{turn or ''}") if names else None


def _shapes(reports: Sequence[Report]) -> dict[str, str]:
    """The form that a clinic gives most of its impressions."""
    counted: dict[str, Counter[str]] = {}
    for report in reports:
        counted.setdefault(report.clinic, Counter())[shape_of(report.impression)] += 1
    return {clinic: shapes.most_common(1)[0][0] for clinic, shapes in counted.items()}


def _opposite(found: re.Match[str]) -> str:
    word = found[1]
    other = _OTHER[word.lower()]
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other


def _text(report: Report) -> str:
    return f"{report.findings}\n\n{report.impression}"

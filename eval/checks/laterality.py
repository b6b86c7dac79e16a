"""A side in the impression that contradicts the report (ReXVal c, wrong location).

Each left or right of the impression is compared with those of the report by the words around it:
what stands beside "left" in the impression should not stand beside "right" alone in the findings.

    "Left effusion."  findings "Small right effusion."                    noticed
    "Left effusion."  findings "Effusions on both sides."                 silent
    "Left effusion."  findings say neither left nor right                 silent

Does not cover a side that both sides of the findings share all words with, nor "bilateral" for one side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from radimpress.eval.checks.assertion import Said
from radimpress.eval.checks.concepts import related
from radimpress.eval.checks.notice import Notice
from radimpress.eval.checks.phrases import listed
from radimpress.eval.checks.reading import Part, Reading
from radimpress.eval.checks.small_words import SMALL

_LEFT, _RIGHT = frozenset(["left"]), frozenset(["right"])
_BOTH = _LEFT | _RIGHT
_SIDES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("left", "lt", "leftward", "levo", "lul", "lll", "lingula", "lingular"), _LEFT),
    **dict.fromkeys(("right", "rt", "rightward", "rul", "rll", "rml"), _RIGHT),
    **dict.fromkeys(
        ("bilateral", "bilaterally", "both", "bibasilar", "biapical", "either", "each", "symmetric"), _BOTH
    ),
}
_OPPOSITE = {_LEFT: _RIGHT, _RIGHT: _LEFT}
_REACH = 9
# No report has as many; every one is compared with every other.
_MOST = 200
_MARGIN = 0.4
_ENDS = frozenset(["left", "right"])
_MORE = listed("greater larger more worse bigger side sided")
_AND = frozenset(["and", "or", "/", "&"])
# Right and left here are names more than sides.
_CHAMBERS = listed("ventricle ventricular ventricles atrium atrial coronary anterior main circumflex heart bundle")
_EMPTY = SMALL | listed(
    "side sided greater than more less lesser small mild moderate large minimal severe slight marked new old acute "
    "chronic seen noted likely probable evidence xxxx change lower upper mid middle lateral medial anterior "
    "posterior superior "
    "inferior proximal distal size"
)


class Mention(NamedTuple):
    """A side and the words around it: word -> weight."""

    sides: frozenset[str]
    at: int
    words: dict[str, float]
    denied: bool
    chamber: bool


def check(reading: Reading) -> Notice | None:
    """Notices a left that the report says is right, or the reverse."""
    order = _order(reading.impression)
    if order:
        theirs_order = _order(reading.findings)
        if theirs_order and all(first != order[0][0] for first, _ in theirs_order):
            return Notice(
                "which side is worse contradicts the report", *reading.impression.span(order[0][1], order[0][1] + 1)
            )
    ours = [mention for mention in _mentions(reading.impression) if mention.sides in _OPPOSITE][:_MOST]
    if not ours:
        return None
    theirs = [*_mentions(reading.findings)[:_MOST], *_mentions(reading.request)[:_MOST]]
    if not theirs:
        return None
    for mention in ours:
        opposite = _OPPOSITE[mention.sides]
        same = [other for other in theirs if other.sides & mention.sides]
        against = [other for other in theirs if other.sides == opposite]
        if not against:
            continue
        agrees = max((_shared(mention, other) for other in same), default=0.0)
        contradicts = max(_shared(mention, other) for other in against)
        only = not same and not mention.chamber and not all(other.chamber for other in against)
        if only or contradicts > agrees + _MARGIN:
            start, stop = reading.impression.span(mention.at, mention.at + 1)
            return Notice("the side contradicts the report", start, stop)
    return None


def _order(part: Part) -> list[tuple[str, int]]:
    """Sides that are said to be worse than the other, with their places."""
    words = part.words
    return [
        (word, at)
        for at, word in enumerate(words)
        if (word in _ENDS and at + 3 < len(words) and words[at + 1] in _MORE and "than" in words[at + 2 : at + 4])
        or (word in _ENDS and at + 1 < len(words) and words[at + 1] == ">")
    ]


def _mentions(part: Part) -> list[Mention]:
    """Every side that a text states, with what stands around it."""
    words = part.words
    found = [at for at, word in enumerate(words) if word in _SIDES]
    if not found:
        return []
    names: dict[int, str] = {}
    for hit in part.concepts:
        names.update(dict.fromkeys(range(hit.first, hit.last), hit.value))
    mentions = []
    for place, at in enumerate(found):
        sentence = part.sentences[part.sentence_of[at]]
        before = max(sentence.first, found[place - 1] + 1 if place else 0)
        after = min(sentence.last, found[place + 1] if place + 1 < len(found) else sentence.last, at + 1 + _REACH)
        around: dict[str, float] = {}
        for near in range(max(sentence.first, at - 2 * _REACH), after):
            word = part.stems[near]
            if near == at or word in _EMPTY or len(word) < 2:
                continue
            # Words behind an earlier side are that one's first.
            weight = 1.0 if near >= before else 0.5
            name = names.get(near)
            if name:
                around[name] = max(around.get(name, 0.0), 1.5 * weight)
            elif word not in _SIDES:
                around[word] = max(around.get(word, 0.0), weight)
        # "Lower" and "upper" tell lobes apart, but only right behind the side.
        if at + 1 < sentence.last and words[at + 1] in {"lower", "upper", "middle", "mid"}:
            around[words[at + 1]] = 1.0
        if words[at] in {"lul", "rul", "lll", "rll", "rml"}:
            around[{"u": "upper", "l": "lower", "m": "middle"}[words[at][1]]] = 1.0
            around["lobe"] = 1.0
        sides = _SIDES[words[at]]
        # "Left and right", "left or right".
        if at + 2 < sentence.last and words[at + 1] in _AND and _SIDES.get(words[at + 2], sides) != sides:
            sides = _BOTH
        if at - 2 >= sentence.first and words[at - 1] in _AND and _SIDES.get(words[at - 2], sides) != sides:
            sides = _BOTH
        chamber = at + 1 < sentence.last and words[at + 1] in _CHAMBERS
        mentions.append(Mention(sides, at, around, part.said[at] is Said.ABSENT, chamber))
    return mentions


def _shared(ours: Mention, theirs: Mention) -> float:
    """How much of the words around a side stands around another."""
    if theirs.denied and not ours.denied:
        return 0.0
    total = 0.0
    for word, weight in ours.words.items():
        if word in theirs.words:
            total += min(weight, theirs.words[word])
        elif weight > 1 and any(other in theirs.words for other in related(word)):
            total += 0.7 * weight
    return total

"""A corpus whose truth is known: clinics of up to eight ways of writing, each clinic with habits of its own.

A way of writing is a set of rates: how often a report of it is a list, drops its articles, hedges, advises, names
what is absent, labels its lines, compares. A clinic's rates are its style's, moved on the logit scale by JITTER;
its words for one thing, its mark of a list and its case are its own. Some ways lie far apart (a list and prose),
some differ in one rate only (prose, and prose that hedges). What is found comes from the anatomy of the synthetic
corpus, so that words differ by modality far more than by style.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from radimpress.reports.house_style import Conclusion
from radimpress.reports.report import Modality, Report
from radimpress.reports.synthetic import SHARES, Study, make_study

JITTER = 0.35
MAIN = 0.85
# How often a clinic scans mostly what its style is tied to, where case mix is confounded with style.
TIED = 0.6
_NOISE = 0.03
_UPPER = 0.1

_SMALL = re.compile(r"\b(?:a|an|the|is|are|of|with) ", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:a|an|the) ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Way:
    """A way of writing; every number is a rate of reports, in [0, 1].

    Attributes:
        itemised: one conclusion a line.
        clipped: without articles and small words.
        hedged: unsure words before a conclusion.
        advised: says what to do.
        negative: closes with what is absent.
        labelled: a heading stands before what is said.
        compared: says how it was before.
        wordy: says how well it is seen and why it matters.
        secondary: names more than the main conclusion.
    """

    itemised: float = 0.03
    clipped: float = 0.05
    hedged: float = 0.08
    advised: float = 0.25
    negative: float = 0.9
    labelled: float = 0.03
    compared: float = 0.1
    wordy: float = 0.1
    secondary: float = 0.95


_RATES = tuple(field.name for field in fields(Way))
WAYS: Mapping[str, Way] = {
    "prose": Way(),
    "list": Way(itemised=0.96, clipped=0.5, wordy=0.05),
    "clipped": Way(clipped=0.96, negative=0.8, advised=0.05, wordy=0.02),
    "hedging prose": Way(hedged=0.95),
    "advising prose": Way(advised=0.95),
    "labelled": Way(labelled=0.94, itemised=0.2, compared=0.2),
    "bottom line": Way(clipped=0.6, negative=0.03, secondary=0.05, advised=0.05, wordy=0.0),
    "comparing at length": Way(compared=0.85, wordy=0.75),
}
# A clinic has one of these, or two or three that it uses in turn.
_LEADS = (
    ("There is", "There is also"),
    ("Examination shows", "In addition there is"),
    ("Findings are those of", "Also noted is"),
    ("We see", "We also see"),
    ("Images demonstrate", "Additionally there is"),
)
_UNSURE = ("likely", "possibly", "probably", "suspected", "questionable")
_DOUBTS = ("likely represents", "may represent", "is suspicious for", "could reflect", "is probably", "might be")
_ADVICE = (
    "{} is recommended",
    "Recommend {}",
    "Suggest {}",
    "Consider {}",
    "{} is advised",
    "Please arrange {}",
)
_DEFAULT_ADVICE = ("clinical correlation", "review in clinic", "follow-up as clinically indicated")
_BEFORE = (
    "Compared with the previous study:",
    "Since the last examination little has changed.",
    "Stable appearance against prior imaging.",
    "In comparison to the earlier images:",
)
_FULL = (
    "The remaining structures are adequately seen and do not show anything that would explain the symptoms.",
    "This is well seen on all of the available images and accounts for the reported complaint.",
    "The examination is of good diagnostic quality and the other regions are as expected for age.",
)
_LABELS = ("CONCLUSION:", "Impression:", "Summary:", "Opinion:", "ASSESSMENT:")
_MARKS = ("{}. ", "{}) ", "- ", "• ")


@dataclass(frozen=True, slots=True)
class Hand:
    """One clinic's own way: its rates and its words."""

    way: Way
    lead: tuple[str, str]
    unsure: tuple[str, ...]
    doubts: tuple[str, ...]
    advice: tuple[str, ...]
    before: str
    full: str
    label: str
    mark: str
    upper: bool


@dataclass(frozen=True, slots=True)
class Corpus:
    """Reports, and the truth about who wrote them.

    Attributes:
        reports: of all clinics.
        truth: clinic -> name of its way of writing.
        hands: clinic -> its own way.
        mixes: clinic -> share of each modality.
    """

    reports: tuple[Report, ...]
    truth: Mapping[str, str]
    hands: Mapping[str, Hand]
    mixes: Mapping[str, Mapping[Modality, float]]


def make_corpus(
    seed: int,
    *,
    clinics: int,
    ways: Sequence[str] = tuple(WAYS),
    reports: int = 40,
    confounded: bool = True,
    jitter: float = JITTER,
) -> Corpus:
    """Clinics of these ways in turn, each with about `reports` reports, from half to twice as many.

    Where it is confounded a clinic scans mostly one modality, and that one mostly what its style is tied to;
    else all scan alike.
    """
    chance = random.Random(f"styles/{seed}")
    modalities = list(SHARES)
    tied = {way: modalities[at % len(modalities)] for at, way in enumerate(chance.sample(list(ways), len(ways)))}
    truth, hands, mixes = {}, {}, {}
    made: list[Report] = []
    for number in range(clinics):
        clinic, way = f"clinic-{number:03d}", ways[number % len(ways)]
        truth[clinic] = way
        hands[clinic] = make_hand(WAYS[way], chance, jitter)
        main = tied[way] if chance.random() < TIED else chance.choice(modalities)
        mixes[clinic] = case_mix(main) if confounded else dict(SHARES)
        count = round(reports * 2 ** chance.uniform(-1, 1))
        made += write(clinic, hands[clinic], mixes[clinic], count, chance)
    return Corpus(tuple(made), truth, hands, mixes)


def case_mix(main: Modality) -> dict[Modality, float]:
    """Mostly one modality; the rest is spread over the others."""
    rest = (1 - MAIN) / (len(SHARES) - 1)
    return {modality: MAIN if modality is main else rest for modality in SHARES}


def make_hand(way: Way, chance: random.Random, jitter: float = JITTER) -> Hand:
    """A new clinic of a way of writing."""
    rates = {name: _moved(getattr(way, name), chance.gauss(0, jitter)) for name in _RATES}
    return Hand(
        way=Way(**rates),
        lead=chance.choice(_LEADS),
        unsure=tuple(chance.sample(_UNSURE, 2)),
        doubts=tuple(chance.sample(_DOUBTS, 3)),
        advice=tuple(chance.sample(_ADVICE, 3)),
        before=chance.choice(_BEFORE),
        full=chance.choice(_FULL),
        label=chance.choice(_LABELS),
        mark=chance.choice(_MARKS),
        upper=chance.random() < _UPPER,
    )


def changed_hand(hand: Hand, way: Way, chance: random.Random) -> Hand:
    """The same clinic with its own words, after it took to another way of writing."""
    return replace(hand, way=make_hand(way, chance).way)


def write(
    clinic: str, hand: Hand, mix: Mapping[Modality, float], count: int, chance: random.Random, first: int = 0
) -> Iterator[Report]:
    """Reports of one clinic; a patient has one or two."""
    patient = 0
    for number in range(first, first + count):
        patient += chance.random() < 0.8
        study = make_study(chance.choices(list(mix), list(mix.values()))[0], chance)
        yield Report(
            id=f"{clinic}-{number:05d}",
            findings=study.findings,
            impression=conclude(study, hand, chance),
            modality=study.exam.modality,
            clinic=clinic,
            exam=study.exam.name,
            patient=f"{clinic}-{first}-{patient}",
            source="styles",
        )


def conclude(study: Study, hand: Hand, chance: random.Random) -> str:
    """One impression: each of the hand's rates decides once, and now and then a colleague writes otherwise."""
    does = {name: chance.random() < (1 - 2 * _NOISE) * getattr(hand.way, name) + _NOISE for name in _RATES}
    conclusions = study.conclusions if does["secondary"] else study.conclusions[:1]
    said = [_say(one, at, hand, does, chance) for at, one in enumerate(conclusions)]
    if does["negative"] or not said:
        said.append(_negative(study.negative, does["clipped"]))
    if does["wordy"]:
        said.insert(1, hand.full)
    if does["compared"]:
        said.insert(0, hand.before)
    if does["advised"]:
        wanted = conclusions[0].recommendation if conclusions else ""
        said.append(_sentence(chance.choice(hand.advice).format(wanted or chance.choice(_DEFAULT_ADVICE))))
    if does["itemised"]:
        text = "\n".join(f"{hand.mark.format(at)}{line}" for at, line in enumerate(said, start=1))
    else:
        text = " ".join(said)
    if does["labelled"]:
        text = f"{hand.label}\n{text}" if does["itemised"] else f"{hand.label} {text}"
    return text.upper() if hand.upper else text


def _say(conclusion: Conclusion, at: int, hand: Hand, does: Mapping[str, bool], chance: random.Random) -> str:
    phrase = conclusion.phrase
    if does["clipped"]:
        phrase = _SMALL.sub("", phrase)
        return _sentence(f"{chance.choice(hand.unsure)} {phrase}" if does["hedged"] else phrase)
    if does["hedged"]:
        return f"What is seen {chance.choice(hand.doubts)} {phrase}."
    if does["itemised"]:
        return _sentence(_ARTICLE.sub("", phrase))
    return f"{hand.lead[min(at, 1)]} {phrase}."


def _negative(negative: str, clipped: bool) -> str:
    return _sentence(negative) if clipped else f"There is {negative}."


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _moved(rate: float, by: float) -> float:
    rate = min(max(rate, 0.01), 0.99)
    return 1 / (1 + math.exp(-(math.log(rate / (1 - rate)) + by)))

"""What sets a cluster apart, in the words of a reader of reports, with the figures and how sure they are.

A cluster's style feature is held against the mean of the other clusters' clinics. It is told where the difference is
more than a reader would overlook and more than chance makes (95%, Bonferroni over all features), and from most of the
others, not from one that does it much; the largest first, one of each family of features that say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from radimpress.clustering.clusters import Clusters
from radimpress.reports.errors import NotFoundError

# As a share of what the feature can span.
LEAST = 0.08
_LEVEL = 0.95
_COMMON = 0.6
_SELDOM, _OFTEN = 0.25, 0.5


@dataclass(frozen=True, slots=True)
class _Words:
    """How a feature is told: what is done more or less, of what, and how many of that 1 stands for (0: a share)."""

    more: str
    less: str
    of: str = "of impressions"
    full: float = 0
    family: str = ""


_WORDS: Mapping[str, _Words] = {
    "listed": _Words("writes lists", "seldom writes lists", family="form"),
    "numbered": _Words("numbers its lines", "seldom numbers its lines", "of lines", family="form"),
    "bulleted": _Words("puts bullets or dashes before its lines", "seldom puts bullets", "of lines", family="form"),
    "line_count": _Words("breaks into more lines", "breaks into fewer lines", "lines", 6, family="lines"),
    "headed": _Words("puts headers before its lines", "seldom puts headers", "of lines"),
    "closed": _Words("ends its lines with a full stop", "leaves out the full stop", "of lines"),
    "upper_case": _Words("writes in upper case", "seldom uses upper case", "of letters"),
    "fullness": _Words(
        "uses articles and auxiliaries", "leaves out articles and auxiliaries", "of words", -0.3, family="full"
    ),
    "telegraphic": _Words("writes clipped sentences", "seldom clips a sentence", "of sentences", family="full"),
    "sentence_length": _Words("writes longer sentences", "writes shorter sentences", "words a sentence", 20),
    "length": _Words("writes longer impressions", "writes shorter impressions", "characters", 400, family="length"),
    "compression": _Words(
        "keeps more of the findings", "keeps less of the findings", "of the findings' length", family="length"
    ),
    "recommends": _Words("recommends what to do next", "seldom recommends what to do next"),
    "hedges": _Words("hedges", "seldom hedges"),
    "first_person": _Words('says "we" or "I"', 'seldom says "we" or "I"'),
    "opens_negative": _Words("opens with a negative statement", "seldom opens with a negative statement"),
    "closes_negative": _Words("closes with a negative statement", "seldom closes with a negative statement"),
    "says_no_evidence": _Words('says "no evidence of"', 'seldom says "no evidence of"'),
    "millimetres": _Words("gives sizes in millimetres", "seldom gives sizes in millimetres"),
    "centimetres": _Words("gives sizes in centimetres", "seldom gives sizes in centimetres"),
    "crossed_sizes": _Words('writes sizes as "3 x 4"', 'seldom writes sizes as "3 x 4"'),
    "worded_sizes": _Words('writes sizes as "3 by 4"', 'seldom writes sizes as "3 by 4"'),
    "decimals": _Words("gives sizes with a decimal", "seldom gives sizes with a decimal"),
    "compares": _Words("names the earlier examination", "seldom names the earlier examination"),
    "tells_change": _Words(
        'says "stable", "unchanged" or "interval"', 'seldom says "stable", "unchanged" or "interval"'
    ),
    "abbreviated": _Words("abbreviates", "writes words out", "of words", -0.2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """One habit that sets a cluster apart.

    Attributes:
        feature: its name.
        words: the habit.
        value: the feature's mean over the cluster, at the corpus's average case mix.
        others: the same of the other clusters' clinics; None where there is no other.
        low: of the difference, 95% interval.
        high: of the difference.
        text: the habit with its figures, as in "writes lists (92% of impressions, others 8%)".
        doubt: the difference with its interval, as in "difference +84%, 95% +80% to +88%"; empty without others.
    """

    feature: str
    words: str
    value: float
    others: float | None
    low: float
    high: float
    text: str
    doubt: str = ""


def explain(clusters: Clusters, name: str, count: int = 6) -> tuple[Trait, ...]:
    """What sets a cluster apart, at most `count` habits; with no other cluster, its commonest habits.

    Raises:
        NotFoundError: there is no such cluster.
    """
    if name not in clusters.clusters:
        raise NotFoundError(f"no cluster has the key {name!r}; there are {', '.join(clusters.names)}")
    traits = [trait for feature in _WORDS if (trait := _trait(clusters, name, feature))]
    # What is said of the same thing twice is said once, by what differs most.
    chosen: dict[str, Trait] = {}
    for trait in sorted(traits, key=lambda trait: -abs(trait.value - (trait.others or 0.0))):
        chosen.setdefault(_WORDS[trait.feature].family or trait.feature, trait)
    return tuple(chosen.values())[:count]


def figure(feature: str, value: float) -> str:
    """A feature's value as a reader counts it: "92%", "12.3"."""
    return _scaled(feature, min(1.0, max(0.0, value)), "")


def _scaled(feature: str, value: float, sign: str) -> str:
    full = _WORDS[feature].full
    if full > 0:
        return f"{value * full:{sign}.{0 if full >= 100 else 1}f}"
    return f"{value * (-full or 1):{sign}.0%}"


def _trait(clusters: Clusters, name: str, feature: str) -> Trait | None:
    own = clusters.clusters[name]
    if feature not in own.adjusted or feature not in own.error:
        return None
    said, value = _WORDS[feature], own.adjusted[feature]
    rest = {key: one for key, one in clusters.clusters.items() if key != name and feature in one.adjusted}
    if not rest:
        common = value >= _COMMON and said.full <= 0
        told = f"{said.more} ({figure(feature, value)} {said.of})"
        return (
            Trait(feature=feature, words=said.more, value=value, others=None, low=0, high=0, text=told)
            if common
            else None
        )
    homes = list(clusters.clinics.values())
    weights = {key: max(1, homes.count(key)) for key in rest}
    total = sum(weights.values())
    others = sum(weights[key] * one.adjusted[feature] for key, one in rest.items()) / total
    spread = sqrt(
        own.error[feature] ** 2
        + sum((weights[key] / total * one.error.get(feature, 0)) ** 2 for key, one in rest.items())
    )
    apart = value - others
    if abs(apart) < max(LEAST, _deviate(_LEVEL, len(_WORDS)) * spread):
        return None
    # What one other cluster does sets that one apart, not this one.
    sign = 1 if apart > 0 else -1
    beyond = sum(weights[key] for key, one in rest.items() if sign * (value - one.adjusted[feature]) >= LEAST)
    if beyond < total / 2:
        return None
    words = _told(said, apart > 0, value)
    reach = _deviate(_LEVEL, 1) * spread
    return Trait(
        feature=feature,
        words=words,
        value=value,
        others=others,
        low=apart - reach,
        high=apart + reach,
        text=f"{words} ({figure(feature, value)} {said.of}, others {figure(feature, others)})",
        doubt="difference {}, 95% {} to {}".format(
            *(_scaled(feature, d, "+") for d in (apart, apart - reach, apart + reach))
        ),
    )


def _told(said: _Words, more: bool, value: float) -> str:
    """The habit's words, which must not say "seldom" of a half, nor leave it at "hedges" of a tenth."""
    plain = said.full > 0 or not said.less.startswith("seldom ")
    if more:
        return said.more if plain or value >= _OFTEN else f"{said.more} more often"
    return said.less if plain or value < _SELDOM else f"{said.less.removeprefix('seldom ')} less often"


def _deviate(level: float, questions: int) -> float:
    """Standard normal deviate that chance exceeds, on either side, in 1 - level of so many questions together."""
    return NormalDist().inv_cdf(1 - (1 - level) / questions / 2)

"""The words that make a statement absent or uncertain, and those that end their reach.

After NegEx (Chapman et al. 2001) and ConText (Harkema et al. 2009), with what radiologists write.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import cache

from radimpress.eval.checks.phrases import Phrases, listed


class Cue(StrEnum):
    """What a phrase does to the words around it."""

    ABSENT = "absent, forward"
    ABSENT_BACK = "absent, backward"
    NEXT = "absent, the next word only"
    UNCERTAIN = "uncertain, forward"
    SUGGESTS = "uncertain, forward, unless absent"
    UNCERTAIN_BACK = "uncertain, backward"
    ASSERTS = "present: what looks like a negation is none"
    END = "ends the reach of others"
    EXCEPT = "ends it, and reaches only to the next comma"


_SEEN = listed(
    "seen identified visualized visualised present demonstrated appreciated noted detected evident apparent found "
    "observed visible shown depicted displayed imaged included discernible discerned recognized recognised "
    "described documented encountered indicated revealed suspected confirmed"
)
_CHANGE = listed(
    "change changes changed increase increased decrease decreased difference progression improvement improved "
    "worsening growth worse better larger smaller enlarged unexpected unlike unchanged resolved cleared"
)


def _each(heads: str, tails: Iterable[str]) -> str:
    return ", ".join(f"{head.strip()} {tail}" for head in heads.split(",") for tail in tails)


_MEANINGS: dict[Cue, str] = {
    Cue.ABSENT: (
        "no, not, negative, without, w / o, negative for, free of, free from, clear of, clear from, absence of, "
        "lack of, lacks, lacking, "
        "never, neither, nor, none of, nothing, devoid of, resolution of, resolved, interval resolution of, "
        "excludes, rules out, no longer any, no longer a, no longer an, clearing of, absent, denies, denied, "
        "fails to demonstrate, fails to show, fails to reveal, fail to demonstrate, fail to show, fail to reveal, "
        "failed to demonstrate, failed to show, failed to reveal, rather than, instead of, interval removal of, "
        "removal of, doesn't, don't, didn't, isn't, aren't, wasn't, weren't, cannot see, cannot identify, non"
    ),
    Cue.ABSENT_BACK: (
        _each(
            "not, not been, not be, not clearly, not definitely, no longer, not well, not readily, not currently, not",
            _SEEN,
        )
        + ", "
        + "no longer, never seen, is absent, are absent, was absent, were absent, is negative, are negative, "
        + "was negative, "
        "were negative, ruled out, has resolved, have resolved, had resolved, has completely resolved, "
        "have completely resolved, has since resolved, have since resolved, resolved completely, now resolved, "
        "is resolved, are resolved, has cleared, have cleared, has disappeared, have disappeared, has been removed, "
        "have been removed, is excluded, are excluded, was excluded, were excluded, been excluded, unlikely, "
        "not supported, is nil, has fully resolved, have fully resolved, appears resolved, appear resolved"
    ),
    Cue.UNCERTAIN: (
        "cannot exclude, can not exclude, can't exclude, could not exclude, cannot rule out, can not rule out, "
        "could not rule out, does not exclude, do not exclude, did not exclude, unable to exclude, difficult to "
        "exclude, "
        "not exclude, not rule out, may, might, could, possible, possibly, probable, probably, likely, "
        "presumably, questionable, question of, suspected, "
        "suspect, suspicion of, suspicion for, rule out, r / o, to exclude, evaluate for, versus, vs, perhaps, "
        "equivocal, cannot entirely exclude, cannot completely exclude, cannot definitively exclude, "
        "not entirely exclude, not completely exclude, potential, potentially, whether, query"
    ),
    Cue.SUGGESTS: (
        "doubtful for, "
        "suspicious for, suspicious of, concerning for, concern for, suggest, suggests, suggesting, suggestive of, "
        "worrisome for, indeterminate for, raises the question of, raise the question of"
    ),
    Cue.UNCERTAIN_BACK: (
        "not excluded, cannot be excluded, can not be excluded, could not be excluded, not be excluded, not ruled out, "
        "not be ruled out, cannot be ruled out, could not be ruled out, difficult to exclude, hard to exclude, "
        "is possible, are possible, is suspected, are suspected, is questioned, is questionable, is not entirely "
        "excluded, "
        "cannot be completely excluded, cannot be entirely excluded, cannot be definitively excluded, "
        "cannot be definitely excluded, could not be entirely excluded, could not be completely excluded, "
        "not entirely excluded, not completely excluded, not definitively excluded, not be entirely excluded, "
        "not be completely excluded, not be definitively excluded, not be totally excluded"
    ),
    Cue.ASSERTS: (
        _each(
            "no, no significant, no definite, no appreciable, no interval, no significant interval, without, no "
            "substantial",
            _CHANGE,
        )
        + ", "
        + _each(
            "no definite interval, no convincing, no obvious, no gross, no appreciable interval, without significant, "
            "without interval, without significant interval, no relevant, no further, no additional, no notable, "
            "no short interval, no detrimental, no evidence of, no evidence of interval, no evidence for, no marked, "
            "no overall, no major, no real, no other significant, no significant short interval, no clear",
            [
                "change",
                "changes",
                "increase",
                "decrease",
                "difference",
                "progression",
                "improvement",
                "growth",
                "worsening",
            ],
        )
        + ", "
        + _each(
            "not, not significantly, not been, not substantially, not appreciably, not definitely, not markedly, "
            "not really, not at all, "
            "not yet, not completely, not fully, not entirely, not much, not yet completely, not notably, not "
            "materially",
            _CHANGE,
        )
        + ", "
        + "not only, not without, not free of, not free from, not clear of, not negative for, not lacking, "
        + "not devoid of, no lack of, "
        "no absence of, no doubt, not uncommon, not unusual, not true, not certain, not sure, no sooner, "
        "previously absent, without contrast, without intravenous contrast, without iv contrast, without and with, "
        "without difficulty, without complication, without complications, without sedation, incomplete resolution of, "
        "partial resolution of, near complete resolution of, near - complete resolution of, nearly complete "
        "resolution of, "
        "almost complete resolution of, near total resolution of, incomplete resolution, partial resolution, not "
        "resolved, nearly resolved, almost resolved, "
        "partially resolved, partly resolved, mostly resolved, incompletely resolved, largely resolved, "
        "not previously seen, not previously described, not previously identified, not seen previously, not seen "
        "before, "
        "not seen on prior, not seen on the prior, not seen on previous, not seen on the previous, not seen in prior, "
        "not present previously, not present before, not present on prior, not present on the prior, not present "
        "on previous, "
        "not present on the previous, not identified previously, not identified on prior, not identified on the prior, "
        "not seen on the earlier, not seen on earlier, not well seen, not well visualized, not fully evaluated, "
        "not well evaluated, not fully imaged, no longer than, no larger, no smaller, not necessarily"
    ),
    Cue.NEXT: "non -",
    Cue.END: (
        "but, however, although, though, despite, whereas, while, yet, nevertheless, nonetheless, "
        "there is, there are, there was, there were, there has, there remains, which, because, since, due to, "
        "secondary to, "
        "following, status post, after, consistent with, compatible with, in keeping with, remains, remain, "
        "and there, unless, to account for, shows, show, demonstrates, still"
    ),
    Cue.EXCEPT: (
        "except, except for, aside from, other than, apart from, with the exception of, save for, besides, excepting"
    ),
}


@cache
def cues() -> Phrases[Cue]:
    """The table of cues."""
    return Phrases(_MEANINGS)


@cache
def cue_words() -> frozenset[str]:
    """The words that a cue of absence or doubt can begin with; most sentences hold none."""
    return frozenset(
        phrase.split()[0]
        for cue, listed in _MEANINGS.items()
        if cue not in {Cue.END, Cue.EXCEPT}
        for phrase in listed.replace("-", " - ").replace("/", " / ").split(",")
        if phrase.strip()
    )


SEEN = _SEEN

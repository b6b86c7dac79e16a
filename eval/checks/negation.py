"""A finding asserted that the findings deny, or denied that they assert (ReXVal a and b).

A finding is a name of concepts.py or any other noun. It contradicts where the findings mention it,
or what says nearly the same, and every mention says the opposite. A bare "acute disease", which
says that something is there and not what, is noticed too: what is left of "no acute disease". So is
a finding that an image shows by itself and the findings never speak of.

    "Pneumothorax."             findings "No effusion or pneumothorax."       noticed
    "No fracture."              findings "Fracture of the fifth rib."         noticed
    "No acute fracture."        findings "Old fracture of the fifth rib."     silent
    "Acute cardiopulmonary abnormality."                                      noticed
    "Pneumothorax."             findings that speak of nothing like it        noticed

Does not cover degrees, as between "no large effusion" and a small one.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import NamedTuple

from radimpress.eval.checks.assertion import Said
from radimpress.eval.checks.concepts import DENIED_WITH, NEEDS_MENTION, SEEN_ITSELF, related
from radimpress.eval.checks.notice import Notice
from radimpress.eval.checks.phrases import listed
from radimpress.eval.checks.reading import Part, Reading
from radimpress.eval.checks.small_words import SMALL

# "No acute fracture" does not deny an old one.
_NARROWING = listed(
    "acute new focal significant large definite other additional further active suspicious discrete displaced "
    "high grade obstructing pathologic pathological enlarged overt gross dominant frank obvious major convincing "
    "aggressive recurrent residual underlying worrisome concerning interval critical severe solid more complete "
    "free measurable abnormal complicated measurably radiopaque central occult clear associated"
)
_VAGUE = listed("abnormality disease process finding pathology problem condition derangement")
_ACUTE = listed(
    "acute active cardiopulmonary intrathoracic intraabdominal intracranial other significant suspicious additional"
)
_NOTHING_ELSE = listed("abnormality derangement pathology")
_BARE = listed("there is are other an any a internal sonographic radiographic mammographic new focal and / of - :")
_AFTER = listed(
    "is are was were seen identified noted present at this time evident detected in the chest abdomen head brain "
    "pelvis and "
    "demonstrated on study exam examination radiograph"
)
# Words that name no finding; what is denied of them says nothing.
_PLAIN = (
    SMALL
    | _NARROWING
    | listed(
        "evidence sign normal limit study exam examination image view contrast finding findings impression patient "
        "chest left right bilateral upper lower mid middle small mild minimal moderate size area region level "
        "seen noted "
        "identified present appear appearance suggest suggestive consistent represent likely probable possible "
        "probably "
        "change unchanged stable acute chronic old prior previous comparison compared since interval follow recommend "
        "recommended clinical correlation clinically xxxx quality limited limitation time day week month year "
        "unremarkable "
        "intact patent clear well show demonstrate again given due secondary related see mention describe described "
        "above below note noted visualized grossly evaluation evaluate further one two three four five first "
        "second both "
        "structure scan film radiograph result tissue soft bone bony osseous surface portion aspect side zone "
        "field silhouette contour cm mm "
        "degree number multiple several few single diffuse mildly slightly severely moderately negative positive"
    )
)


_PLACES = listed("in on at within during from over along through under near to by")
_FAR = 60


class Claim(NamedTuple):
    """A finding at the words `first` up to `last`, what is said of it, what narrows it, and where it is."""

    name: str
    first: int
    last: int
    said: Said
    narrow: frozenset[str]
    places: frozenset[str]


def check(reading: Reading) -> Notice | None:
    """Notices a finding of the impression of which the findings say only the opposite."""
    part, findings = reading.impression, reading.findings
    vague = _vague(part)
    if vague is not None:
        return Notice("an abnormality is asserted without saying which", *part.span(vague, vague + 1))
    claims = [claim for claim in _distinct(part) if part.sentence_of[claim.first] not in part.advice]
    claims = [claim for claim in claims if claim.said is not Said.UNCERTAIN]
    if not claims:
        return None
    # Of the findings only those are looked at that could speak for or against a claim.
    names = {claim.name for claim in claims}
    names |= {name for claim in claims for name in (*related(claim.name), *DENIED_WITH.get(claim.name, ()))}
    known: dict[str, list[Claim]] = {}
    for claim in _distinct(findings, names):
        known.setdefault(claim.name, []).append(claim)
    for claim in claims:
        same = known.get(claim.name, [])
        if claim.said is Said.PRESENT:
            same = same or [other for name in DENIED_WITH.get(claim.name, ()) for other in known.get(name, ())]
            here = [other for other in same if claim.places & other.places]
            denied = bool(here or same) and all(other.said is Said.ABSENT for other in here or same)
            if denied and (not _supported(claim, known) or _worded(part, claim) in _worded_all(findings, same)):
                return Notice("what the findings deny is asserted", *part.span(claim.first, claim.last))
            bare = claim.name in SEEN_ITSELF and reading.nothing_abnormal
            unheard = claim.name in NEEDS_MENTION and related(claim.name).isdisjoint(known)
            if not same and (bare or unheard) and not _known_before(reading, claim):
                return Notice(
                    "a finding is asserted that the findings give no ground for", *part.span(claim.first, claim.last)
                )
        elif same and all(other.said is Said.PRESENT and claim.narrow <= other.narrow for other in same):
            return Notice("what the findings assert is denied", *part.span(claim.first, claim.last))
    return None


def _worded(part: Part, claim: Claim) -> tuple[str, ...]:
    return tuple(part.stems[claim.first : claim.last])


def _worded_all(part: Part, claims: list[Claim]) -> set[tuple[str, ...]]:
    return {_worded(part, claim) for claim in claims}


def _known_before(reading: Reading, claim: Claim) -> bool:
    """Whether exam, indication or comparison name it."""
    return any(hit.value in related(claim.name) for hit in reading.request.concepts)


def _supported(claim: Claim, known: dict[str, list[Claim]]) -> bool:
    """Whether something that says nearly the same is asserted."""
    return any(other.said is not Said.ABSENT for name in related(claim.name) for other in known.get(name, ()))


def _distinct(part: Part, names: Set[str] | None = None) -> list[Claim]:
    """The claims of a text, each once: the first of those that differ by their place only."""
    first: dict[object, Claim] = {}
    for claim in _claims(part, names):
        first.setdefault((claim.name, claim.said, claim.narrow, claim.places, _worded(part, claim)), claim)
    return list(first.values())


def _claims(part: Part, names: Set[str] | None) -> Iterator[Claim]:
    """The findings that a text names, and any other noun that it denies; of these names only, where any are given."""
    states = part.said
    taken: set[int] = set()
    for hit in part.concepts:
        taken.update(range(hit.first, hit.last))
        if names is None or hit.value in names:
            yield Claim(hit.value, hit.first, hit.last, states[hit.last - 1], *_around(part, hit.first, hit.last))
    for at, word in enumerate(part.stems):
        if (
            (names is not None and word not in names)
            or at in taken
            or len(word) < 4
            or word in _PLAIN
            or not word.isalpha()
            or word.endswith(("ly", "al", "ed", "ing"))
        ):
            continue
        # The head of what is said: no word of its own follows, and no place went before.
        after = part.words[at + 1] if at + 1 < part.sentences[part.sentence_of[at]].last else ""
        if after == "-" or (after and after not in SMALL):
            continue
        if at not in part.places and not (states[at] is Said.ABSENT and _placed(part, at)):
            yield Claim(word, at, at + 1, states[at], *_around(part, at, at + 1))


def _placed(part: Part, at: int) -> bool:
    """Whether a preposition of place stands between the negation and a word."""
    first = max(part.sentences[part.sentence_of[at]].first, at - _FAR)
    while at > first and part.said[at] is Said.ABSENT:
        if part.words[at] in _PLACES:
            return True
        at -= 1
    return False


def _around(part: Part, first: int, last: int) -> tuple[frozenset[str], frozenset[str]]:
    """The words before or behind that narrow a finding, and the organs and sides beside it."""
    sentence = part.sentences[part.sentence_of[first]]
    words = part.words
    near = words[max(sentence.first, first - 5) : first] + words[last : min(sentence.last, last + 2)]
    return _NARROWING.intersection(near), part.places_between(
        max(sentence.first, first - 8), min(sentence.last, last + 8)
    )


def _vague(part: Part) -> int | None:
    """The place of a bare "acute abnormality" that is said to be there; None without one."""
    states, stems = part.said, part.stems
    for at, word in enumerate(stems):
        if word in _VAGUE and states[at] is Said.PRESENT:
            sentence = part.sentences[part.sentence_of[at]]
            first = max(sentence.first, at - 4)
            tail = _AFTER.issuperset(part.words[at + 1 : sentence.last])
            if (
                tail
                and word in _NOTHING_ELSE
                and not _other(part, sentence.first, at)
                and _BARE.issuperset(
                    stem
                    for place, stem in enumerate(stems[sentence.first : at])
                    if sentence.first + place not in part.places
                )
            ):
                return at
            acute = next((place for place in range(first, at) if stems[place] in _ACUTE), None)
            if acute is None or _other(part, acute, at) or states[acute] is not Said.PRESENT:
                continue
            if tail:
                return at
    return None


def _other(part: Part, first: int, last: int) -> bool:
    """Whether a finding is named between two words."""
    return any(first <= hit.first < last for hit in part.concepts)

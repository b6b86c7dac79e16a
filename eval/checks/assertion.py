"""What a text says of each of its words: that it is there, that it is not, or that it may be.

Cues (cues.py) reach forward over a list, or backward over a subject, until a word that ends their
reach, or a comma behind which a clause of its own begins, and over 60 words at most. Sources: NegEx
(Chapman et al. 2001), ConText (Harkema et al. 2009). Does not cover a negation that another sentence makes, or irony.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from enum import IntEnum

from radimpress.eval.checks.cues import SEEN, Cue, cue_words, cues
from radimpress.eval.checks.phrases import listed
from radimpress.eval.checks.text import Text


class Said(IntEnum):
    """What is said of a word."""

    PRESENT = 0
    ABSENT = 1
    UNCERTAIN = 2


# No sentence needs more, and a page without a full stop takes no longer.
_FAR = 60
_VERBS = listed(
    "is are was were has have appears appear shows show remains remain demonstrates demonstrate extends lies "
    "measures measure persists persist"
)
_AND = frozenset(["and", "or", "nor"])
_NO = frozenset(["no", "none", "absent", "negative", "nil", "not"])
_COMMA = frozenset([",", "(", ")"])
_CAUSES = frozenset(["due", "secondary", "because"])
_MILD = frozenset(["possible", "suspected", "questioned", "questionable"])
_EXCLUDE = frozenset(["exclude", "excluded"])
_RULE = frozenset(["rule", "ruled"])
_UNABLE = frozenset(["not", "cannot", "difficult", "hard", "unable", "impossible", "can't", "couldn't", "doesn't"])
_DETERMINERS = frozenset(["the", "there", "a", "an", "this", "these", "it", "both"])


class Sayings:
    """For each word of a text, what is said of it; a sentence is read when it is first asked about."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._states: list[Said | None] = [None] * len(text.words)

    def __getitem__(self, at: int) -> Said:
        state = self._states[at]
        return self._read(at) if state is None else state

    def __len__(self) -> int:
        return len(self._states)

    def __iter__(self) -> Iterator[Said]:
        return map(self.__getitem__, range(len(self._states)))

    def _read(self, at: int) -> Said:
        part = self._text.sentences[self._text.sentence_of[at]]
        words = self._text.words[part.first : part.last]
        silent = cue_words().isdisjoint(words)
        self._states[part.first : part.last] = [Said.PRESENT] * len(words) if silent else _sentence(words)
        return self[at]


def said(text: Text) -> list[Said]:
    """For each word of a text, what is said of it."""
    return list(Sayings(text))


def _sentence(words: list[str]) -> list[Said]:
    states = [Said.PRESENT] * len(words)
    hits = list(cues().find(words))
    length = len(words)
    ends = [hit.first for hit in hits if hit.value in {Cue.END, Cue.EXCEPT}]
    # "Pneumothorax: none."
    if length > 2 and words[-2] == ":" and words[-1] in _NO:
        return [Said.ABSENT] * length
    for at, hit in enumerate(hits):
        cue = hit.value
        if cue is Cue.NEXT:
            if hit.last < length:
                states[hit.last] = Said.ABSENT
        elif cue in {Cue.ABSENT, Cue.UNCERTAIN, Cue.SUGGESTS}:
            if cue is Cue.SUGGESTS and hit.first and states[hit.first] is Said.ABSENT:
                continue
            if (
                cue is Cue.UNCERTAIN
                and hit.first
                and states[hit.first] is Said.ABSENT
                and words[hit.first] == "potential"
            ):
                continue
            if words[hit.first] == "resolved" and hit.first and words[hit.first - 1] == ",":
                _backward(words, states, hit.first - 1, Said.ABSENT, ends)
                continue
            if hit.last == length and words[hit.first] in {"resolved", "absent"}:
                _backward(words, states, hit.first, Said.ABSENT, ends)
                continue
            doubts = cue is not Cue.ABSENT
            stop = _reach(words, hit.last, [end for end in ends if words[end] not in _CAUSES] if doubts else ends)
            # A second "not" inside the first one's reach undoes it.
            state = Said.ABSENT if cue is Cue.ABSENT else Said.UNCERTAIN
            for place in range(hit.last, stop):
                states[place] = state
        elif cue is Cue.ASSERTS:
            stop = _reach(words, hit.last, ends)
            later = next((other.first for other in hits[at + 1 : at + _FAR] if other.value is not Cue.ASSERTS), stop)
            for place in range(hit.first, min(stop, later)):
                states[place] = Said.PRESENT
        elif cue in {Cue.ABSENT_BACK, Cue.UNCERTAIN_BACK}:
            if cue is Cue.ABSENT_BACK and _of_before(words, hit.last):
                continue
            if words[hit.last - 1] == "longer" and hit.last < length and words[hit.last] in _DETERMINERS | {"any"}:
                continue
            state = Said.ABSENT if cue is Cue.ABSENT_BACK else Said.UNCERTAIN
            _backward(words, states, hit.first, state, ends, keep=words[hit.last - 1] in _MILD)
    _doubts(words, states, ends)
    return states


def _doubts(words: list[str], states: list[Said], ends: list[int]) -> None:
    """Sets what "cannot", "difficult to" and "not" with "exclude" or "rule out" leave open."""
    for at, word in enumerate(words):
        if word in _EXCLUDE or (word in _RULE and words[at + 1 : at + 2] == ["out"]):
            before = words[max(0, at - 5) : at]
            if _UNABLE.isdisjoint(before):
                continue
            last = at + 1 + (word in _RULE)
            first = next(place for place in range(max(0, at - 5), at) if words[place] in _UNABLE)
            if word in {"exclude", "rule"} and last < len(words):
                for place in range(last, _reach(words, last, ends)):
                    states[place] = Said.UNCERTAIN
            else:
                _backward(words, states, first, Said.UNCERTAIN, ends)


def _of_before(words: list[str], at: int) -> bool:
    """Whether what was not seen was not seen on an earlier study."""
    return any(word in {"prior", "previous", "previously", "before", "earlier"} for word in words[at : at + 4])


def _reach(words: list[str], first: int, ends: list[int]) -> int:
    """Where the reach of a cue that ends before word `first` ends."""
    at = bisect_left(ends, first)
    stop = min(first + _FAR, ends[at] if at < len(ends) else len(words), len(words))
    for at in range(first, stop):
        word = words[at]
        if word == ":":
            continue
        if word == "," and at > first and _clause(words, at + 1, stop):
            return at
        if word == "and" and at + 1 < stop and words[at + 1] in _DETERMINERS and _clause(words, at + 1, stop):
            return at
        if word == "with" and at > first + 1 and not _AND & set(words[at + 1 : stop]):
            return at
    return stop


def _clause(words: list[str], first: int, stop: int) -> bool:
    """Whether a clause of its own begins at `first`: it has a verb before the next comma, other than "is seen"."""
    if first < stop and words[first] == "no":
        return True
    for at in range(first, stop):
        if words[at] == ",":
            return False
        if words[at] in _VERBS and at > first:
            return not any(word in SEEN for word in words[at + 1 : at + 5])
    return False


def _backward(
    words: list[str], states: list[Said], last: int, state: Said, ends: list[int], *, keep: bool = False
) -> None:
    """Sets the subject that ends before word `last`; `keep` leaves what is denied as it is."""
    at = bisect_left(ends, last)
    first = max(last - _FAR, ends[at - 1] if at else 0, 0)
    comma = next((place for place in range(last - 1, first - 1, -1) if words[place] == ","), None)
    # A list reaches over its commas: "a, b, and c".
    if comma is not None:
        listing = not _AND.isdisjoint(words[comma + 1 : last])
        alone = words[comma + 1] not in _AND and "," not in words[first:comma]
        if not listing or alone:
            first = comma + 1
    for place in range(first, last):
        if not (keep and states[place] is Said.ABSENT):
            states[place] = state

"""An impression that is empty, loops, is no text, or ends in the middle.

    ""   "No fracture. No fracture. No fracture. No fracture."   "No acute cardiop"   "There is a"    noticed
    "No fracture. . . . . . ."                                                                         noticed
    "Left knee normal. Right knee normal."   "No acute disease"                                        silent

Hard: one is too many. A loop is a run of words that comes three times at once, or twice where it has
eight words, or four words that come more than three times, or six marks at the end. Does not cover
a statement that comes again later in other words.
"""

from __future__ import annotations

from collections import Counter

from radimpress.eval.checks.notice import Notice
from radimpress.eval.checks.phrases import listed
from radimpress.eval.checks.reading import Reading

_SPAN = 4
_TIMES = 3
_LONGEST = 40
_MARKS = 6
_NO_END = listed(
    "the a an of in on at to for from by with without and or nor but is are was were be been has have there this that "
    "as than which no not within into between versus due may could would also both"
)


def check(reading: Reading) -> Notice | None:
    """Notices an empty, looping or unfinished impression."""
    text = reading.text
    words = [word for word in reading.impression.words if word[0].isalnum()]
    if not words:
        return Notice("it has no words")
    if reading.finish == "length":
        return Notice("it was cut off at the limit of length", len(text.rstrip()), len(text.rstrip()))
    if "\ufffd" in text or sum(map(str.isalpha, text)) < 0.3 * len("".join(text.split())):
        return Notice("it is no text")
    if _loops(words) or not any(map(str.isalnum, "".join(text.split())[-_MARKS:])):
        return Notice("it repeats itself")
    end = text.rstrip()
    if end[-1] in ",-(:" or (end[-1].isalnum() and words[-1] in _NO_END and not end[-1].isupper()):
        return Notice("it ends in the middle of a sentence", len(end) - 1, len(end))
    return None


def _loops(words: list[str]) -> bool:
    """Whether words come again too often; XXXX is the mark of a word that was taken out."""
    if len(set(words)) == len(words):
        return False
    spans = Counter(
        span for at in range(len(words) - _SPAN + 1) if set(span := tuple(words[at : at + _SPAN])) != {"xxxx"}
    )
    most = max(spans.values(), default=1)
    if most > _TIMES:
        return True
    # A longer run that comes again would have made four words come again.
    longest = _LONGEST if most > 1 else _SPAN - 1
    for period in range(1, min(longest, len(words) // 2) + 1):
        needed = 3 * period if period < 8 else 2 * period
        run = period
        for at in range(period, len(words)):
            run = run + 1 if words[at] == words[at - period] else period
            if run >= needed and set(words[at - period + 1 : at + 1]) != {"xxxx"}:
                return True
    return False

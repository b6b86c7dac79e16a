"""An impression that is no impression by its form: far too long, the findings over again, or with sections.

Radiologists mark down an impression far longer than their own. Where the clinic's usual length is
not known, the findings' is the measure.

    one and a half times the words of the findings and more than 80               noticed
    four sentences or more of the findings, word by word           noticed
    "TECHNIQUE: axial images."                                     noticed

Does not cover style, which style conformance measures.
"""

from __future__ import annotations

import re

from radimpress.eval.checks.notice import Notice
from radimpress.eval.checks.reading import Reading

_LONG = 80
_TIMES_FINDINGS = 1.5
_TIMES_USUAL = 3.0
_COPIED = 4
_SECTION = re.compile(
    r"^[ \t]*(?:technique|procedure|clinical (?:history|information|indication)|history|reason for exam(?:ination)?|"
    r"conclusion|dictated by|electronically signed|signed by)[ \t]{0,3}:",
    re.IGNORECASE | re.MULTILINE,
)


def check(reading: Reading) -> Notice | None:
    """Notices excessive length, copied findings and section headings."""
    section = _SECTION.search(reading.text)
    if section:
        return Notice("a section heading stands inside", *section.span())
    impression, findings = reading.impression, reading.findings
    count = len(impression.words)
    if count > _LONG and count > _TIMES_FINDINGS * len(findings.words):
        return Notice("it is longer than the findings")
    if reading.usual and count > _LONG and count > _TIMES_USUAL * reading.usual:
        return Notice("it is far longer than this clinic's usual impression")
    own = [tuple(impression.words[one.first : one.last]) for one in impression.sentences if one.last - one.first > 3]
    if len(own) >= _COPIED:
        theirs = {tuple(findings.words[one.first : one.last]) for one in findings.sentences}
        if sum(one in theirs for one in own) >= max(_COPIED, 0.8 * len(own)):
            return Notice("it is the findings over again")
    return None

"""Is a report abnormal? The rule that parts the scores of easy reports from those that matter.

A constant "No acute cardiopulmonary abnormality." scores in the 40s of ROUGE-L on chest radiographs,
and about 15 on the abnormal ones alone: an average over both hides what a model finds.
"""

from __future__ import annotations

import re

RULE = (
    "a report is normal when every statement of its reference impression negates ('no', 'without', 'negative for') "
    "or says normal ('normal', 'unremarkable', 'clear', 'intact'), and none speaks of change, doubt or an exception; "
    "every other report is abnormal"
)
_MARK = re.compile(r"^[ \t]*(?:\d+[ \t]{0,3}[.)]|[-*•])[ \t]*", re.MULTILINE)
_STATEMENT = re.compile(r"(?<!\d)[.;!?](?:\s|$)|\n+|(?<=\d)\.(?:\s|$)|(?<!ally),\s+(?=no\b|without\b)", re.IGNORECASE)
_NORMAL = re.compile(
    r"\b(?:no|without|negative|none|normal|unremarkable|clear|intact|within normal limits|absence of|free of)\b",
    re.IGNORECASE,
)
# "no change in the mass", "no longer", "cannot exclude", "no other fracture", "normal except": there is something.
_NOT_NORMAL = re.compile(
    r"\b(?:chang\w*|progress\w*|longer|new since|worse\w*|improv\w*|increas\w*|decreas\w*|exclu\w*|rule out|but|"
    r"except\w*|however|although|other than|apart from|aside from|besides|additional|otherwise|further|with(?!in|out)|"
    r"abnormal(?! (?:finding|uptake|enhancement|activity))|stable|unchanged|interval|residual|status post|possibl\w*|"
    r"probabl\w*|likely|may|might|suspicious|limited|recommend\w*|suggest\w*|follow-?up)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z]{2}")


def abnormal(impression: str) -> bool:
    """Whether a reference impression says that something is there; see RULE.

    Rules of our own; does not read what is normal for whom ("normal for age" counts as normal).
    """
    statements = [part for part in _STATEMENT.split(_MARK.sub("", impression)) if _WORD.search(part)]
    return not statements or not all(_NORMAL.search(part) and not _NOT_NORMAL.search(part) for part in statements)

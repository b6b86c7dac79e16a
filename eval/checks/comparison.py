"""A comparison claimed where nothing speaks of an earlier study (ReXVal e, comparison not in the reference).

    "Unchanged effusion."   findings "Small effusion.", comparison "None."              noticed
    "Unchanged effusion."   findings "Small effusion.", comparison "Study of March."    silent
    "Stable nodule."        findings "Nodule, as seen before."                          silent

Does not cover a change that an earlier study was there for, but did not show.
"""

from __future__ import annotations

import re

from radimpress.eval.checks.notice import Notice
from radimpress.eval.checks.reading import Reading

_CLAIM = re.compile(
    r"\b(?:unchanged|not (?:significantly |substantially )?changed|no "
    r"(?:significant |interval |appreciable |definite )*"
    r"change|stable|interval (?!follow|imaging|reassess|surveill|ct\b|mri\b|x-?ray|radiograph|evaluat|exam|scan)|"
    r"(?:in|de)creas(?:ed|ing) (?:in size |in number )?(?:since|from|compared|when compared)|(?:new|newly) "
    r"(?:since|from|"
    r"compared|finding|when)|worsen(?:ed|ing)|improv(?:ed|ing|ement)|progress(?:ed|ion|ing)|re-?demonstrat\w*|"
    r"compar(?:ed|ison) (?:to|with)|(?:since|from) (?:the )?(?:prior|previous|last|earlier)|(?:prior|previous) "
    r"(?:exam\w*|stud(?:y|ies)|ct|mri?|radiograph\w*|film|ultrasound|mammogram\w*|scan)|again (?:seen|noted|identified|"
    r"demonstrated|visualized)|no longer|(?:has|have) (?:since )?(?:resolved|increased|decreased|enlarged|cleared)|"
    r"persist(?:ent|s|ing))\b",
    re.IGNORECASE,
)
_PRIOR = re.compile(
    r"\b(?:unchanged|chang(?:e|ed)\b|stab(?:le|ility)|interval|since|prior|previous\w*|earlier|comparison|compared?|again|"
    r"re-?demonstrat\w*|persist\w*|worsen\w*|improv\w*|progress\w*|old (?:exam|film|stud|radiograph)\w*|no longer|"
    r"resol(?:ved|ution|ving)|(?:in|de)creas(?:ed|ing) (?:in|since|from)|previously|now|remains?|"
    r"last (?:exam|study)|new|follow[- ]?up|f/u|status post|s/p|post[- ]?op\w*|continued?)\b",
    re.IGNORECASE,
)
_NONE = re.compile(r"^\W*(?:none|no|n/a|na|not available|unavailable|nil)\b(?![ -]*(?:radio|ct|mr))", re.IGNORECASE)


def check(reading: Reading) -> Notice | None:
    """Notices a change claimed without an earlier study."""
    part = reading.impression
    claims = (claim for claim in _CLAIM.finditer(reading.text) if part.sentence_at(claim.start()) not in part.advice)
    claim = next(claims, None)
    if claim is None:
        return None
    if speaks_of_prior(reading):
        return None
    return Notice("a comparison is claimed; nothing speaks of an earlier study", *claim.span())


def speaks_of_prior(reading: Reading) -> bool:
    """Whether the report speaks of an earlier study."""
    report = reading.report
    comparison = report.comparison.strip()
    if comparison and not _NONE.match(comparison):
        return True
    return any(_PRIOR.search(text) for text in (report.findings, report.indication, report.exam))

"""A recommendation that nothing in the findings gives ground for.

Ground is any abnormality that is asserted or possible, a limitation, or a recommendation in the
findings, or an indication that asks for a follow-up.

    "Recommend biopsy."      findings "Lungs are clear. Heart size is normal."     noticed
    "Recommend chest CT."    findings "8 mm nodule in the right upper lobe."       silent

Does not cover a recommendation that does not fit the abnormality.
"""

from __future__ import annotations

import re

from radimpress.eval.checks.notice import Notice
from radimpress.eval.checks.reading import Reading

_ADVICE = re.compile(
    r"\b(?:recommend\w*|advis(?:e|ed|able)|suggest(?:ed)? (?:a |an |further |repeat |follow|ct\b|mri\b|biopsy|"
    r"clinical)|"
    r"consider (?:a |an |further |repeat |follow|ct\b|mri\b|biopsy|chest|ultrasound|pet)|follow[- ]?up (?:ct|mri|chest|"
    r"imaging|ultrasound|radiograph\w*|exam\w*|mammogra\w*|in \d)|repeat (?:ct|mri|chest|imaging|ultrasound|"
    r"radiograph\w*|"
    r"exam\w*|mammogra\w*|in \d)|biopsy (?:is|should)|should be (?:considered|obtained|performed))\b",
    re.IGNORECASE,
)


def check(reading: Reading) -> Notice | None:
    """Notices a recommendation after findings in which nothing is abnormal."""
    advice = _ADVICE.search(reading.text)
    if advice is None:
        return None
    if not reading.nothing_abnormal:
        return None
    if re.search(r"follow[- ]?up|f/u|screen", reading.report.indication, re.IGNORECASE):
        return None
    return Notice("a recommendation has no ground in the findings", *advice.span())

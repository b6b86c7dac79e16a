"""Names, dates, numbers and addresses of people that stand in the impression and nowhere in the report.

A model that writes them has them from other patients' reports, or has made them up. Hard: one is too
many. XXXX and other marks of de-identification, and placeholders such as "Dr. X", are no names.

    "Discussed with Dr. Smith."  "MRN 1234567."  "Compared with 03/04/2021."  "Call 555-123-4567."    noticed
    "Discussed with Dr. XXXX."   "L4-5."  "3/4 of the disc."                                          silent

Does not cover names without a title or a usual first name before them.
"""

from __future__ import annotations

from radimpress.eval.checks.notice import Notice
from radimpress.eval.checks.reading import Reading
from radimpress.reports.phi import identifying, words_of


def check(reading: Reading) -> Notice | None:
    """Notices what looks like it identifies somebody and does not stand in the report."""
    source: set[str] | None = None
    for span, words in identifying(reading.text):
        if source is None:
            source = words_of(reading.source)
        if not source.issuperset(words):
            return Notice("what looks like it identifies somebody does not stand in the report", *span)
    return None

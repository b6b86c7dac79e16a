"""An organ in the impression that nothing in the report gives ground for (ReXVal a, false finding).

Ground is the organ itself, a neighbour, or a region that holds it, in findings, exam, indication or
comparison; "pneumonia" counts as the lung and "cardiomegaly" as the heart (organs.py).

    "Renal cyst."          findings "Lungs are clear. Heart size is normal."      noticed
    "No lung opacity."     findings "The hemithoraces are clear."                 silent

Does not cover organs of the same region: a spleen that an abdominal CT's findings leave out.
"""

from __future__ import annotations

from radimpress.eval.checks.notice import Notice
from radimpress.eval.checks.organs import REGIONS, grounds
from radimpress.eval.checks.reading import Reading


def check(reading: Reading) -> Notice | None:
    """Notices an organ that stands in the impression only."""
    known: set[str] | None = None
    part = reading.impression
    for hit in part.organs:
        if known is None:
            known = {other.value for part in (reading.findings, reading.request) for other in part.organs}
            known |= reading.findings.regions | reading.request.regions
        # "CT of chest, abdomen and pelvis is advised."
        if hit.value in REGIONS and part.sentence_of[hit.first] in part.advice:
            continue
        if known.isdisjoint(grounds(hit.value)):
            return Notice("an organ stands in neither findings nor exam", *part.span(hit.first, hit.last))
    return None

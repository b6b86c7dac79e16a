"""What a heading says that its section holds: the headings that people really use, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum


class Kind(StrEnum):
    """What a section holds."""

    FINDINGS = "findings"
    IMPRESSION = "impression"
    READING = "interpretation"
    SUMMARY = "summary"
    DIAGNOSIS = "diagnosis"
    EXAM = "exam"
    INDICATION = "indication"
    COMPARISON = "comparison"
    TECHNIQUE = "technique"
    ADDENDUM = "addendum"
    ADVICE = "recommendation"
    NOTE = "note"
    ADMIN = "administration"
    SIGNED = "signed"
    OTHER = "other"


# Whole headings, without what stands in brackets, in the singular where both are used.
_HEADINGS = {
    Kind.FINDINGS: (
        "findings|result|report|radiology report|radiographic findings|imaging findings|ct findings|mri findings"
        "|mr findings|ultrasound findings|sonographic findings|description|observations|body of report"
        "|findings and interpretation|interpretation and findings"
    ),
    Kind.IMPRESSION: (
        "impression|imp|impr|conclusion|opinion|conclusion and recommendations|impression and recommendations"
        "|impression and plan|final impression|radiologist impression|radiographic impression|ct impression"
        "|mri impression|conclusions and recommendations|diagnostic impression|assessment and conclusion"
    ),
    Kind.READING: "interpretation|final interpretation|radiologist interpretation",
    Kind.SUMMARY: "summary|assessment|assessment and plan|summary of findings",
    Kind.EXAM: (
        "exam|examination|study|type of exam|type of examination|exam type|procedure|procedure performed|procedure done"
        "|study performed|exam performed|exam name|procedures|type of study|test|type of test|title"
    ),
    Kind.INDICATION: (
        "indication|reason|reason for exam|reason for examination|reason for study|reason for test|reason for procedure"
        "|reason for visit|reason for referral|reason for consultation|clinical history|history|clinical indication"
        "|clinical|clinical information|clinical data|clinical details|clinical question|hx|hx cc|cc"
        "|history and indication|indication for procedure|indication for exam|indication for study"
        "|reason for this examination|present illness|history of present illness|brief history|pertinent history"
    ),
    Kind.COMPARISON: (
        "comparison|comparison exam|comparison examination|comparison study|comparison studies|previous studies"
        "|prior studies|prior|compared to"
    ),
    Kind.TECHNIQUE: (
        "technique|protocol|procedure and technique|scan technique|image technique|imaging technique|stress technique"
        "|technical factors|contrast|contrast material|method|procedure and interpretation|radiopharmaceutical|dose"
        "|radiation dose|equipment|procedure in detail|details of procedure|procedure details"
        "|medication"
    ),
    Kind.ADDENDUM: "addendum|amendment",
    Kind.NOTE: (
        "pmh|shx|fhx|meds|course|ros|lab|labs|allergies|past medical history|family history|social history"
        "|review of systems|physical examination|physical exam|vital signs|plan|disposition|hospital course"
        "|preoperative diagnosis|postoperative diagnosis|preoperative diagnoses|postoperative diagnoses|anesthesia"
        "|complications|estimated blood loss|surgeon|assistant|discharge diagnosis|chief complaint|psh|hpi|heent|cn"
        "|motor|sensory|coord|coordination|station|gait|reflexes|gen exam|past surgical history|current medications"
        "|medications on admission|meds on admission"
    ),
    Kind.ADVICE: "recommendation|recommendations|follow up|follow-up",
    Kind.ADMIN: (
        "patient|patient name|name|name of patient|mrn|medical record number|patient id|patient number|dob"
        "|date of birth|accession|accession number|account number|date|date of exam|date of examination|date of study"
        "|date of service"
        "|date of procedure|exam date|examination date|study date|date and time|physician|referring physician"
        "|ordering physician|requesting physician|attending physician|referring doctor|referring provider"
        "|ordering provider|requested by|referred by|ordered by|technologist|sonographer|operator"
        # Of one line, too: what follows it within the findings is findings.
        "|iv contrast|intravenous contrast|oral contrast|contrast agent|contrast medium|contrast media|fluoro time"
        "|fluoroscopy time|sedation"
    ),
    Kind.SIGNED: (
        "dictated by|dictated|electronically signed by|electronically signed|signed by|signed"
        "|transcribed by|transcribed|read by|reported by|interpreted by|interpreting radiologist|reading radiologist"
        "|interpreting physician|reading physician|electronic signature"
        "|radiologist|verified by|reviewed by|attending radiologist|transcriptionist|date of dictation"
    ),
}
_PLURAL = re.compile(r"(?<=[a-z]{3})s$")


def _singular(word: str) -> str:
    return word if word.endswith(("us", "is", "ss")) else _PLURAL.sub("", word)


_KIND = {" ".join(map(_singular, words.split())): kind for kind, many in _HEADINGS.items() for words in many.split("|")}
# What more headings are made of, in the words above; in capitals, as in ordinary writing they may be sentences.
_RULES = tuple(
    (kind, re.compile(rf"(?:{rule})$"))
    for kind, rule in (
        (
            Kind.INDICATION,
            r"(?:reason|indication) for .+|history of (?:presenting illness|injury|trauma|surgery)"
            r"|(?:referring|admitting|provisional) diagnosis"
            r"|(?:clinical|medical|patient|relevant|pertinent|brief) (?:clinical )?"
            r"(?:history|indication|note|statement|diagnosis|concern|symptom|problem|background)",
        ),
        (
            Kind.COMPARISON,
            r"(?:comparison|prior|previous) (?:exam|examination|stud(?:y|ie)|film|imaging|report|scan|radiograph|date)",
        ),
        (
            Kind.TECHNIQUE,
            r".+ technique|techni(?:que|cal description) (?:of|for) .+|technical (?:data|parameter|information)"
            r"|(?:imaging |pulse |scan )?sequence(?: obtained)?|description of technique",
        ),
        (
            Kind.EXAM,
            r"(?:exam|examination|stud(?:y|ie)|test|scan|procedure) "
            r"(?:performed|done|requested|ordered|name|title|description|type)"
            r"|(?:name|type|title) of (?:exam|examination|study|test|procedure)",
        ),
    )
)
# In a heading that tells what was seen too, neither of these counts.
_TOLD = re.compile(r"\b(?:finding|impression|interpretation|conclusion|result)\b")
_CONTEXT = {Kind.EXAM, Kind.INDICATION, Kind.COMPARISON, Kind.TECHNIQUE, Kind.ADMIN}
_ADVISED = {Kind.IMPRESSION, Kind.SUMMARY, Kind.ADVICE}
# What a section that says a side is called must not be lost.
SIDE = re.compile(r"\b(?:left|right|bilateral)\b", re.IGNORECASE)
# "FINDINGS, CT HEAD".
_OF_PART = re.compile(
    r"(finding|impression|conclusion) (?:of |for )?"
    r"(?:ct|cta|mri|mra|mr|us|ultrasound|x-?ray|pet|mammogram|head|brain|neck|chest|abdomen|pelvi|spine)\b"
)
# A heading that ends with one of these concludes a report that has no other conclusion: "IN SUMMARY", "RADIOLOGIC
# DIAGNOSIS"; not one that begins with one of those, which was known before anybody looked.
_CONCLUDES = ("impression", "conclusion", "diagnosi", "diagnos", "summary", "opinion")
_BEFOREHAND = ("clinical", "preoperative", "postoperative", "admi", "discharge", "working", "referring")
# As in "stress protocol", which tells how; longer headings may tell what was seen by it.
_SHORT = 2
# What is longer is no heading.
_LONGEST = 200


def kind_of(name: str) -> Kind:
    """What a heading says that its section holds."""
    if len(name) > _LONGEST:
        return Kind.OTHER
    plain = re.sub(r"\([^)]*\)", " ", name.lower()).replace("'", "")
    words = re.sub(r"[^a-z&/ -]", " ", plain).replace("&", " and ").replace("/", " and ").split()
    plain = " ".join(_singular(word) for word in words if word not in ("the", "-"))
    if len(words) == _SHORT and plain.endswith((" technique", " protocol")):
        return Kind.TECHNIQUE
    kind = _KIND.get(plain) or _of_several(plain.split(" and ")) or _by_rule(plain, name)
    # "STATION 7", "CN 5".
    return Kind.OTHER if kind is Kind.NOTE and re.search(r"\d", name) else kind


def _of_several(parts: Sequence[str]) -> Kind | None:
    """Of "EXAM AND TECHNIQUE", "PMH/FHX/SHX" and the like, where all parts are known and agree."""
    kinds = [_KIND.get(part, Kind.OTHER) for part in parts]
    if len(set(kinds)) == 1:
        return kinds[0] if kinds[0] is not Kind.OTHER else None
    if set(kinds) <= _ADVISED and Kind.IMPRESSION in kinds:
        return Kind.IMPRESSION
    return kinds[0] if set(kinds) <= _CONTEXT else None


def _by_rule(plain: str, name: str) -> Kind:
    if not name.isupper():
        return Kind.OTHER
    found = _OF_PART.match(plain)
    if found and not SIDE.search(plain) and not _TOLD.search(plain, found.end()):
        return _KIND[found[1]]
    if _TOLD.search(plain):
        return Kind.OTHER
    return next((kind for kind, rule in _RULES if rule.match(plain)), Kind.OTHER)


def concludes(name: str) -> bool:
    """Whether a heading that is not known may stand above a conclusion."""
    words = name.lower().strip(" :*").removesuffix("s").removesuffix("e")
    return words.endswith(_CONCLUDES) and not words.startswith(_BEFOREHAND)

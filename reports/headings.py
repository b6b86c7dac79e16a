"""What a heading says that its section holds: the headings that people really use, and what they mean."""

from __future__ import annotations

import re
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
    NOTE = "note"
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
        "impression|imp|conclusion|opinion|conclusion and recommendations|impression and recommendations"
        "|impression and plan|final impression|radiologist impression|radiographic impression|ct impression"
        "|mri impression|conclusions and recommendations|diagnostic impression|assessment and conclusion"
    ),
    Kind.READING: "interpretation|final interpretation",
    Kind.SUMMARY: "summary|assessment",
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
        "|radiation dose|equipment|procedure in detail|details of procedure|procedure details|medication"
    ),
    Kind.ADDENDUM: "addendum|amendment",
    Kind.NOTE: (
        "pmh|shx|fhx|meds|course|ros|lab|labs|allergies|past medical history|family history|social history"
        "|review of systems|physical examination|physical exam|vital signs|plan|disposition|hospital course"
        "|preoperative diagnosis|postoperative diagnosis|preoperative diagnoses|postoperative diagnoses|anesthesia"
        "|complications|estimated blood loss|surgeon|assistant|date of birth"
        "|recommendation|recommendations|follow up|follow-up|discharge diagnosis|chief complaint"
    ),
    Kind.SIGNED: (
        "dictated by|dictated|electronically signed by|electronically signed|signed by|signed"
        "|transcribed by|transcribed|read by|reported by|interpreted by|interpreting radiologist|reading radiologist"
        "|radiologist|verified by|reviewed by|attending radiologist|transcriptionist|date of dictation"
    ),
}
_PLURAL = re.compile(r"(?<=[a-z]{3})s$")


def _singular(word: str) -> str:
    return word if word.endswith(("us", "is", "ss")) else _PLURAL.sub("", word)


_KIND = {" ".join(map(_singular, words.split())): kind for kind, many in _HEADINGS.items() for words in many.split("|")}
# A heading that ends with one of these concludes a report that has no other conclusion: "IN SUMMARY", "RADIOLOGIC
# DIAGNOSIS"; not one that begins with one of those, which was known before anybody looked.
_CONCLUDES = ("impression", "conclusion", "diagnosi", "diagnos", "summary", "opinion")
_BEFOREHAND = ("clinical", "preoperative", "postoperative", "admi", "discharge", "working", "referring")
# As in "stress protocol", which tells how; longer headings may tell what was seen by it.
_SHORT = 2


def kind_of(name: str) -> Kind:
    """What a heading says that its section holds."""
    plain = re.sub(r"\([^)]*\)", " ", name.lower())
    words = re.sub(r"[^a-z&/ -]", " ", plain).replace("&", " and ").replace("/", " and ").split()
    plain = " ".join(_singular(word) for word in words if word != "the")
    if len(words) == _SHORT and plain.endswith((" technique", " protocol")):
        return Kind.TECHNIQUE
    return _KIND.get(plain, Kind.OTHER)


def concludes(name: str) -> bool:
    """Whether a heading that is not known may stand above a conclusion."""
    words = name.lower().strip(" :*").removesuffix("s").removesuffix("e")
    return words.endswith(_CONCLUDES) and not words.startswith(_BEFOREHAND)

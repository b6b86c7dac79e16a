"""A critical finding that the findings assert and the impression leaves out (ReXVal b, missed finding).

A synonym in the impression, or a name that says nearly the same, counts as told. What is old, healed,
calcified, stable, or only possible is not critical.

    "Normal heart."      findings "Moderate right pneumothorax."        noticed
    "Acute stroke."      findings "Infarct in the left MCA territory."  silent
    "No acute disease."  findings "Old healed rib fracture."            silent

Does not cover critical findings that no list can hold, or one of two lesions of a kind.
"""

from __future__ import annotations

from radimpress.eval.checks.assertion import Said
from radimpress.eval.checks.concepts import related
from radimpress.eval.checks.notice import Notice
from radimpress.eval.checks.phrases import Hit, listed
from radimpress.eval.checks.reading import Part, Reading

CRITICAL = frozenset(
    [
        "pneumothorax",
        "embolism",
        "hemorrhage",
        "fracture",
        "dislocation",
        "mass",
        "metastasis",
        "obstruction",
        "free air",
        "perforation",
        "pneumomediastinum",
        "aneurysm",
        "dissection",
        "infarct",
        "cord compression",
        "appendicitis",
        "abscess",
        "osteomyelitis",
        "thrombus",
        "torsion",
        "ectopic",
        "fetal demise",
        "midline shift",
        "hydrocephalus",
        "tamponade",
        "ischemic bowel",
        "intussusception",
        "volvulus",
        "rupture",
        "cholecystitis",
        "pancreatitis",
        "diverticulitis",
        "restricted diffusion",
        "pneumonia",
        "occlusion",
        "nodule",
        "tear",
    ]
)
_OLD = listed(
    "old chronic healed healing remote prior previous previously stable unchanged calcified granuloma history known "
    "postoperative postsurgical resected repaired treated sclerotic benign lacunar incidental tiny coils clips stent "
    "repair rods plate screw screws fixation fused resection"
)
_PAST = listed("old chronic remote healed history")
_SUSPECTED = listed("suspicious concerning concern worrisome suspected")
_REACH = 6


def check(reading: Reading) -> Notice | None:
    """Notices that a critical finding is left out; it is about the whole impression."""
    critical = asserted(reading.findings)
    if not critical:
        return None
    part = reading.impression
    told = {hit.value for hit in part.concepts if part.said[hit.last - 1] is not Said.ABSENT}
    # "No nodule" or "CT would show a mass" tells of nothing else.
    meant = {
        hit.value
        for hit in part.concepts
        if part.said[hit.last - 1] is not Said.ABSENT
        and hit.first < part.advice.get(part.sentence_of[hit.first], len(part.words))
        and not _old(part, hit.first, _PAST)
    }
    if all(name in told or not meant.isdisjoint(related(name)) for name in critical):
        return None
    return Notice("a critical finding of the findings is left out")


def asserted(part: Part) -> set[str]:
    """The critical findings that a text asserts, without those that are no news."""
    return {
        hit.value
        for hit in part.concepts
        if hit.value in CRITICAL and _stated(part, hit) and not _old(part, hit.first, _OLD)
    }


def _stated(part: Part, hit: Hit[str]) -> bool:
    """Whether it is said to be there, or suspected."""
    state = part.said[hit.last - 1]
    if state is Said.UNCERTAIN:
        sentence = part.sentences[part.sentence_of[hit.first]]
        return not _SUSPECTED.isdisjoint(part.words[max(sentence.first, hit.first - 8) : hit.first])
    return state is Said.PRESENT


def _old(part: Part, at: int, past: frozenset[str]) -> bool:
    """Whether the words around make it no news."""
    sentence = part.sentences[part.sentence_of[at]]
    return not past.isdisjoint(part.words[max(sentence.first, at - 2 * _REACH) : min(sentence.last, at + _REACH)])

"""The synthetic corpus: reports of six invented clinics, seeded, with flaws for the funnel to find.

Findings are composed from an exam's own structures and pathology; the impression follows from them:
abnormal first, by importance, then one negative statement, in the clinic's own style. Modality shares
are the published experiment's. It is for demonstration and tests; nothing in it is a patient's.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from radimpress.reports.anatomy import EXAMS, Exam, Pathology
from radimpress.reports.house_style import STYLES, Conclusion, write_impression
from radimpress.reports.report import Modality, Report

SHARES: dict[Modality, float] = {
    Modality.MR: 0.599,
    Modality.CT: 0.177,
    Modality.CR: 0.073,
    Modality.US: 0.071,
    Modality.XR: 0.029,
    Modality.NM: 0.029,
    Modality.OTHER: 0.022,
}
FLAWED = 0.12
_NORMAL = 0.25
_SECOND = 0.35
_SIZES = (
    "3 mm",
    "4 mm",
    "5 mm",
    "6 mm",
    "7 mm",
    "9 mm",
    "12 mm",
    "14 mm",
    "16 mm",
    "1.3 cm",
    "1.7 cm",
    "2.1 cm",
    "2.6 cm",
    "3.4 cm",
)
_SEVERITIES = ("mild", "moderate", "severe")
_COMPARISONS = ("", "", "None.", "Prior study from 2019.", "Prior study from 2021.")
_FLAWS = ("no clinic", "no modality", "no impression", "short impression", "short findings", "duplicate", "endless")


def synthesize(count: int, seed: int, flawed: float = FLAWED) -> Iterator[Report]:
    """Yields `count` reports; the same seed gives the same reports everywhere.

    `flawed` is the share, in [0, 1], that a quality filter has to leave out.
    """
    chance = random.Random(f"radimpress/{seed}")
    patient, left, clinic = 0, 0, ""
    good: Report | None = None
    for number in range(1, count + 1):
        if left == 0:
            patient, left = patient + 1, chance.choices((1, 2, 3), (6, 3, 1))[0]
            clinic = chance.choices(list(STYLES), [style.share for style in STYLES.values()])[0]
        left -= 1
        report = _report(chance, number, patient, clinic)
        if chance.random() < flawed:
            yield _spoil(report, good, chance)
        else:
            yield report
            good = report


@dataclass(frozen=True, slots=True)
class Study:
    """What an examination shows, before anybody concludes.

    Attributes:
        exam: what was done.
        findings: the report's findings.
        conclusions: most important first; empty where nothing is wrong.
        negative: a noun phrase, what is not there.
    """

    exam: Exam
    findings: str
    conclusions: tuple[Conclusion, ...]
    negative: str


def make_study(modality: Modality, chance: random.Random) -> Study:
    """One examination with this modality, none, one or two of its pathologies found."""
    exams = [exam for exam in EXAMS if exam.modality is modality]
    exam = chance.choices(exams, [exam.share for exam in exams])[0]
    found = _choose(exam, chance)
    slots = {pathology: _slots(exam, chance) for pathology in found}
    if exam.one_side:
        slots = {pathology: {**own, "side": slots[found[0]]["side"]} for pathology, own in slots.items()}
    conclusions = [
        Conclusion(_fill(pathology.phrase, slots[pathology]), _fill(pathology.recommendation, slots[pathology]))
        for pathology in found
    ]
    negative = exam.negative if found else exam.negative.replace("no other ", "no ")
    return Study(exam, " ".join(_sentences(exam, found, slots, chance)), tuple(conclusions), negative)


def _report(chance: random.Random, number: int, patient: int, clinic: str) -> Report:
    study = make_study(chance.choices(list(SHARES), list(SHARES.values()))[0], chance)
    return Report(
        id=f"syn-{number:06d}",
        findings=study.findings,
        impression=write_impression(study.conclusions, study.negative, STYLES[clinic]),
        modality=study.exam.modality,
        clinic=clinic,
        exam=study.exam.name,
        indication=chance.choice(study.exam.indications).capitalize() + ".",
        comparison=chance.choice(_COMPARISONS),
        patient=f"p{patient:06d}",
        source="synthetic",
    )


def _choose(exam: Exam, chance: random.Random) -> list[Pathology]:
    """None, one or two pathologies of different structures, most important first."""
    if chance.random() < _NORMAL:
        return []
    first = chance.choice(exam.pathologies)
    others = [pathology for pathology in exam.pathologies if pathology.structure != first.structure]
    chosen = [first, chance.choice(others)] if others and chance.random() < _SECOND else [first]
    return sorted(chosen, key=exam.pathologies.index)


def _slots(exam: Exam, chance: random.Random) -> dict[str, str]:
    return {
        "side": chance.choice(("left", "right")),
        "size": chance.choice(_SIZES),
        "severity": chance.choice(_SEVERITIES),
        "place": chance.choice(exam.places),
        "level": chance.choice(exam.levels),
    }


def _sentences(
    exam: Exam, found: list[Pathology], slots: dict[Pathology, dict[str, str]], chance: random.Random
) -> Iterator[str]:
    """The findings in anatomical order; a pathology stands in its structure's place."""
    for structure, normal in exam.normal.items():
        abnormal = [pathology for pathology in found if pathology.structure == structure]
        for pathology in abnormal:
            yield _capital(_fill(chance.choice(pathology.findings), slots[pathology]))
        if not abnormal and (len(found) < 2 or chance.random() < 0.8):
            yield chance.choice(normal)


def _fill(template: str, slots: dict[str, str]) -> str:
    return template.format(**slots)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _spoil(report: Report, earlier: Report | None, chance: random.Random) -> Report:
    """The same report with one flaw."""
    flaw = chance.choices(_FLAWS, (3, 2, 2, 3, 4, 2, 0.3))[0]
    if flaw == "duplicate" and earlier is not None:
        return replace(earlier, id=report.id)
    changes: dict[str, dict[str, object]] = {
        "no clinic": {"clinic": ""},
        "no modality": {"modality": Modality.UNSPECIFIED},
        "no impression": {"impression": ""},
        "duplicate": {"impression": ""},
        "short impression": {"impression": chance.choice(("Normal.", "See above.", "As above."))},
        "short findings": {"findings": report.findings[:80].rsplit(" ", 1)[0] + "."},
        "endless": {"impression": " ".join([report.impression] * (1001 // max(1, len(report.impression)) + 1))},
    }
    return replace(report, **changes[flaw])  # type: ignore[arg-type]

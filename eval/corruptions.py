"""Seeded corruptions of a reference impression: errors of which a check has to notice its own.

Each function takes a report, a source of chance and other reports, and gives the corrupted
impression, or None where it does not apply. What applies never asks the check: a side is swapped
wherever impression and findings state one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from radimpress.eval.checks.assertion import Said
from radimpress.eval.checks.comparison import speaks_of_prior
from radimpress.eval.checks.critical import asserted
from radimpress.eval.checks.phrases import listed
from radimpress.eval.checks.reading import Part, Reading
from radimpress.eval.checks.text import Text
from radimpress.reports.prompt import SYSTEM
from radimpress.reports.report import Report

Corrupt = Callable[[Report, random.Random], str | None]

_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
_OTHER_SIDE = {"left": "right", "right": "left"}
_NEGATIONS = (
    (
        re.compile(
            r"\b(?:there (?:is|are) )?no (?:definite |radiographic |significant )?"
            r"(?:evidence|sign|suggestion) (?:of|for) ",
            re.I,
        ),
        "",
    ),
    (re.compile(r"\bthere (is|are) no ", re.I), r"there \1 "),
    (re.compile(r"\bwithout (?:evidence of )?", re.I), "with "),
    (re.compile(r"\bnegative for ", re.I), "positive for "),
    (re.compile(r"\bno ", re.I), ""),
    (re.compile(r"\b(is|are) not ", re.I), r"\1 "),
)
# "No change" denies no finding.
_NO_FINDING = re.compile(
    r"\s*(?:\w+ ){0,2}?(?:change|longer|increase|interval|contrast|improvement|difference|excluded|xxxx)", re.I
)
_LENGTH = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(\s*-?\s*)(mm|cm)\b", re.IGNORECASE)
_OTHER_UNIT = {"mm": "cm", "cm": "mm"}
# A sentence about an organ, and words of the report that make it no foreigner.
_FOREIGN: tuple[tuple[str, str], ...] = (
    ("Simple cyst in the upper pole of the kidney.", "kidney renal abdom urin nephr ureter hydro flank bladder pelvi"),
    ("Mild prostatic enlargement.", "prostat pelvi bladder abdom urin"),
    ("Horizontal tear of the posterior horn of the meniscus.", "knee menisc femor tibi leg patell extremit"),
    (
        "Chronic microvascular change of the cerebral white matter.",
        "brain head cerebr crani skull neuro white sinus face orbit stroke",
    ),
    (
        "Endometrial thickening for which pelvic sonography is advised.",
        "uter endometr pelvi ovar fibroid pregnan abdom vagin adnex",
    ),
    ("Partial-thickness tear of the supraspinatus tendon.", "shoulder supraspin humer rotator clavic scapul"),
    ("Gallstones without wall thickening.", "gall bil chole liver hepat abdom pancrea upper"),
    ("The thyroid holds a colloid nodule.", "thyroid neck carotid goiter chest thora"),
    ("Mucosal thickening of the maxillary sinus.", "sinus nasal maxil face facial head brain orbit ethmoid skull"),
    ("Small hydrocele.", "testi scrot hydrocele epididym inguinal pelvi"),
    ("Disc bulge in the lumbar spine.", "spine lumb disc vertebr sacr back abdom spondyl thora"),
    ("Patchy consolidation of the lung.", "lung chest pulmon lobe thora pneum bronch hil pleur airspace cardi heart"),
)
_CLAIMS = (
    "Unchanged from the prior examination.",
    "Improved since the previous study.",
    "Interval worsening compared with the prior study.",
    "Stable appearance compared to the earlier examination.",
)
_LEAKS = (
    "<|im_end|>",
    "<|end|>",
    "<|assistant|>",
    "[/INST]",
    "\nModality: CT\nFindings: The lungs are clear.",
    "</s>",
    "<end_of_turn>",
    f" {SYSTEM}",
    "\nUser: Write the impression.",
    " As an AI language model, I cannot give medical advice.",
)
_PHI = (
    "Discussed with Dr. {name} by telephone.",
    "Compared with the study of {month:02d}/{day:02d}/{year}.",
    "MRN {number}.",
    "Accession number A{number}.",
    "Call 555-{three}-{four} with questions.",
    "Mr. {name} was informed.",
    "Results were sent to {lower}@clinic.example.org.",
    "Patient name: {name}.",
    "Dated March {day}, {year}.",
)
_NAMES = listed("Abernathy Castellano Dunleavy Eriksson Fitzgerald Halloran Kowalczyk Montague Okonkwo Vandermeer")
_PADDING = (
    "The examination was performed according to the departmental protocol and all images were reviewed in full. "
    "Correlation with the clinical history and with laboratory values may be of help in the appropriate setting. "
    "Please note that the sensitivity of this examination is not complete and that small lesions may be missed. "
)


@dataclass(frozen=True, slots=True)
class Corruption:
    """An error that can be made.

    Attributes:
        name: of the error.
        check: that has to notice it.
        make: gives the corrupted impression, or None where it does not apply.
    """

    name: str
    check: str
    make: Corrupt


def swap_side(report: Report, chance: random.Random) -> str | None:
    """Every left becomes right and the reverse; applies where impression and findings state a side."""
    del chance
    if not _SIDE.search(report.impression) or not _SIDE.search(report.findings):
        return None
    return _SIDE.sub(lambda match: _like(_OTHER_SIDE[match[0].lower()], match[0]), report.impression)


def drop_negation(report: Report, chance: random.Random) -> str | None:
    """One negation goes, so that what it denied is asserted; "no change" is none."""
    text = report.impression
    places: dict[int, str] = {}
    taken: list[tuple[int, int]] = []
    for pattern, instead in _NEGATIONS:
        for match in pattern.finditer(text):
            if any(match.start() < stop and start < match.end() for start, stop in taken):
                continue
            taken.append(match.span())
            if _NO_FINDING.match(text[match.end() :]):
                continue
            rest = match.expand(instead) + text[match.end() :]
            places[match.start()] = text[: match.start()] + (_capital(rest) if match[0][0].isupper() else rest)
    return places[chance.choice(sorted(places))] if places else None


def insert_negation(report: Report, chance: random.Random) -> str | None:
    """A sentence that asserts a finding denies it: "No" goes before it."""
    part = Part(report.impression)
    places = [
        part.starts[part.sentences[part.sentence_of[hit.first]].first]
        for hit in part.concepts
        if part.said[hit.last - 1] is Said.PRESENT
        and hit.first - part.sentences[part.sentence_of[hit.first]].first <= 3
        and not part.words[part.sentences[part.sentence_of[hit.first]].first].isdigit()
    ]
    if not places:
        return None
    at = chance.choice(places)
    text = report.impression
    return f"{text[:at]}No {text[at].lower()}{text[at + 1 :]}"


def change_unit(report: Report, chance: random.Random) -> str | None:
    """One length is said in the other unit, with the same number."""
    found = list(_LENGTH.finditer(report.impression))
    if not found:
        return None
    match = chance.choice(found)
    unit = _like(_OTHER_UNIT[match[3].lower()], match[3])
    return report.impression[: match.start(3)] + unit + report.impression[match.end(3) :]


def change_number(report: Report, chance: random.Random) -> str | None:
    """One length has another number."""
    found = list(_LENGTH.finditer(report.impression))
    if not found:
        return None
    match = chance.choice(found)
    number = f"{float(match[1]) * chance.choice((1.7, 2.3, 3.1)) + 0.3:.1f}"
    return report.impression[: match.start(1)] + number + report.impression[match.end(1) :]


def insert_organ(report: Report, chance: random.Random) -> str | None:
    """A sentence about an organ of another part of the body."""
    known = " ".join((report.findings, report.exam, report.indication, report.impression)).lower()
    strangers = [sentence for sentence, near in _FOREIGN if not any(word in known for word in near.split())]
    return _add(report.impression, chance.choice(strangers), chance) if strangers else None


def omit_critical(report: Report, chance: random.Random) -> str | None:
    """The sentences with a critical finding, that the findings assert too, go."""
    del chance
    critical = asserted(Part(report.findings))
    part = Part(report.impression)
    gone = {
        part.sentence_of[hit.first]
        for hit in part.concepts
        if hit.value in critical and part.said[hit.last - 1] is Said.PRESENT
    }
    if not gone:
        return None
    kept = [
        report.impression[part.starts[one.first] : part.stops[one.last - 1]]
        for at, one in enumerate(part.sentences)
        if at not in gone and not part.words[one.first : one.last][-1].isdigit()
    ]
    return ". ".join(kept) + "." if kept else "No other abnormality."


def claim_comparison(report: Report, chance: random.Random) -> str | None:
    """A change is claimed; applies where nothing speaks of an earlier study."""
    if speaks_of_prior(Reading(report, "")):
        return None
    return _add(report.impression, chance.choice(_CLAIMS), chance)


def leak_prompt(report: Report, chance: random.Random) -> str | None:
    """Control tokens or the prompt's text stand behind it."""
    return report.impression + chance.choice(_LEAKS)


def loop_clause(report: Report, chance: random.Random) -> str | None:
    """Its last sentence comes four to eight times."""
    text = Text(report.impression)
    if not text.sentences:
        return None
    last = text.sentences[-1]
    clause = report.impression[text.starts[last.first] : text.stops[last.last - 1]]
    return report.impression.rstrip(" .") + ". " + " ".join([f"{clause}."] * chance.randint(3, 7))


def cut_off(report: Report, chance: random.Random) -> str | None:
    """It ends behind a small word; applies where it holds one."""
    ends = [match.end() for match in re.finditer(r"\b(?:the|of|with|in|and|a|to|or)\b", report.impression)]
    return report.impression[: chance.choice(ends)] if ends else None


def insert_phi(report: Report, chance: random.Random) -> str | None:
    """A sentence with a made-up name, date or number."""
    name = chance.choice(sorted(_NAMES))
    sentence = chance.choice(_PHI).format(
        name=name,
        lower=name.lower(),
        month=chance.randint(1, 12),
        day=chance.randint(1, 28),
        year=chance.randint(2001, 2024),
        number=chance.randint(1_000_000, 9_999_999),
        three=chance.randint(200, 999),
        four=chance.randint(1000, 9999),
    )
    return _add(report.impression, sentence, chance)


def lengthen(report: Report, chance: random.Random) -> str | None:
    """Padding makes it longer than twice the findings and 80 words."""
    del chance
    words = max(2 * len(report.findings.split()), 80)
    times = words // len(_PADDING.split()) + 1
    return f"{report.impression} {' '.join(_PADDING.strip() for _ in range(times))}"


CORRUPTIONS = (
    Corruption("sides swapped", "laterality", swap_side),
    Corruption("negation dropped", "negation", drop_negation),
    Corruption("negation inserted", "negation", insert_negation),
    Corruption("unit changed", "measurement", change_unit),
    Corruption("number changed", "measurement", change_number),
    Corruption("foreign organ", "organ", insert_organ),
    Corruption("critical finding omitted", "critical", omit_critical),
    Corruption("comparison claimed", "comparison", claim_comparison),
    Corruption("prompt leaked", "leak", leak_prompt),
    Corruption("clause looped", "degenerate", loop_clause),
    Corruption("cut off", "degenerate", cut_off),
    Corruption("PHI inserted", "phi", insert_phi),
    Corruption("lengthened", "form", lengthen),
)


def corrupt(report: Report, corruption: Corruption, seed: int) -> str | None:
    """The corrupted impression; the same report and seed give the same everywhere. None where it does not apply."""
    text = corruption.make(report, random.Random(f"{seed}/{corruption.name}/{report.id}"))
    return None if text == report.impression else text


def others_sentence(report: Report, others: Sequence[Report], chance: random.Random) -> str | None:
    """A sentence of another report's impression, put into this one; who is foreign is the caller's to say."""
    if not others:
        return None
    other = Text(chance.choice(others).impression)
    if not other.sentences:
        return None
    one = chance.choice(other.sentences)
    return _add(report.impression, other.raw[other.starts[one.first] : other.stops[one.last - 1]] + ".", chance)


def _add(text: str, sentence: str, chance: random.Random) -> str:
    if text.isupper():
        sentence = sentence.upper()
    text = text.rstrip()
    full = text if text.endswith((".", "!", "?")) else f"{text}."
    return f"{full} {sentence}" if chance.random() < 0.7 else f"{sentence} {full}"


def _like(word: str, model: str) -> str:
    if model.isupper():
        return word.upper()
    return word.capitalize() if model[0].isupper() else word


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

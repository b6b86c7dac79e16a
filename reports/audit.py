"""What is in a data set that `prepare` made: mix, lengths, style by clinic, tokens that identify, what was left out.

Numbers alone; the page (audit_page.py) shows texts beside them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from radimpress.reports.errors import NotFoundError
from radimpress.reports.files import read_json, stream_reports
from radimpress.reports.phi import identifying
from radimpress.reports.prepare import FUNNEL, check_whole, load_set_aside
from radimpress.reports.progress import Track
from radimpress.reports.report import Report
from radimpress.reports.split import PARTS

# What a tokenizer makes of English reports, about; a training length is told by it.
_CHARACTERS_A_TOKEN = 4.0
TOKENS = 1024
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_LISTED = re.compile(r"^\s*(\d+[.)]|[-*•])\s", re.MULTILINE)
_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|shows?|demonstrates?|seen|appears?|measures?|there)\b", re.IGNORECASE
)
STYLES = ("numbered", "bulleted", "telegraphic", "paragraph")


@dataclass(frozen=True, slots=True)
class Audit:
    """A data set's figures.

    Attributes:
        doors: reports by door of the funnel.
        parts: reports by part.
        mix: clinic -> modality -> reports.
        styles: clinic -> style of the impression -> reports; STYLES has the names.
        lengths: "findings" or "impression" -> characters at the quantiles 5, 25, 50, 75, 95 and 100 percent.
        long: reports that training would have to cut, about: prompt and impression beyond TOKENS tokens of four
            characters.
        identified: reports in which something looks like it identifies somebody, by field.
        modalities: [text, modality, records]: what was read as what.
        several_impressions: texts, kept or set aside, of more than one impression, of which the last was taken.
    """

    doors: Mapping[str, int]
    parts: Mapping[str, int]
    mix: Mapping[str, Mapping[str, int]]
    styles: Mapping[str, Mapping[str, int]]
    lengths: Mapping[str, list[int]]
    long: int
    identified: Mapping[str, int]
    modalities: list[tuple[str, str, int]]
    several_impressions: int

    def as_json(self) -> dict[str, Any]:
        """The same as JSON; no report text."""
        return asdict(self)


def audit(dataset: Path, track: Track) -> Audit:
    """Looks through a data set, report by report.

    Raises:
        NotFoundError: the folder holds no data set.
        InputError: its files are of two runs.
    """
    check_whole(dataset)
    told = read_json(dataset / FUNNEL)
    mix: dict[str, Counter[str]] = {}
    styles: dict[str, Counter[str]] = {}
    identified: Counter[str] = Counter(findings=0, impression=0)
    sizes: dict[str, list[int]] = {"findings": [], "impression": []}
    long = 0
    for report in track(reports_of(dataset), "audit", sum(told["split"].values())):
        mix.setdefault(report.clinic, Counter())[report.modality.value] += 1
        styles.setdefault(report.clinic, Counter())[style_of(report.impression)] += 1
        for field, all_of in sizes.items():
            text = getattr(report, field)
            all_of.append(len(text))
            identified[field] += next(identifying(text), None) is not None
        long += len(report.findings) + len(report.impression) > TOKENS * _CHARACTERS_A_TOKEN
    return Audit(
        doors=told["doors"],
        parts=told["split"],
        mix={clinic: dict(count.most_common()) for clinic, count in sorted(mix.items())},
        styles={clinic: {name: count[name] for name in STYLES} for clinic, count in sorted(styles.items())},
        lengths={field: [int(one) for one in np.quantile(all_of, _QUANTILES)] for field, all_of in sizes.items()},
        long=long,
        identified=dict(identified),
        modalities=[(said, modality, count) for said, modality, count in told["modalities"]],
        several_impressions=told.get("several_impressions", 0),
    )


def style_of(impression: str) -> str:
    """Numbered or bulleted by its marks; telegraphic where most sentences have no verb; else a paragraph."""
    if marks := _LISTED.findall(impression):
        return "numbered" if marks[0][0].isdigit() else "bulleted"
    sentences = [one for one in re.split(r"[.\n]+", impression) if one.strip()]
    spoken = sum(_VERB.search(one) is not None for one in sentences)
    return "telegraphic" if 2 * spoken < len(sentences) else "paragraph"


def reports_of(dataset: Path) -> Iterator[Report]:
    """Every report of a data set, part after part, one at a time.

    Raises:
        NotFoundError: a part is missing.
    """
    for name in PARTS:
        try:
            yield from stream_reports(dataset / f"{name}.jsonl")
        except FileNotFoundError:
            raise NotFoundError(f"{dataset}: no {name}.jsonl there: prepare reports first") from None


def examples_of(dataset: Path, each: int = 3) -> dict[str, list[dict[str, Any]]]:
    """Some of what left by each door, in the order of the files."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in load_set_aside(dataset):
        own = found.setdefault(row["door"], [])
        if len(own) < each:
            own.append(row)
    return found

"""The page of a data set: what went in, what was left out and why, and what the rest is like; it opens offline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from radimpress.reports.audit import STYLES, TOKENS, Audit
from radimpress.reports.files import write_atomic
from radimpress.reports.leak import NEAR, Leak
from radimpress.reports.markup import Html, document, el, table, text
from radimpress.reports.report import Modality

_SHOWN = 600
_SAID = 30


def write_audit_page(
    path: Path, found: Audit, leaked: Leak, examples: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Writes the page, atomically; with examples it holds report texts. Only its owner may read it."""
    sections = (
        ("doors", "Doors", _doors(found, examples)),
        ("mix", "Modality and clinic", _mix(found)),
        ("lengths", "Lengths", _lengths(found)),
        ("style", "Style by clinic", _style(found)),
        ("split", "Split, and what leaks", _split(found, leaked)),
        ("modality", "What was read as which modality", _modalities(found)),
    )
    write_atomic(path, document("radimpress: the reports", "", _headline(found, leaked, examples), sections))


def _headline(found: Audit, leaked: Leak, examples: Mapping[str, object]) -> Iterable[Html]:
    total, kept = sum(found.doors.values()), sum(found.parts.values())
    yield el("h1", "The reports")
    yield el("p", f"{kept:,} of {total:,} reports are good enough to learn from.", class_="lead")
    if examples:
        warning = "It quotes reports that were set aside. Keep it as you keep reports."
        yield el("p", el("strong", "This page holds report texts"), warning, class_="notice", role="note")
    if any(found.identified.values()):
        told = ", ".join(f"{count:,} {field}" for field, count in found.identified.items() if count)
        yield el(
            "p", el("strong", "Something may identify people"), f"in {told}: see Lengths.", class_="notice", role="note"
        )
    if found.several_impressions:
        told = f"in {found.several_impressions:,} texts: the last one is taken, the findings are those of all."
        yield el("p", el("strong", "More than one impression"), told, class_="notice", role="note")
    facts = {
        "Clinics": f"{len(found.mix):,}",
        "Modalities": ", ".join(sorted({one for mix in found.mix.values() for one in mix})),
        "Parts": ", ".join(f"{name} {count:,}" for name, count in found.parts.items()),
        "Near duplicates of training": f"{leaked.near:,} of {leaked.tests:,} held-out reports",
        "Impressions that stand in training": f"{leaked.impressions:.0%} of held-out ones",
    }
    yield el("dl", *(el("div", el("dt", name), el("dd", fact)) for name, fact in facts.items()), class_="facts")


def _doors(found: Audit, examples: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterable[Html]:
    total = sum(found.doors.values())
    yield el("p", f"Every report leaves by exactly one door: {' + '.join(map(str, found.doors.values()))} = {total}.")
    yield table(
        f"The doors of {total:,} reports",
        ("reports", "share", "", "door"),
        (
            (f"{count:,}", f"{count / max(1, total):.1%}", _bar(count / max(1, total)), door)
            for door, count in found.doors.items()
        ),
    )
    for door, rows in examples.items():
        shown = [_example(row) for row in rows]
        yield el("details", el("summary", f"{door}: {len(rows)} of {found.doors.get(door, 0):,}"), *shown)


def _example(row: Mapping[str, Any]) -> Html:
    if "where" in row:
        return el("p", el("code", row["where"]), f" {row['why']}")
    said = f"{row['modality']} {row['clinic'] or 'no clinic'}"
    return el(
        "article",
        el("h4", row["id"], " ", el("small", said)),
        text("Findings", _short(row["findings"])),
        text("Impression", _short(row["impression"])),
    )


def _mix(found: Audit) -> Iterable[Html]:
    modalities = [one.value for one in Modality if any(one.value in mix for mix in found.mix.values())]
    most = max((count for mix in found.mix.values() for count in mix.values()), default=1)
    yield table(
        "Kept reports",
        ("clinic", *modalities, "all"),
        (
            (clinic, *(_shaded(mix.get(one, 0), most) for one in modalities), f"{sum(mix.values()):,}")
            for clinic, mix in found.mix.items()
        ),
    )


def _lengths(found: Audit) -> Iterable[Html]:
    head = ("characters", "5%", "25%", "median", "75%", "95%", "longest")
    yield table(
        "Of kept reports", head, ((field, *(f"{one:,}" for one in sizes)) for field, sizes in found.lengths.items())
    )
    yield el(
        "p",
        f"About {found.long:,} reports are beyond {TOKENS:,} tokens, at four characters a token; training cuts their "
        "findings and says how many it cut.",
    )
    yield el("p", "A name with its title, a date, a number or an address may identify somebody; look at these reports.")
    yield table(
        "Reports that may identify somebody",
        ("field", "reports"),
        ((field, f"{count:,}") for field, count in found.identified.items()),
    )


def _style(found: Audit) -> Iterable[Html]:
    yield el("p", "How impressions look, by their marks and verbs; what sets clusters apart is fitted later.")
    rows = []
    for clinic, counts in found.styles.items():
        every = max(1, sum(counts.values()))
        rows.append((clinic, *(_shaded(counts[name], every, f"{counts[name] / every:.0%}") for name in STYLES)))
    yield table("Share of a clinic's impressions", ("clinic", *STYLES), rows)


def _split(found: Audit, leaked: Leak) -> Iterable[Html]:
    of = f"{leaked.tests:,} held-out and {leaked.trained:,} training reports" + (
        ", the first of more" if leaked.sampled else ""
    )
    yield table(
        f"Of {of}",
        ("what stands in training too", "held out"),
        (
            ("patients", f"{leaked.patients:,}"),
            (f"findings, nearly: Jaccard {NEAR} or more of runs of five words", f"{leaked.near:,}"),
            ("impressions, word for word", f"{leaked.impressions:.1%}"),
        ),
    )
    slices = sorted({name for mix in leaked.mixes.values() for name in mix})
    total = {name: sum(mix.get(name, 0) for mix in leaked.mixes.values()) for name in slices}
    yield table(
        "Each slice's share of the parts; a small slice's is what chance made of it",
        ("modality and clinic", *found.parts, "reports"),
        (
            (
                name,
                *(f"{leaked.mixes[part].get(name, 0) / total[name]:.0%}" for part in found.parts),
                f"{total[name]:,}",
            )
            for name in slices
        ),
    )


def _modalities(found: Audit) -> Iterable[Html]:
    yield table(
        "Texts as they stood in the files, most often first",
        ("text", "read as", "records"),
        ((said or "(empty)", modality, f"{count:,}") for said, modality, count in found.modalities[:_SAID]),
    )
    if len(found.modalities) > _SAID:
        yield el("p", f"And {len(found.modalities) - _SAID:,} others; funnel.json has them all.")


def _bar(share: float) -> Html:
    bar = el("div", style=f"width: {100 * share:.1f}%; height: 0.8em; background: #0072B2")
    return el("td", bar, style="min-width: 6em")


def _shaded(count: int, most: int, said: str = "") -> Html:
    strength = 0.5 * count / max(1, most)
    return el("td", said or (f"{count:,}" if count else ""), style=f"background: rgba(0, 114, 178, {strength:.2f})")


def _short(said: str) -> str:
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]} ..."

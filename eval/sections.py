"""The page's sections: what each shows, and one sentence on what is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from radimpress.clustering.figures import cluster_map, profiles, shown
from radimpress.clustering.page import tried_table
from radimpress.eval import figures
from radimpress.eval.cases import Case
from radimpress.eval.gate import METRIC
from radimpress.eval.predict import BASE
from radimpress.eval.tables import (
    check_table,
    macro_table,
    reason_table,
    score_matrix,
    traffic_table,
    verdict_matrix,
)
from radimpress.eval.tale import Tale
from radimpress.reports.funnel import Door
from radimpress.reports.markup import Html, digest, el, table, text

_SAMPLES = 12


def _funnel(tale: Tale) -> Iterable[Html]:
    counts = tale.funnel.counts
    limits = tale.funnel.thresholds
    yield el(
        "p",
        "Every report leaves by exactly one door, so the doors add up to what went in: ",
        el("span", f"{' + '.join(str(n) for n in counts.values())} = {tale.funnel.total}", class_="doors"),
        f". Kept are findings of {limits.findings_min} characters or more with an impression of "
        f"{limits.impression_min} to {limits.impression_max}.",
    )
    sizes = {part: len(getattr(tale.parts, part)) for part in ("train", "validation", "test")}
    doors = figures.bars({door.value: count for door, count in counts.items()}, Door.KEPT.value, "reports")
    parts = figures.bars(sizes, "", "reports")
    yield el(
        "div",
        shown(doors, "figure-funnel", f"The doors of {tale.funnel.total:,} reports."),
        shown(parts, "figure-split", "The kept reports, split so that no patient and no findings are in two parts."),
        class_="two",
    )


def _clusters(tale: Tale) -> Iterable[Html]:
    known = tale.clusters
    if len(known.clinics) < 2 or not known.points:
        yield el("p", f"There is nothing to cluster and no map to draw: {known.why}.")
    else:
        yield el(
            "p",
            f"Clinics that are written alike lie near each other: {known.why}. A circle holds 95% of a clinic's "
            "bootstrap fits; small marks are bags of its reports.",
        )
        caption = f"The first two principal components of style; sentence embeddings by {known.embedder}."
        yield shown(cluster_map(known), "figure-clusters", caption)
    if known.tried:
        yield tried_table(known)
    if known.profiles:
        caption = "Style profiles: the mean of each feature over a clinic's impressions, from 0 (pale) to 1 (dark)."
        yield shown(profiles(known), "figure-profiles", caption)


def _losses(tale: Tale) -> Iterable[Html]:
    ends = {name: [row["validation"] for row in rows if "validation" in row] for name, rows in tale.histories.items()}
    told = [f"{name} from {values[0]:.2f} to {values[-1]:.2f}" for name, values in ends.items() if values]
    if not tale.histories:
        yield el("p", "No adapter was fitted, so there is no loss to show.")
        return
    yield el("p", f"Loss while fitting; validation before and after: {', '.join(told) or 'not measured'}.")
    caption = "Solid: training loss by step. Diamonds: validation loss before the first step and after the last."
    yield shown(figures.losses(tale.histories), "figure-losses", caption)


def _scores(tale: Tale) -> Iterable[Html]:
    yield el(
        "p",
        "ROUGE-L against the reference impression, slice by slice: blue is better than the base model on the same "
        "cases, orange worse, and a cluster's adapter is asked for its own clinics only.",
    )
    yield score_matrix(tale.scores)
    yield macro_table(tale.scores)
    yield traffic_table(tale.scores)
    yield el(
        "p",
        "constant, lead-1, copy and nearest cost nothing and must be beaten: the most frequent training impression, "
        "the first sentence of the findings, the findings, and the impression of the training report with the nearest "
        "findings; base-few-shot is the base model with worked examples in its prompt. A mean "
        "is over the cases that the system was asked for; the last two columns compare on the same cases.",
        class_="small",
    )
    yield check_table(tale.scores)
    yield el(
        "p",
        "A hard check may not fire at all where an adapter serves; the others may not fire more often than before.",
        class_="small",
    )


def _verdicts(tale: Tale) -> Iterable[Html]:
    passed = sum(len(certificate.passed) for certificate in tale.certificates)
    asked = sum(len(certificate.verdicts) for certificate in tale.certificates)
    yield el(
        "p",
        f"The gate passed {passed} of {asked} judged slices: PASS may serve, REGRESSION is worse than what serves or "
        "fails a check, and INSUFFICIENT was not shown to be good enough, which is never a pass. Slices named any are "
        "all clinics of a modality; overall opens nothing.",
    )
    if not tale.certificates:
        return
    yield verdict_matrix(tale.certificates)
    yield el("details", el("summary", "The reason of every verdict"), reason_table(tale.certificates))
    caption = (
        "90% intervals; to pass, one must lie right of the dashed margin, with enough cases and no check against it."
    )
    yield shown(figures.forest(tale.certificates), "figure-verdicts", caption)


def _routes(tale: Tale) -> Iterable[Html]:
    judged = {v.cell for certificate in tale.certificates for v in certificate.verdicts if v.cell}
    cells = sorted({*tale.scores.cells, *tale.routes, *judged})
    yield el(
        "p",
        f"Route table {tale.table} says who answers: {len(tale.routes)} of {len(cells)} slices have an adapter that "
        "passed the gate, and the base model answers wherever none did.",
    )
    rows = [
        [cell, name or el("span", BASE, class_="none"), digest(tale.digests.get(name, ""))]
        for cell, name in ((cell, tale.routes.get(cell, "")) for cell in cells)
    ]
    yield table(f"Route table {tale.table}", ("slice", "adapter", "digest"), rows)


def _answers(tale: Tale) -> Iterable[Html]:
    if not tale.answers:
        yield el("p", "Nobody was asked over the wire in this run.")
        return
    middle = median(answer.milliseconds for answer in tale.answers)
    yield el(
        "p",
        f"{len(tale.answers)} held-out reports were asked for over gRPC, as a client would; half of the answers came "
        f"within {middle / 1000:.1f} s. Each says which weights wrote it and why those.",
    )
    for answer in tale.answers:
        yield el(
            "article",
            el("h3", f"{answer.clinic} · {answer.cell}"),
            el(
                "p",
                el("b", answer.adapter),
                " ",
                digest(answer.digest),
                f" · reason: {answer.reason}, table {answer.table} · {answer.milliseconds:,.0f} ms · checks noticed: "
                f"{', '.join(answer.noticed) or 'nothing'}",
                class_="small",
            ),
            el(
                "div",
                text("Served", answer.impression),
                text("Reference", answer.reference, "reference"),
                class_="beside",
            ),
        )


def _samples(tale: Tale) -> Iterable[Html]:
    written = {(p.system, row.case): row for p in tale.predictions if p.base_digest for row in p.rows}
    models = [predictions.system for predictions in tale.predictions if predictions.base_digest]
    chosen = _spread(tale.cases, _SAMPLES)
    yield el(
        "p",
        f"{len(chosen)} held-out cases, spread over slices and not chosen by score: the reference, "
        "and what each model that was asked wrote from the same findings.",
    )
    for case in chosen:
        report = case.report
        texts = [text("Reference", report.impression, "reference")]
        for name in models:
            if row := written.get((name, report.id)):
                cut = ", cut at the token limit" if row.finish == "length" else ""
                rouge = tale.scores.systems[name].scores[report.id][METRIC]
                texts.append(text(name, row.impression, note=f"ROUGE-L {rouge:.2f}{cut}"))
        yield el(
            "article",
            el("h3", f"{report.clinic} · {case.cell}"),
            el("p", " · ".join(filter(None, (report.exam, report.indication, report.id))), class_="small"),
            text("Findings", report.findings),
            el("div", *texts, class_="beside"),
        )


def _spread(cases: Sequence[Case], count: int) -> list[Case]:
    """Cases of as many different slices, modalities and clinics as there are."""
    chosen: list[Case] = []
    left = list(cases)
    while left and len(chosen) < count:
        best = min(
            left,
            key=lambda case: (
                sum(case.cell == other.cell for other in chosen),
                sum(case.cell.modality is other.cell.modality for other in chosen),
                sum(case.report.clinic == other.report.clinic for other in chosen),
            ),
        )
        chosen.append(best)
        left.remove(best)
    return chosen


SECTIONS: tuple[tuple[str, str, Callable[[Tale], Iterable[Html]]], ...] = (
    ("funnel", "Quality funnel", _funnel),
    ("clusters", "Clinics that write alike", _clusters),
    ("losses", "Loss curves", _losses),
    ("scores", "Scores by slice", _scores),
    ("verdicts", "Verdicts of the gate", _verdicts),
    ("routes", "Route table", _routes),
    ("answers", "Served answers", _answers),
    ("samples", "Impressions side by side", _samples),
)

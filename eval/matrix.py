"""The judgement's matrix: modality by cluster, each slice with its verdict, interval and means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from radimpress.clustering.cell import ANY, Cell
from radimpress.eval.certificate import Certificate
from radimpress.eval.gate import METRIC, Outcome, Verdict
from radimpress.eval.predict import BASE
from radimpress.eval.score import Scores
from radimpress.reports.markup import Html, el

SIGNS = {Outcome.PASS: "✓", Outcome.REGRESSION: "✗", Outcome.INSUFFICIENT: "?"}
EVERYWHERE = "all clinics"
_STEP = 0.05
_WIDEST = 0.25
_WIDTH, _HEIGHT, _EDGE = 200, 24, 4


def matrix(certificate: Certificate, scores: Scores, clinics: Mapping[str, Sequence[str]]) -> Html:
    """A table whose cells are buttons that a script may listen to: data-modality, data-cluster."""
    judged = {verdict.cell: verdict for verdict in certificate.verdicts if verdict.cell}
    modalities = sorted({cell.modality for cell in judged})
    clusters = sorted({cell.cluster for cell in judged} - {ANY})
    columns = [*clusters, *([ANY] if any(cell.cluster == ANY for cell in judged) else [])]
    reach = _reach(certificate)
    head = [el("th", _column(name), scope="col", title=", ".join(clinics.get(name, ()))) for name in columns]
    rows = [
        el(
            "tr",
            el("th", modality, scope="row"),
            *(_cell(judged.get(Cell(modality, name)), certificate, scores, reach) for name in columns),
        )
        for modality in modalities
    ]
    return el(
        "table",
        el("caption", "Slices: modality by cluster of clinics"),
        el("thead", el("tr", el("td"), *head)),
        el("tbody", *rows),
        class_="matrix",
    )


def key(certificate: Certificate) -> Html:
    """How to read a bar."""
    reach, margin = _reach(certificate), certificate.rule.margin
    return el(
        "p",
        _bar(-0.1 * reach, -0.6 * reach, 0.4 * reach, margin, reach),
        " The dot is the mean difference of ROUGE-L, candidate - incumbent on the same cases, and the thick line its "
        f"interval; the axis goes from -{reach:.2f} to +{reach:.2f}. Thin line: no difference. Dashed line: the "
        "margin. A slice passes where the interval lies right of the dashed line. Press a slice to read its cases.",
        class_="key",
    )


def signed(value: float) -> str:
    """A difference with its sign, and a minus that is as wide as a plus."""
    return f"{value:+.3f}".replace("-", "\u2212")


def _column(cluster: str) -> str:
    return EVERYWHERE if cluster == ANY else cluster


def _cell(verdict: Verdict | None, certificate: Certificate, scores: Scores, reach: float) -> Html:
    if verdict is None or verdict.cell is None:
        return el("td", el("span", "not judged", class_="none"))
    cell, found = verdict.cell, verdict.difference
    parts: list[object] = [
        el("span", f"{cell.modality} · {_column(cell.cluster)}", class_="where"),
        el("span", f"{SIGNS[verdict.outcome]} {verdict.outcome}", class_="verdict"),
    ]
    if verdict.improved:
        parts.append(el("span", "▲ better, corrected for all slices", class_="line wide"))
    if found:
        margin = certificate.rule.of(cell)[0]
        parts += [
            el("span", el("b", signed(found.mean)), f" [{signed(found.low)}, {signed(found.high)}]", class_="line"),
            _bar(found.mean, found.low, found.high, margin, reach),
        ]
    parts.append(_means(verdict, cell, scores.system_of(certificate.digest, certificate.adapter), scores))
    patients = f", {found.groups} patients" if found and found.groups != found.cases else ""
    parts.append(el("span", f"{verdict.cases} cases{patients}", class_="line"))
    if verdict.need and verdict.need.more and verdict.outcome is Outcome.INSUFFICIENT:
        parts.append(el("span", f"needs {verdict.need.more} patients more", class_="line wide"))
    # A difference that looks well beside a REGRESSION wants its reason on the spot.
    if verdict.outcome is Outcome.REGRESSION and not verdict.why.startswith(("+", "-")):
        parts.append(el("span", verdict.why, class_="line wide strong"))
    waiver = certificate.waiver(cell)
    if waiver:
        parts.append(el("span", f"⚠ {waiver}", class_="waiver"))
    return el(
        "td",
        el(
            "button",
            *parts,
            type="button",
            class_=f"slice {verdict.outcome}",
            title=verdict.why,
            data_modality=cell.modality,
            data_cluster="" if cell.cluster == ANY else cell.cluster,
            aria_pressed="false",
        ),
    )


def _means(verdict: Verdict, cell: Cell, candidate: str, scores: Scores) -> Html:
    """Means of candidate, incumbent and base over the cases that were compared."""
    asked = (candidate, verdict.incumbent)
    cases = [c for c in scores.within(cell) if all(c.id in scores.systems[name].scores for name in asked)]
    total = sum(case.weight for case in cases)
    told = []
    roles = {"candidate": candidate, "incumbent": verdict.incumbent, "base": BASE}
    if verdict.incumbent == BASE:
        roles = {"candidate": candidate, "incumbent = base": BASE}
    for role, name in roles.items():
        rows = scores.systems[name].scores if name in scores.systems else {}
        known = total and all(case.id in rows for case in cases)
        mean = sum(case.weight * rows[case.id][METRIC] for case in cases) / total if known else None
        told.append(el("span", f"{role} ", el("b", "-" if mean is None else f"{mean:.3f}")))
    return el("span", *told, class_="means")


def _reach(certificate: Certificate) -> float:
    """Where the bars' axis ends, on both sides."""
    found = [verdict.difference for verdict in certificate.verdicts if verdict.difference]
    most = max((max(abs(d.low), abs(d.high)) for d in found), default=0.0)
    wide = max(most, 2 * certificate.rule.margin)
    return min(_WIDEST, ceil(wide / _STEP) * _STEP)


def _bar(mean: float, low: float, high: float, margin: float, reach: float) -> Html:
    """An interval on the axis; what reaches beyond is cut off at the axis' end."""

    def at(value: float) -> str:
        share = (max(-reach, min(reach, value)) / reach + 1) / 2
        return f"{_EDGE + share * (_WIDTH - 2 * _EDGE):.1f}"

    middle = _HEIGHT / 2
    # An arrow where the mean itself lies beyond the axis.
    tip = at(mean)
    point = el("circle", cx=tip, cy=middle, r=5, class_="mean")
    if abs(mean) > reach:
        back = float(tip) - (8 if mean > 0 else -8)
        point = el("path", d=f"M{tip} {middle} L{back} {middle - 6} L{back} {middle + 6} Z", class_="mean")
    return el(
        "svg",
        el("line", x1=_EDGE, x2=_WIDTH - _EDGE, y1=middle, y2=middle, class_="axis"),
        el("line", x1=at(0), x2=at(0), y1=2, y2=_HEIGHT - 2, class_="zero"),
        el("line", x1=at(-margin), x2=at(-margin), y1=2, y2=_HEIGHT - 2, class_="margin"),
        el("line", x1=at(low), x2=at(high), y1=middle, y2=middle, class_="interval"),
        point,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=f"{signed(mean)}, from {signed(low)} to {signed(high)}, margin {signed(-margin)}",
    )

"""The page's tables of scores and verdicts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from radimpress.clustering.cell import Cell
from radimpress.eval.bootstrap import Estimate, estimate
from radimpress.eval.certificate import Certificate
from radimpress.eval.checks import CHECKS
from radimpress.eval.gate import METRIC, Outcome, Verdict
from radimpress.eval.predict import BASE
from radimpress.eval.score import METRICS, Scores
from radimpress.reports.markup import Html, el, table
from radimpress.trainer.plan import UNIFIED

_NAMES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
_MARKS = {Outcome.PASS: "✓", Outcome.REGRESSION: "✗", Outcome.INSUFFICIENT: "?"}
_BETTER, _WORSE = "0 114 178", "213 94 0"
_DEEPEST = 0.45


def difference(scores: Scores, name: str, other: str, cell: Cell | None = None) -> Estimate | None:
    """ROUGE-L of one system - another on the same cases; None where they have none in common."""
    if name == other or not {name, other} <= scores.systems.keys():
        return None
    return scores.difference(name, other, METRIC, cell)


def score_matrix(scores: Scores) -> Html:
    """ROUGE-L by slice and model, tinted by the difference to the base model."""
    models = [name for name, system in scores.systems.items() if system.base_digest]
    places: list[Cell | None] = [*scores.cells, None]
    gains = {(place, name): difference(scores, name, BASE, place) for place in places for name in models}
    most = max((abs(gain.mean) for gain in gains.values() if gain), default=0.0) or 1.0
    rows = [
        [_place(place), *(_score(scores.mean(name, METRIC, place), gains[place, name], most) for name in models)]
        for place in places
    ]
    return table("ROUGE-L: mean, 90% interval, cases, difference to base", ("slice", *models), rows)


def macro_table(scores: Scores) -> Html:
    """All systems' metrics, the mean over slices."""
    rows = [_system(scores, name, lambda name, metric: _macro(scores, name, metric)) for name in scores.systems]
    return table("All systems, macro: every slice counts the same", _head(), rows)


def traffic_table(scores: Scores) -> Html:
    """All systems' metrics, weighted by traffic, and ROUGE-L against base and the unified adapter."""
    rows = [
        [*_system(scores, name, scores.mean), *(_mean(difference(scores, name, o), "+") for o in (BASE, UNIFIED))]
        for name in scores.systems
    ]
    head = (*_head(), f"ROUGE-L - {BASE}", f"ROUGE-L - {UNIFIED}")
    return table("All systems, by traffic: every report counts the same", head, rows)


def check_table(scores: Scores) -> Html:
    """On how many cases each check fired, by system."""
    keys = [f"check:{check.name}" for check in CHECKS]
    rows = [
        [name, len(system.scores), *(f"{sum(row[key] for row in system.scores.values()):.0f}" for key in keys)]
        for name, system in scores.systems.items()
    ]
    head = ("system", "cases", *(f"{check.name}{' (hard)' * check.hard}" for check in CHECKS))
    return table("Cases on which a check fired", head, rows)


def verdict_matrix(certificates: Sequence[Certificate]) -> Html:
    """The gate's word by slice and adapter, in colour and in words; the reason as a title."""
    judged = {(c.adapter, verdict.cell): verdict for c in certificates for verdict in (*c.verdicts, c.overall)}
    names = [certificate.adapter for certificate in certificates]
    places: list[Cell | None] = [*sorted({cell for _, cell in judged if cell}), None]
    rows = [[_place(place), *(_verdict(judged.get((name, place))) for name in names)] for place in places]
    return table("Verdicts; a pointer held over one shows its reason", ("slice", *names), rows)


def reason_table(certificates: Iterable[Certificate]) -> Html:
    """Every verdict with its reason."""
    rows = [
        [_place(verdict.cell), certificate.adapter, _verdict(verdict), verdict.incumbent, verdict.cases, verdict.why]
        for certificate in certificates
        for verdict in (*certificate.verdicts, certificate.overall)
    ]
    return table("Verdicts and reasons", ("slice", "adapter", "verdict", "compared with", "cases", "reason"), rows)


def interval(found: Estimate, sign: str = "") -> str:
    """A mean with its interval; `sign` "+" writes the sign of what is positive too."""
    return f"{found.mean:{sign}.3f} [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"


def _head() -> tuple[str, ...]:
    return "system", "cases", *(_NAMES.get(metric, metric) for metric in METRICS)


def _system(scores: Scores, name: str, mean: Callable[[str, str], Estimate | None]) -> list[object]:
    return [name, len(scores.systems[name].scores), *(_mean(mean(name, metric)) for metric in METRICS)]


def _macro(scores: Scores, name: str, metric: str) -> Estimate | None:
    """The mean of slices' means: each case weighs its share of its slice."""
    values = scores.systems[name].scores
    cases = [case for case in scores.cases if case.id in values]
    if not cases:
        return None
    slices: dict[Cell, float] = defaultdict(float)
    for case in cases:
        slices[case.cell] += case.weight
    weights = [case.weight / slices[case.cell] for case in cases]
    return estimate([values[case.id][metric] for case in cases], [case.group for case in cases], weights)


def _mean(found: Estimate | None, sign: str = "") -> Html:
    if found is None:
        return el("td", "-", class_="none")
    mean, rest = interval(found, sign).split(" ", 1)
    return el("td", el("b", mean), el("small", rest))


def _score(found: Estimate | None, gain: Estimate | None, most: float) -> Html:
    if found is None:
        return el("td", "-", class_="none", title="not asked here")
    mean, rest = interval(found).split(" ", 1)
    told = f"{found.cases} case{'s' * (found.cases != 1)}" + (f", {gain.mean:+.3f}" if gain else "")
    hue = _BETTER if gain and gain.mean > 0 else _WORSE
    depth = _DEEPEST * abs(gain.mean) / most if gain else 0.0
    style = f"--hue: {hue}; --depth: {depth:.2f}"
    return el("td", el("b", mean), el("small", rest), el("small", told), class_="tint", style=style)


def _verdict(verdict: Verdict | None) -> Html:
    if verdict is None:
        return el("td", "-", class_="none", title="not asked here")
    word = verdict.outcome.value
    title = f"against {verdict.incumbent}: {verdict.why}"
    return el("td", f"{_MARKS[verdict.outcome]} {word}", class_=f"verdict {word}", title=title)


def _place(cell: Cell | None) -> str:
    return str(cell) if cell else "overall"

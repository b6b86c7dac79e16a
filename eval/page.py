"""The page that shows a whole run: one HTML file that opens offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from radimpress.clustering.figures import library
from radimpress.eval.certificate import Certificate
from radimpress.eval.gate import Rule
from radimpress.eval.predict import BASE
from radimpress.eval.sections import SECTIONS
from radimpress.eval.tables import difference, interval
from radimpress.eval.tale import Answer, Tale
from radimpress.reports.files import write_atomic
from radimpress.reports.markup import Html, document, el
from radimpress.trainer.plan import UNIFIED

__all__ = ["Answer", "Tale", "write_page"]


def write_page(path: Path, tale: Tale) -> None:
    """Writes the page, atomically: one file that fetches nothing."""
    sections = [(name, title, tell(tale)) for name, title, tell in SECTIONS]
    write_atomic(path, document("radimpress: a whole run", library(), _headline(tale), sections))


def _headline(tale: Tale) -> Iterable[Html]:
    """What was run, on what, and what must be known before anything is believed."""
    cells = tale.scores.cells
    served = sum(cell in tale.routes for cell in cells)
    yield el("h1", "Impressions in the style of the clinic that asks: one run")
    yield el(
        "p",
        f"{tale.funnel.total:,} reports were filtered, their clinics grouped by how they write, and "
        f"{len(tale.histories)} adapters fitted, judged on {len(tale.cases):,} held-out cases and served: "
        f"{served} of {len(cells)} slices by an adapter, the rest by the base model.",
        class_="lead",
    )
    if tale.honest_word:
        yield el("p", el("strong", "The base model"), tale.honest_word, class_="notice", role="note")
    yield el("p", el("strong", "The gate"), _gate_word(tale.certificates), class_="notice", role="note")
    gain = difference(tale.scores, UNIFIED, BASE)
    minutes, seconds = divmod(round(tale.seconds), 60)
    facts = {
        "Source": tale.source,
        "Base model": tale.base,
        "Reports kept": f"{tale.funnel.kept:,} of {tale.funnel.total:,}",
        "Clinics, clusters": f"{len(tale.clusters.clinics)}, {len(tale.clusters.names)}",
        "ROUGE-L, unified - base": interval(gain, "+") if gain else "not measured",
        "Route table": f"number {tale.table}",
        "Duration": f"{minutes} min {seconds} s",
    }
    yield el("dl", *(el("div", el("dt", name), el("dd", fact)) for name, fact in facts.items()), class_="facts")
    yield el("p", "Intervals are 90% and come from a bootstrap over patients.", class_="small")


def _gate_word(certificates: Sequence[Certificate]) -> str:
    if not certificates:
        return "No adapter was judged."
    used, usual = certificates[0].rule, Rule()
    margins = f"a slice may lose {used.margin} ROUGE-L at most, with 95% confidence"
    if used == usual:
        return f"The default rule: at least {used.minimum} cases a slice; {margins}."
    if used.minimum < usual.minimum and used == usual.model_copy(update={"minimum": used.minimum}):
        return (
            f"The real rule with a smaller minimum of cases: {used.minimum} a slice here, {usual.minimum} by default; "
            f"{margins}. So few cases show how the gate works and prove little about a slice."
        )
    return f"A rule of its own: at least {used.minimum} cases a slice ({usual.minimum} by default); {margins}."

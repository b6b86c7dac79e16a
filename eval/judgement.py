"""The page that a radiologist reads before an adapter serves: its verdicts, its notices and its cases.

One HTML file that fetches nothing: the policy in it allows its own style and script, by their digests,
and no network. Verdicts are markup; cases are JSON that the script shows a few at a time.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from radimpress.clustering.cell import ANY, Cell
from radimpress.eval.abnormal import abnormal
from radimpress.eval.cases import Case
from radimpress.eval.certificate import Certificate
from radimpress.eval.checks import CHECKS, annotate
from radimpress.eval.gate import METRIC, Outcome, Verdict
from radimpress.eval.gather import Judgement
from radimpress.eval.matrix import SIGNS, key, matrix, signed
from radimpress.eval.predict import BASE, Prediction
from radimpress.eval.score import CHECK, usual_words
from radimpress.eval.worddiff import differences
from radimpress.reports.files import write_atomic
from radimpress.reports.markup import Html, digest, el
from radimpress.reports.progress import Track

_PLACE = re.compile(r"\{\{(\w+)\}\}")


def write_judgement(path: Path, judgement: Judgement, track: Track) -> None:
    """Writes the page, atomically; it holds report texts: only its owner may read it."""
    certificate = judgement.certificate
    style, script = _asset("judgement.css"), _asset("judgement.js")
    data = fold(judgement, track)
    parts = {
        # What the browser enforces: nothing is fetched, and no other script or style runs.
        "policy": f"default-src 'none'; style-src '{_source(style)}'; script-src '{_source(script)}'; "
        "base-uri 'none'; form-action 'none'",
        "title": escape(f"Judgement of {certificate.adapter}"),
        "style": style,
        "script": script,
        "head": "\n".join(_head(certificate, len(judgement.cases), data["stale"])),
        "key": key(certificate),
        "matrix": matrix(certificate, judgement.scores, judgement.clinics),
        # No text can end the script element: there is no "<" left.
        "data": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    # In one pass: what stands in a part is never looked at again.
    page = _PLACE.sub(lambda place: parts[place[1]], _asset("judgement.html"))
    write_atomic(path, page.encode())


def fold(judgement: Judgement, track: Track) -> dict[str, Any]:
    """What the script shows: checks, clusters and cases, each with what each system wrote.

    "stale" counts texts on which the checks say something else now than when they were scored. Offsets are
    in UTF-16 units, as a browser counts them.
    """
    judged = {verdict.cell: verdict for verdict in judgement.certificate.verdicts}
    cells = sorted({case.cell for case in judgement.cases})
    cases, stale, usual = [], 0, usual_words(judgement.cases)
    for case in track(judgement.cases, "page", len(judgement.cases)):
        incumbent = _verdict(judged, case.cell, judgement.certificate).incumbent
        shown, changed = _shown(judgement, case, incumbent, usual[case.report.clinic])
        cases.append(shown)
        stale += changed
    return {
        "candidate": judgement.candidate,
        "base": BASE,
        "checks": [{"name": check.name, "hard": check.hard, "label": check.label} for check in CHECKS],
        "modalities": list(dict.fromkeys(cell.modality.value for cell in cells)),
        "clusters": [{"name": name, "clinics": judgement.clinics.get(name, ())} for name in _clusters(cells)],
        "cases": cases,
        "stale": stale,
    }


def _shown(judgement: Judgement, case: Case, incumbent: str, usual: float) -> tuple[dict[str, Any], int]:
    report = case.report
    told = (("Exam", report.exam), ("Indication", report.indication), ("Comparison", report.comparison))
    texts, stale = [], 0
    for name in dict.fromkeys((judgement.candidate, incumbent, BASE)):
        row = judgement.written.get(name, {}).get(report.id)
        if row is not None:
            text, changed = _text(judgement, case, name, row, usual)
            texts.append(text)
            stale += changed
    shown = {
        "id": report.id,
        "modality": case.cell.modality.value,
        "cluster": case.cell.cluster,
        "clinic": report.clinic,
        "abnormal": abnormal(report.impression),
        "context": [[name, text] for name, text in told if text],
        "findings": report.findings,
        "reference": report.impression,
        "incumbent": incumbent,
        "texts": texts,
    }
    return shown, stale


def _text(judgement: Judgement, case: Case, name: str, row: Prediction, usual: float) -> tuple[dict[str, Any], bool]:
    scored = judgement.scores.systems[name].scores[case.report.id]
    noticed = annotate(case.report, row.impression, row.finish, usual)
    stale = any(scored.get(f"{CHECK}{check.name}") != float(check.name in noticed) for check in CHECKS)
    ours, theirs = _units(row.impression), _units(case.report.impression)
    changes = differences(row.impression, case.report.impression)
    text = {
        "system": name,
        "text": row.impression,
        "cut": row.finish == "length",
        "score": round(scored[METRIC], 4),
        "changes": [[ours(c.start), ours(c.stop), theirs(c.without), theirs(c.until)] for c in changes],
        "notices": [[check, n.message, ours(n.start), ours(n.stop)] for check, n in noticed.items()],
    }
    return text, stale


def _verdict(judged: Mapping[Cell | None, Verdict], cell: Cell, certificate: Certificate) -> Verdict:
    """The verdict that a case falls under."""
    return judged.get(cell) or judged.get(Cell(cell.modality, ANY)) or certificate.overall


def _units(text: str) -> Callable[[int], int]:
    """Turns an offset in characters into one in UTF-16 units."""
    if text.isascii() or max(text) < "\U00010000":
        return lambda at: at
    return lambda at: len(text[:at].encode("utf-16-le")) // 2


def _clusters(cells: Iterable[Cell]) -> list[str]:
    return sorted({cell.cluster for cell in cells})


def _head(certificate: Certificate, cases: int, stale: int) -> Iterable[Html]:
    """Who was judged, how, and what a verdict means."""
    counts = Counter(verdict.outcome for verdict in certificate.verdicts)
    rule = certificate.rule
    yield el("p", "radimpress · judgement of an adapter, slice by slice", class_="kicker")
    yield el("h1", certificate.adapter)
    yield el(
        "p",
        *(
            el("span", f"{SIGNS[outcome]} {counts[outcome]} {outcome}", class_=f"count {outcome}")
            for outcome in Outcome
        ),
        class_="counts",
    )
    yield el(
        "p",
        el("strong", "What a verdict means. "),
        "PASS: in this slice the adapter shares about as many words with the signed impressions as what serves now "
        "does (ROUGE-L), and no check fires significantly more often. One that is truly worse by "
        f"{rule.margin} would pass too now and then: the bounds are set to err in {100 * rule.error:.1f} of 100. A "
        "pass does not say that an impression is right. INSUFFICIENT is not a pass: as after a "
        "REGRESSION, what serves now stays.",
        class_="notice",
        role="note",
    )
    if stale:
        yield el(
            "p",
            el("strong", "The checks have changed. "),
            f"Texts on which they say something else now than when they were scored: {stale}. The verdicts rest on "
            "what they said then, the notices below are of now. Evaluate and judge again.",
            class_="notice bad",
            role="note",
        )
    overall, found = certificate.overall, certificate.overall.difference
    told = f"{signed(found.mean)} [{signed(found.low)}, {signed(found.high)}]" if found else "no cases"
    facts: dict[str, object] = {
        "Adapter's digest": digest(certificate.digest),
        "Base model's digest": digest(certificate.base_digest),
        "Judged on": f"{cases:,} cases",
        "Judged": _time(certificate.issued),
        "Expires": el("span", _time(certificate.expires), id="expires"),
        "Signed by": digest(certificate.signer) if certificate.signer else "nobody",
        "Rule": f"may lose {rule.margin} ROUGE-L a slice; at least {rule.minimum} patients"
        + ("; some slices have their own" if rule.slices else ""),
        "All slices together": f"{SIGNS[overall.outcome]} {overall.outcome} {told}; opens nothing by itself",
    }
    yield el("dl", *(el("div", el("dt", name), el("dd", fact)) for name, fact in facts.items()), class_="facts")


def _time(text: str) -> Html:
    return el("time", text[:16].replace("T", " ") + " UTC", datetime=text)


def _asset(name: str) -> str:
    return files("radimpress.eval").joinpath(name).read_text("utf-8")


def _source(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"

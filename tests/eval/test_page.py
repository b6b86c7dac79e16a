"""The page: all sections and figures are there, everything is escaped, nothing is fetched."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from radimpress.clustering.cell import Cell
from radimpress.clustering.clusters import Clusters, Point
from radimpress.clustering.features import NAMES
from radimpress.eval.baselines import CONSTANT, LEAD, NEAREST
from radimpress.eval.cases import Case
from radimpress.eval.certificate import Certificate, certify
from radimpress.eval.gate import Rule, judge, judge_overall
from radimpress.eval.page import Answer, Tale, write_page
from radimpress.eval.predict import BASE, Prediction, Predictions
from radimpress.eval.score import Scores, score
from radimpress.reports.funnel import Door, Funnel, Thresholds
from radimpress.reports.report import Modality, Report
from radimpress.reports.split import Split

EVIL = "<script>alert('findings & more')</script>"
CLUSTER_OF = {"alder": "list", "elm <b>": "telegraphic"}
SECTIONS = ("funnel", "clusters", "losses", "scores", "verdicts", "routes", "answers", "samples")
FIGURES = ("funnel", "split", "clusters", "profiles", "losses", "verdicts")
LIMIT = 8_000_000


class Reader(HTMLParser):
    """Collects what a browser would see: elements, what they would fetch, and text outside scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.text = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.append(tag)
        self.ids += [known["id"] or ""] if "id" in known else []
        self.fetched += [known[key] or "" for key in ("src", "href", "srcset", "data", "action") if key in known]
        self._inside = tag if tag in {"script", "style"} else ""

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text += data


def _report(number: int, clinic: str, modality: Modality) -> Report:
    return Report(
        id=f"r{number}",
        clinic=clinic,
        modality=modality,
        findings=f"{EVIL} The left knee number {number} is intact.",
        impression=f"1. Intact left knee {number}.\n2. No fracture.",
    )


def _predictions(system: str, cases: list[Case], digest: str = "", base: str = "b" * 64) -> Predictions:
    rows = [Prediction(c.report.id, f"{system}: {EVIL}\n1. Knee {n}.", "length", 9) for n, c in enumerate(cases)]
    return Predictions(system, digest, base, tuple(rows))


def _certificates(scores: Scores, rule: Rule) -> list[Certificate]:
    certificates = []
    for name in ("unified", "cluster-list"):
        overall = judge_overall(scores, name, BASE, rule)
        certificates.append(certify(scores, name, judge(scores, name, {}, BASE, rule), overall, rule))
    return certificates


@pytest.fixture(scope="module")
def tale() -> Tale:
    """A run of two clinics and twelve cases, whose texts try to be markup."""
    places = zip(CLUSTER_OF, (Modality.MR, Modality.CT), strict=True)
    reports = [_report(n, clinic, modality) for n, (clinic, modality) in enumerate(6 * [*places])]
    funnel = Funnel(Thresholds(), list(reports), [("x", Door.NO_CLINIC), ("y", Door.DUPLICATE)])
    profile = dict.fromkeys(NAMES, 0.5)
    clusters = Clusters(
        clinics=CLUSTER_OF,
        profiles=dict.fromkeys(CLUSTER_OF, profile),
        silhouettes={"2": 0.61},
        stability=0.97,
        embedder="all-MiniLM-L6-v2",
        data="d" * 64,
        why="2 clusters have the best silhouette, 0.61",
        points=tuple(Point(clinic=clinic, x=n, y=-n) for n, clinic in enumerate(CLUSTER_OF)),
    )
    cases = [Case(r, Cell(r.modality, CLUSTER_OF[r.clinic]), f"patient/{r.id}", 1.0) for r in reports]
    own = [case for case in cases if case.cell.cluster == "list"]
    predictions = [
        _predictions(BASE, cases),
        _predictions("unified", cases, "1" * 64),
        _predictions("cluster-list", own, "2" * 64),
        *(_predictions(name, cases, base="") for name in (CONSTANT, LEAD, NEAREST)),
    ]
    # Every prediction carries a number of its own, or the scorer refuses a metric that never varies.
    predictions = [
        replace(
            p, rows=tuple(replace(row, impression=row.impression + n % 4 * " left") for n, row in enumerate(p.rows))
        )
        for p in predictions
    ]
    scores = score(cases, predictions, clusters, "1")
    return Tale(
        source="synthetic, seed 7",
        base="smollm2-135m-instruct",
        honest_word="A small model: a demonstration, not medicine.",
        funnel=funnel,
        parts=Split(tuple(reports[:6]), tuple(reports[6:8]), tuple(reports[8:])),
        clusters=clusters,
        histories={
            "unified": [{"step": 0, "validation": 2.5}, {"step": 1, "loss": 2.0}, {"step": 1, "validation": 1.25}]
        },
        cases=cases,
        predictions=predictions,
        scores=scores,
        certificates=_certificates(scores, Rule(minimum=5)),
        routes={Cell(Modality.MR, "list"): "unified@1"},
        digests={"unified@1": "1" * 64},
        table=3,
        answers=[
            Answer(
                clinic="alder",
                cell="MR/list",
                impression=f"1. Served {EVIL}\n2. Second line.",
                reference="1. Intact.",
                adapter="unified@1",
                digest="1" * 64,
                reason="cell",
                table=3,
                milliseconds=1234.5,
                noticed=("laterality",),
            )
        ],
        seconds=125.0,
    )


def _read(path: Path, tale: Tale) -> tuple[str, Reader]:
    write_page(path, tale)
    html = path.read_text("utf-8")
    reader = Reader()
    reader.feed(html)
    return html, reader


def test_every_section_and_figure_is_there(tmp_path: Path, tale: Tale) -> None:
    html, seen = _read(tmp_path / "index.html", tale)
    assert [name for name in seen.ids if name in SECTIONS] == list(SECTIONS)
    assert [name for name in seen.ids if name.startswith("figure-")] == [f"figure-{name}" for name in FIGURES]
    assert html.count("plotly.js v") == 1
    for words in (
        "A small model: a demonstration, not medicine.",
        "5 a slice here, 30 by default",
        "2 min 5 s",
        " = 14",
        "2 clusters have the best silhouette, 0.61; 97% of the bags",
        "unified from 2.50 to 1.25",
        "Route table 3",
        "1,234 ms · checks noticed: laterality",
        "cut at the token limit",
    ):
        assert words in seen.text, words
    for system in tale.scores.systems:
        assert f'<th scope="row">{system}</th>' in html


def test_verdicts_are_told_in_words_with_their_reason(tmp_path: Path, tale: Tale) -> None:
    html, seen = _read(tmp_path / "index.html", tale)
    for certificate in tale.certificates:
        for verdict in (*certificate.verdicts, certificate.overall):
            assert f'class="verdict {verdict.outcome}" title="against base: ' in html
            assert f" {verdict.outcome}" in seen.text
            assert verdict.why in seen.text


def test_texts_are_escaped_and_keep_their_lines(tmp_path: Path, tale: Tale) -> None:
    html, seen = _read(tmp_path / "index.html", tale)
    assert EVIL not in html
    assert seen.text.count(EVIL) > len(tale.answers)
    assert "elm <b>" not in html
    assert f"1. Served {EVIL}\n2. Second line." in seen.text
    assert seen.tags.count("script") == 1 + len(FIGURES)


def test_nothing_is_fetched_and_it_is_small(tmp_path: Path, tale: Tale) -> None:
    path = tmp_path / "index.html"
    html, seen = _read(path, tale)
    assert seen.fetched
    assert all(target.startswith("#") and target[1:] in seen.ids for target in seen.fetched)
    assert "default-src 'none'" in html
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"@import|url\(", style)
    assert path.stat().st_size < LIMIT


def test_one_clinic_has_nothing_to_cluster(tmp_path: Path, tale: Tale) -> None:
    alone = replace(
        tale.clusters,
        clinics={"alder": "list"},
        profiles={"alder": tale.clusters.profiles["alder"]},
        points=(),
        silhouettes={},
        why="there is one clinic",
    )
    _, seen = _read(tmp_path / "index.html", replace(tale, clusters=alone))
    assert "There is nothing to cluster and no map to draw: there is one clinic" in seen.text
    assert "figure-clusters" not in seen.ids


def test_a_run_that_stopped_short_still_has_a_page(tmp_path: Path, tale: Tale) -> None:
    bare = replace(tale, histories={}, certificates=(), routes={}, digests={}, answers=(), honest_word="", table=0)
    _, seen = _read(tmp_path / "index.html", bare)
    assert [name for name in seen.ids if name in SECTIONS] == list(SECTIONS)
    assert "No adapter was judged." in seen.text
    assert "The base model" not in seen.text

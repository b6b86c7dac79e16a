"""The page: all sections and figures are there, everything is escaped, nothing is fetched."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from radimpress.eval.page import Tale, write_page
from tests.eval.conftest import EVIL

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
        "5 a slice here, 20 by default",
        "2 min 5 s",
        " = 14",
        "2 clusters have the best silhouette, 0.61",
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
        tried=(),
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

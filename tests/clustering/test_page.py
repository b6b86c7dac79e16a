from __future__ import annotations

import re
import stat
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from radimpress.clustering.explain import explain
from radimpress.clustering.page import tried_table, write_clusters_page
from radimpress.reports.report import Modality, Report
from tests.clustering.many import EVIL, many

SECTIONS = ["map", "clusters", "clinics", "joins", "tried", "moved", "profiles"]


def _bare(html: str) -> str:
    return re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)


def _text(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", " ", _bare(html)))


@pytest.mark.parametrize(("clinics", "styles"), [(6, 3), (200, 8), (9, 1)])
def test_every_section_and_figure_is_there(tmp_path: Path, clinics: int, styles: int) -> None:
    clusters = many(clinics, styles)
    write_clusters_page(tmp_path / "page.html", clusters, {})
    html = (tmp_path / "page.html").read_text("utf-8")
    assert re.findall(r'<section id="(\w+)"', html) == SECTIONS
    assert re.findall(r'<div id="(figure-\w+)"', html) == ["figure-map", "figure-joins", "figure-profiles"]
    text = _text(html)
    for words in (
        f"{clinics} clinics in {styles} cluster",
        f"{clinics - 1} placed, 1 not sure",
        "it writes in no known style",
        "in no cluster",
        "version 3",
        "1 move",
        *(f"key {name}" for name in clusters.names[:1]),
        *(trait.text for name in clusters.names for trait in explain(clusters, name)),
    ):
        assert words in text, words
    assert ("Left to the unified adapter" in text) == (styles > 1)
    assert (f"All {clinics} clinics" in text) == (clinics > 36)


def test_no_text_is_markup_and_nothing_is_fetched(tmp_path: Path) -> None:
    reports = (
        Report(id=f"r {EVIL}", findings="", impression=f"Mass {EVIL}\n2. Line.", modality=Modality.CT, clinic=EVIL),
    )
    clusters = many(6, 3)
    write_clusters_page(tmp_path / "page.html", clusters, {clusters.names[0]: reports})
    html = (tmp_path / "page.html").read_text("utf-8")
    assert EVIL not in html
    assert f"Mass {EVIL}\n2. Line." in _text(html)
    assert "default-src 'none'" in html
    assert re.findall(r'<[^>]*\b(?:src|srcset|href|action)="([^"]*)"', _bare(html)) == [f"#{name}" for name in SECTIONS]


def test_only_its_owner_may_read_it_and_it_says_what_it_holds(tmp_path: Path) -> None:
    clusters = many(6, 3)
    report = Report(id="r-1", findings="", impression="Mass.", clinic="clinic 000")
    for exemplars in ({}, {clusters.names[0]: (report,)}):
        write_clusters_page(tmp_path / "page.html", clusters, exemplars)
        assert stat.S_IMODE((tmp_path / "page.html").stat().st_mode) == 0o600
        text = _text((tmp_path / "page.html").read_text("utf-8"))
        assert ("This page holds report texts" in text) == bool(exemplars) == ("Mass." in text)


def test_a_first_fit_of_one_clinic_has_no_map_and_nothing_that_moved(tmp_path: Path) -> None:
    alone = replace(many(1, 1), points=(), tried=(), before="", moved=(), merges=(), why="there is one clinic")
    write_clusters_page(tmp_path / "page.html", alone, {})
    html = (tmp_path / "page.html").read_text("utf-8")
    assert "There is no map to draw: there is one clinic." in _text(html)
    assert "This is the first fit" in _text(html)
    assert re.findall(r'<div id="(figure-\w+)"', html) == ["figure-profiles"]


def test_methods_by_numbers_with_what_was_chosen_set_off() -> None:
    html = tried_table(many(6, 3))
    assert re.findall(r'<th scope="col">([^<]*)', html) == ["method", *(f"{at} clusters" for at in range(2, 6))]
    assert html.count("0.50 / 0.75") == 8
    assert re.findall(r'<td class="PASS"><b>([^<]*)</b><small>chosen', html) == ["0.50 / 0.75"]


def test_a_clinic_that_nobody_is_quite_sure_of_is_marked(tmp_path: Path) -> None:
    write_clusters_page(tmp_path / "page.html", many(6, 3), {})
    html = (tmp_path / "page.html").read_text("utf-8")
    assert re.findall(r'<td class="INSUFFICIENT">([^<]*)', html) == ["50%"]

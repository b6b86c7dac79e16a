from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from radimpress.clustering.page import write_clusters_page
from radimpress.reports.report import Report
from tests.clustering.many import EVIL, many
from tests.eval.browser import chromium

_ALL_DRAWN = """
    const figures = [...document.querySelectorAll('.plotly-graph-div')];
    return figures.length === arguments[0] && figures.every(figure => figure.querySelector('.main-svg'));
"""
_SIDEWAYS = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Clinics on the map: one mark in each trace that has circles or names beside it.
_MARKS = "return document.querySelectorAll('#figure-map .scatterlayer .point').length"
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium(480) as chrome:
        yield chrome


@pytest.mark.parametrize(("clinics", "styles", "marks"), [(6, 3, 6 + 18), (200, 8, 200), (9, 1, 9 + 27)])
def test_a_browser_draws_every_clinic_and_nothing_is_wider_than_the_window(
    browser: Chrome, tmp_path: Path, clinics: int, styles: int, marks: int
) -> None:
    clusters = many(clinics, styles)
    report = Report(id="r", findings="", impression=f"Mass {EVIL}\n" + "x" * 300, clinic="clinic 000")
    write_clusters_page(tmp_path / "page.html", clusters, {clusters.names[0]: (report,)})
    browser.get((tmp_path / "page.html").as_uri())
    # Figures are drawn one by one after the page has loaded; on a busy machine that takes seconds.
    WebDriverWait(browser, 120).until(lambda b: b.execute_script(_ALL_DRAWN, 3))
    assert browser.execute_script(_MARKS) == marks
    assert browser.execute_script(_SIDEWAYS) <= 0
    told: Any = browser.execute("getLog", {"type": "browser"})
    assert [entry for entry in told["value"] if entry["level"] == "SEVERE"] == []

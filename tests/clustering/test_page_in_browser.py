from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from radimpress.clustering.page import write_clusters_page
from radimpress.reports.report import Report
from tests.clustering.many import EVIL, many
from tests.eval.browser import SIDEWAYS, chromium, complaints, wait_for_figures

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
    wait_for_figures(browser, 3)
    assert browser.execute_script(_MARKS) == marks
    assert browser.execute_script(SIDEWAYS) <= 0
    assert complaints(browser) == []

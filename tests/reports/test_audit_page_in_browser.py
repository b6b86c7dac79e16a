from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from radimpress.reports.audit import audit, examples_of
from radimpress.reports.audit_page import write_audit_page
from radimpress.reports.files import load_reports, write_reports
from radimpress.reports.funnel import Door, Thresholds
from radimpress.reports.leak import leak
from radimpress.reports.prepare import prepare
from radimpress.reports.progress import silent
from radimpress.reports.read import Reading
from radimpress.reports.split import PARTS, Split
from radimpress.reports.synthetic import synthesize
from tests.eval.browser import SIDEWAYS, chromium, complaints

LONG = "w" * 300
# What stands out of its box: nothing may but a table, which has a box to be scrolled in.
_OUTSIDE = """
    const wide = document.documentElement.clientWidth;
    return [...document.querySelectorAll('body *')]
        .filter(one => !one.closest('.scroll') && one.getBoundingClientRect().right > wide + 1)
        .map(one => one.tagName);
"""
_LOADED = "return performance.getEntriesByType('resource').map(one => one.name)"
_DOORS = """
    const rows = [...document.querySelectorAll('section#doors table')][0].tBodies[0].rows;
    return [...rows].map(row => [row.cells[row.cells.length - 1].innerText, row.cells[0].innerText]);
"""
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module", params=[1280, 420])
def browser(request: pytest.FixtureRequest) -> Iterator[Chrome]:
    with chromium(request.param) as chrome:
        # A window is no narrower than the system lets it be; the page is.
        size = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        yield chrome


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of reports by nearly every door, with names that are long, or want to be markup."""
    folder = tmp_path_factory.mktemp("audit")
    reports = list(synthesize(900, 5))
    reports[0] = replace(reports[0], clinic=LONG)
    reports[1] = replace(reports[1], id=f"{LONG}<img src='http://nowhere.example/x'>", impression="")
    reports[2] = replace(reports[2], findings=f"{LONG} " * 12, impression=LONG, id="long")
    reports[3] = replace(reports[3], findings="<script src='http://nowhere.example/y'></script>")
    write_reports(folder / "r.jsonl", reports)
    (folder / "r.jsonl").open("a", encoding="utf-8").write("no JSON at all\n")
    prepare([folder / "r.jsonl"], folder / "d", Reading(), Thresholds(), (0.7, 0.15), 0, silent)
    parts = Split(*(tuple(load_reports(folder / "d" / f"{name}.jsonl")) for name in PARTS))
    write_audit_page(folder / "audit.html", audit(folder / "d", silent), leak(parts, silent), examples_of(folder / "d"))
    return folder / "audit.html"


@pytest.fixture
def shown(browser: Chrome, page: Path) -> Chrome:
    """The page as a file in a browser, all examples open."""
    browser.get(page.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true })")
    return browser


def test_nothing_is_wider_than_the_window(shown: Chrome) -> None:
    assert shown.execute_script(SIDEWAYS) <= 0
    assert shown.execute_script(_OUTSIDE) == []


def test_all_doors_are_shown_and_add_up(shown: Chrome) -> None:
    doors = {name: int(count.replace(",", "")) for name, count in shown.execute_script(_DOORS)}
    assert list(doors) == [door.value for door in Door]
    assert sum(doors.values()) == 901
    body = shown.find_element("tag name", "body").text
    told = re.search(r"one door: ([\d +]+) = (\d+)\.", body)
    assert told is not None
    assert [int(one) for one in told[1].split(" + ")] == list(doors.values())
    assert int(told[2]) == 901
    kept = re.search(r"([\d,]+) of 901 reports are good enough", body)
    assert kept is not None
    assert int(kept[1]) == doors[Door.KEPT.value]


def test_nothing_is_asked_of_the_network_and_nothing_fails(shown: Chrome) -> None:
    assert shown.execute_script(_LOADED) == []
    assert complaints(shown) == []
    assert shown.find_elements("css selector", "article script, article img, [src^=http], [href^=http]") == []

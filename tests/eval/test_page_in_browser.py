from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

from radimpress.eval.page import Tale, write_page

_ALL_DRAWN = """
    const figures = [...document.querySelectorAll('.plotly-graph-div')];
    return figures.length > 0 && figures.every(figure => figure.querySelector('.main-svg'));
"""
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium with its driver on this machine")
    options = ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=480,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=Service(driver))
    yield chrome
    chrome.quit()


def test_a_browser_draws_every_figure_and_complains_of_nothing(browser: Chrome, tmp_path: Path, tale: Tale) -> None:
    page = tmp_path / "index.html"
    write_page(page, tale)
    browser.get(page.as_uri())
    # Figures are drawn one by one after the page has loaded; on a busy machine that takes seconds.
    WebDriverWait(browser, 120).until(lambda b: b.execute_script(_ALL_DRAWN))
    told: Any = browser.execute("getLog", {"type": "browser"})
    assert [entry for entry in told["value"] if entry["level"] == "SEVERE"] == []


def test_a_narrow_window_does_not_scroll_sideways(browser: Chrome, tmp_path: Path, tale: Tale) -> None:
    page = tmp_path / "index.html"
    write_page(page, tale)
    browser.get(page.as_uri())
    wide = browser.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0

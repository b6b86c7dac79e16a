from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from radimpress.eval.page import Tale, write_page

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
    figures = browser.execute_script("return document.querySelectorAll('.plotly-graph-div').length")
    drawn = browser.execute_script("return document.querySelectorAll('.plotly-graph-div .main-svg').length")
    assert figures
    assert drawn >= figures
    told: Any = browser.execute("getLog", {"type": "browser"})
    assert [entry for entry in told["value"] if entry["level"] == "SEVERE"] == []


def test_a_narrow_window_does_not_scroll_sideways(browser: Chrome, tmp_path: Path, tale: Tale) -> None:
    page = tmp_path / "index.html"
    write_page(page, tale)
    browser.get(page.as_uri())
    wide = browser.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0

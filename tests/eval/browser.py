"""A headless Chromium for the tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

# Pixels that the page is wider than its window.
SIDEWAYS = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
_DRAWN = """
    const figures = [...document.querySelectorAll('.plotly-graph-div')];
    return figures.every(figure => figure.querySelector('.main-svg')) ? figures.length : 0;
"""


@contextmanager
def chromium(width: int) -> Iterator[Chrome]:
    """A browser whose window is so wide; skips the test where there is none."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no chromium with its driver on this machine")
    options = ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={width},900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=Service(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


def wait_for_figures(browser: Chrome, count: int | None = None) -> None:
    """Until every figure is drawn, so many of them where it is said, and one at least.

    They are drawn one by one after the page has loaded; on a busy machine that takes seconds.
    """

    def drawn(page: Chrome) -> bool:
        found = page.execute_script(_DRAWN)
        return bool(found > 0 if count is None else found == count)

    WebDriverWait(browser, 120).until(drawn)


def complaints(browser: Chrome) -> list[Any]:
    """What the browser logged as severe since it was last asked."""
    told: Any = browser.execute("getLog", {"type": "browser"})
    return [entry for entry in told["value"] if entry["level"] == "SEVERE"]

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from radimpress.eval.page import Tale, write_page
from tests.eval.browser import chromium

_ALL_DRAWN = """
    const figures = [...document.querySelectorAll('.plotly-graph-div')];
    return figures.length > 0 && figures.every(figure => figure.querySelector('.main-svg'));
"""
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium(480) as chrome:
        yield chrome


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

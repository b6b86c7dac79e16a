from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from radimpress.eval.page import Tale, write_page
from tests.eval.browser import chromium, complaints, wait_for_figures

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium(480) as chrome:
        yield chrome


def test_a_browser_draws_every_figure_and_complains_of_nothing(browser: Chrome, tmp_path: Path, tale: Tale) -> None:
    page = tmp_path / "index.html"
    write_page(page, tale)
    browser.get(page.as_uri())
    wait_for_figures(browser)
    assert complaints(browser) == []


def test_a_narrow_window_does_not_scroll_sideways(browser: Chrome, tmp_path: Path, tale: Tale) -> None:
    page = tmp_path / "index.html"
    write_page(page, tale)
    browser.get(page.as_uri())
    wide = browser.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0

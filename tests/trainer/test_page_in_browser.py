from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from radimpress.trainer.page import write_runs_page
from radimpress.trainer.record import runs
from tests.eval.browser import chromium
from tests.trainer.run_folders import leave_open, leave_run

_ALL_DRAWN = """
    const figures = [...document.querySelectorAll('.plotly-graph-div')];
    return figures.length === arguments[0] && figures.every(figure => figure.querySelector('.main-svg'));
"""
_SIDEWAYS = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
_LINES = "return document.querySelectorAll('#figure-loss .scatterlayer .js-line').length"
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium(480) as chrome:
        yield chrome


@pytest.mark.parametrize(("count", "steps"), [(1, 1), (3, 40), (9, 2500)])
def test_a_browser_draws_every_run_and_nothing_is_wider_than_the_window(
    browser: Chrome, tmp_path: Path, count: int, steps: int
) -> None:
    for at in range(1, count + 1):
        leave_run(tmp_path, f"cluster-with-a-long-name-{at}", at, steps=steps)
    leave_open(tmp_path, "unified", "f" * 64)
    write_runs_page(tmp_path / "page.html", runs(tmp_path))
    browser.get((tmp_path / "page.html").as_uri())
    # Figures are drawn one by one after the page has loaded; on a busy machine that takes seconds.
    WebDriverWait(browser, 120).until(lambda b: b.execute_script(_ALL_DRAWN, 7))
    # A run of one step is a mark, and no line.
    assert browser.execute_script(_LINES) == (count if steps > 1 else 0) + 1
    assert browser.execute_script(_SIDEWAYS) <= 0
    told: Any = browser.execute("getLog", {"type": "browser"})
    assert [entry for entry in told["value"] if entry["level"] == "SEVERE"] == []

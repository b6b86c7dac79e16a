from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from radimpress.trainer.page import write_runs_page
from radimpress.trainer.record import runs
from tests.eval.browser import SIDEWAYS, chromium, complaints, wait_for_figures
from tests.trainer.run_folders import leave_open, leave_run

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
    wait_for_figures(browser, 7)
    # A run of one step is a mark, and no line.
    assert browser.execute_script(_LINES) == (count if steps > 1 else 0) + 1
    assert browser.execute_script(SIDEWAYS) <= 0
    assert complaints(browser) == []

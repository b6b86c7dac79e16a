"""The judgement's page as a reader meets it in Chromium; `pytest -s` prints its times with 2,000 cases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from selenium.webdriver import Chrome

from radimpress.eval.judgement import write_judgement
from radimpress.reports.progress import silent
from tests.eval.browser import chromium, complaints
from tests.eval.judged_run import EVIL, NEW, OLD, judged_run

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

MANY = 2000
_CHANGE = """
    const [id, value] = arguments, field = document.getElementById(id), start = performance.now();
    field.value = value;
    field.dispatchEvent(new Event('change', {bubbles: true}));
    document.body.offsetHeight;
    return performance.now() - start;
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium(1280) as chrome:
        yield chrome


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A page of 64 cases and one of MANY."""
    made = {}
    for count in (64, MANY):
        folder = tmp_path_factory.mktemp(f"cases-{count}")
        made[count] = folder / "judgement.html"
        write_judgement(made[count], judged_run(folder, count), silent)
    return made


@pytest.fixture
def page(browser: Chrome, pages: dict[int, Path]) -> Chrome:
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(pages[64].as_uri())
    return browser


def _say(page: Chrome, script: str, *values: object) -> Any:
    return page.execute_script(f"return {script}", *values)


def _shown(page: Chrome) -> list[str]:
    return [str(name) for name in _say(page, "[...document.querySelectorAll('article h3')].map(h => h.textContent)")]


def _count(page: Chrome) -> list[int]:
    """Shown, that match, in all."""
    told = str(_say(page, "document.getElementById('count').textContent"))
    return [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", told)]


def _press(page: Chrome, selector: str) -> None:
    page.execute_script("document.querySelector(arguments[0]).click()", selector)


def _key(page: Chrome, key: str) -> str:
    """Presses a key where the focus is; gives the label of what has the focus then."""
    page.execute_script(
        "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))", key
    )
    return str(_say(page, "document.activeElement.ariaLabel || document.activeElement.id"))


def test_it_draws_a_window_of_cases_worst_first_and_nothing_is_wrong(page: Chrome) -> None:
    assert _count(page) == [25, 64, 64]
    scores = [float(s) for s in _say(page, "[...document.querySelectorAll('.score b')].map(b => b.textContent)")]
    assert scores == sorted(scores)
    assert scores[0] < 0.7
    _press(page, "#more")
    _press(page, "#more")
    assert _count(page) == [64, 64, 64]
    assert _say(page, "document.getElementById('more').hidden") is True
    assert complaints(page) == []


def test_texts_that_try_to_be_markup_are_shown_as_text(page: Chrome) -> None:
    assert page.title == f"Judgement of {NEW}"
    assert _say(page, "document.querySelectorAll('img, article script').length") == 0
    assert EVIL in str(_say(page, "document.querySelector('details .text').textContent"))


def test_no_text_leaves_the_page(page: Chrome) -> None:
    page.execute_script(
        "const i = document.createElement('img'); i.src = 'http://127.0.0.1:9/x'; document.body.append(i)"
    )
    page.execute_async_script("const done = arguments[0]; setTimeout(done, 300)")
    told: Any = page.execute("getLog", {"type": "browser"})
    assert any("Content Security Policy" in entry["message"] for entry in told["value"])


def test_differences_and_marks_stand_in_place(page: Chrome) -> None:
    page.execute_script(_CHANGE, "check", "laterality")
    assert _count(page) == [8, 8, 64]
    ours = "document.querySelector('.ours .text')"
    assert _say(page, f"{ours}.querySelector('mark').firstChild.textContent") in {"left", "right"}
    assert _say(page, f"{ours}.querySelector('mark .tag').textContent") == "laterality"
    assert str(_say(page, f"{ours}.querySelector('mark').title")).startswith("laterality: ")
    added = _say(page, f"[...{ours}.querySelectorAll('ins')].map(e => e.textContent)")
    lost = _say(page, f"[...{ours}.querySelectorAll('del')].map(e => e.textContent)")
    assert {*added} & {"left", "right"}
    assert {*lost} & {"left", "right"}
    assert {*added}.isdisjoint(lost)
    # Without what was left out and the labels it is the text that was written.
    plain = _say(
        page,
        f"(() => {{ const c = {ours}.cloneNode(true); c.querySelectorAll('del, .tag').forEach(e => e.remove()); "
        "return c.textContent; })()",
    )
    data = _say(page, "JSON.parse(document.getElementById('data').textContent).cases")
    assert " ".join(str(plain).split()) in {" ".join(one["texts"][0]["text"].split()) for one in data}
    assert "laterality the side contradicts the report" in str(
        _say(page, "document.querySelector('.ours .notices').textContent")
    )


def test_words_left_out_can_be_hidden_and_findings_folded(page: Chrome) -> None:
    assert _say(page, "document.querySelector('article del').offsetWidth") > 0
    _press(page, "#omitted")
    assert _say(page, "document.querySelector('article del').offsetWidth") == 0
    _press(page, "#findings")
    assert _say(page, "document.querySelectorAll('details[open]').length") == 0


def test_a_slice_and_a_check_are_filters(page: Chrome) -> None:
    _press(page, 'button.slice[data-modality="MR"][data-cluster="list"]')
    assert _count(page) == [16, 16, 64]
    assert f"Incumbent {OLD}" in re.sub(r"\s+", " ", str(_say(page, "document.querySelector('.beside').innerText")))
    assert "Noticed in 16 cases" in str(_say(page, "document.getElementById('checks').innerText"))
    _press(page, 'button[data-check="laterality"]')
    assert _count(page) == [4, 4, 64]
    row = "document.querySelector('button[data-check=\"laterality\"]').closest('tr').innerText"
    assert "4 of 16 (25.0%)\t0 of 16 (0.0%)\t4\t0" in str(_say(page, row))
    page.execute_script(_CHANGE, "whose", "gone")
    assert _count(page) == [0, 0, 64]
    assert "No case matches" in str(_say(page, "document.getElementById('list').innerText"))
    _press(page, 'button.slice[data-modality="MR"][data-cluster="list"]')
    _press(page, 'button[data-check="laterality"]')
    assert _count(page) == [25, 64, 64]


def test_kind_sort_and_words_work_together(page: Chrome) -> None:
    page.execute_script(_CHANGE, "kind", "normal")
    normal = _count(page)[1]
    page.execute_script(_CHANGE, "kind", "abnormal")
    assert _count(page)[1] + normal == 64
    page.execute_script(_CHANGE, "kind", "")
    page.execute_script(_CHANGE, "sort", "lost")
    lost = _say(page, "[...document.querySelectorAll('.score')].map(e => e.textContent.match(/[+\u2212][\\d.]+/)[0])")
    values = [float(text.replace("\u2212", "-")) for text in lost]
    assert values == sorted(values)
    page.execute_script("document.getElementById('words').value = '17 MM'")
    page.execute_script("document.getElementById('words').dispatchEvent(new Event('input', {bubbles: true}))")
    page.execute_async_script("const done = arguments[0]; setTimeout(done, 400)")
    assert [name.split()[-1] for name in _shown(page)] == ["r17"]


def test_keys_walk_through_the_cases_and_draw_more(page: Chrome) -> None:
    assert [_key(page, key) for key in "jjk"] == ["Case 1", "Case 2", "Case 1"]
    for _ in range(25):
        last = _key(page, "j")
    assert last == "Case 26"
    assert _count(page) == [50, 64, 64]
    assert _key(page, "/") == "words"
    assert _key(page, "j") == "words"


@pytest.mark.parametrize("width", [390, 1024, 1280])
def test_no_window_scrolls_sideways(page: Chrome, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert _say(page, "document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    tallest = _say(
        page,
        "Math.max(...[...document.querySelectorAll('button.slice')].map(b => b.scrollHeight - b.clientHeight))",
    )
    assert tallest <= 0


def test_of_two_thousand_cases_a_window_is_drawn(browser: Chrome, pages: dict[int, Path]) -> None:
    browser.get(pages[MANY].as_uri())
    load = float(_say(browser, "performance.getEntriesByName('load')[0].duration"))
    choices = [("modality", "MR"), ("cluster", "list"), ("check", "laterality"), ("sort", "lost")]
    choices += [("check", ""), ("cluster", ""), ("modality", ""), ("sort", "notices"), ("kind", "abnormal")]
    taken = [float(browser.execute_script(_CHANGE, *choice)) for choice in choices]
    print(f"{MANY} cases: {pages[MANY].stat().st_size:,} bytes, load {load:.0f} ms, filter {median(taken):.0f} ms")
    shown, _, everything = _count(browser)
    assert everything == MANY
    # Time goes with the cards that are drawn.
    assert shown == len(_shown(browser)) == 25

from __future__ import annotations

import re
import stat
from html import unescape
from pathlib import Path

import pytest

from radimpress.reports.files import read_rows, write_rows
from radimpress.trainer.figures import written
from radimpress.trainer.page import write_runs_page
from radimpress.trainer.record import RECORD, runs
from tests.trainer.run_folders import EVIL, leave_open, leave_run, scores

SECTIONS = ["runs", "loss", "written", "steps", "cost"]
FIGURES = ["loss", "written", "learning-rate", "gradient-norm", "tokens-per-second", "memory-bytes", "cost"]


def _bare(html: str) -> str:
    return re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)


def _text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", _bare(html))).split())


def _page(folder: Path, price_per_hour: float | None = None) -> str:
    write_runs_page(folder / "page.html", runs(folder), price_per_hour)
    assert stat.S_IMODE((folder / "page.html").stat().st_mode) == 0o600
    return (folder / "page.html").read_text("utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    leave_run(tmp_path, "unified", 1, steps=12, key="e" * 64, stopped="budget")
    leave_run(tmp_path, "unified", 2, key="e" * 64)
    leave_run(tmp_path, "cluster-a", 3, stopped="early", written=0)
    leave_open(tmp_path, "cluster-b", "f" * 64)
    return tmp_path


def test_every_section_and_figure_is_there_and_says_what_happened(folder: Path) -> None:
    html = _page(folder)
    assert re.findall(r'<section id="(\w+)"', html) == SECTIONS
    assert re.findall(r'<div id="figure-([\w-]+)"', html) == FIGURES
    text = _text(html)
    for words in (
        "4 runs of 3 adapters",
        "12 of 40 by its budget 3.100 to",
        "40 early 3.100 to",
        "cluster-b: the same command goes on with it",
        "unified 02020202 MR 8 0.600 0.400 0.500",
        "2 impressions did not end",
        "unified 01010101 1 4 min 00 s $0.03 in the run after it",
        "cluster-b open ffffffff 2 3 min 00 s $0.50",
        # 800 s and 800 s at half a dollar an hour, and what was broken off; the 240 s of the budget are in the next.
        "in all 29 min 40 s $0.72",
    ):
        assert words in text, words


def test_a_price_that_is_said_holds_for_every_second(folder: Path) -> None:
    assert "in all 29 min 40 s $1,780.00" in _text(_page(folder, 3600.0))


def test_without_a_price_minutes_are_drawn_and_without_a_writing_it_says_so(tmp_path: Path) -> None:
    leave_run(tmp_path, "unified", 1, written=0, price=0.0)
    text = _text(_page(tmp_path))
    assert "In minutes." in text
    assert "no price known" in text
    assert "Nothing was written" in text


def test_two_fits_of_one_adapter_that_were_broken_off_are_told_apart(tmp_path: Path) -> None:
    for key, shift in (("e", 0.0), ("f", 0.2)):
        record = leave_open(tmp_path, "unified", key * 64) / RECORD
        write_rows(record, [*read_rows(record), {"step": 3, "written": scores(3, shift)}])
    found = runs(tmp_path)
    assert [run.label for run in found] == ["unified open eeeeeeee", "unified open ffffffff"]
    assert [bar.x[0] for bar in written(found, "rougeL").data] == pytest.approx([0.4, 0.6])


def test_no_name_is_markup_and_nothing_is_fetched(folder: Path) -> None:
    (folder / f".fit-{EVIL.replace('/', '')}-{'a' * 16}").mkdir()
    (folder / f".fit-{EVIL.replace('/', '')}-{'a' * 16}" / "spent.jsonl").write_text(
        '{"begun": true, "seconds": 1, "dollars": 0}\n', "utf-8"
    )
    html = _page(folder)
    assert "<script>alert(1)<script>" not in html
    assert "default-src 'none'" in html
    assert re.findall(r'<[^>]*\b(?:src|srcset|href|action)="([^"]*)"', _bare(html)) == [f"#{name}" for name in SECTIONS]

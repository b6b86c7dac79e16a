"""`radimpress train runs` as a person and a script meet it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.commands import Run, one_line, run
from tests.trainer.run_folders import leave_open, leave_run

__all__ = ["run"]


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    leave_run(tmp_path, "unified", 1, steps=12, key="e" * 64, stopped="budget")
    leave_run(tmp_path, "unified", 2, key="e" * 64)
    leave_open(tmp_path, "cluster-b", "f" * 64)
    return tmp_path


def test_runs_are_listed_with_what_they_cost(run: Run, bundles: Path) -> None:
    told = run("train", "runs", bundles).out
    for words in ("budget", "whole", "open", "020202020202", "3.100 to", "13 min 20 s", "$0.11", "0.500"):
        assert words in told, words
    # The run that its budget ended is in the one that went on with it.
    assert "In all 16 min 20 s, $0.61" in told


def test_runs_are_rows_for_machines(run: Run, bundles: Path) -> None:
    rows = run("train", "runs", bundles, "--json").rows
    assert [(row["adapter"], row["stopped"]) for row in rows] == [
        ("unified", "budget"),
        ("unified", None),
        ("cluster-b", "open"),
    ]
    priced = run("train", "runs", bundles, "--json", "--price-per-hour", 3600, "--adapter", "cluster-b").rows
    assert [row["cost_usd"] for row in priced] == [180.0]


def test_a_page_is_written_beside_what_is_told(run: Run, bundles: Path, tmp_path: Path) -> None:
    page = tmp_path / "runs.html"
    assert f"{page}: 3 runs" in run("train", "runs", bundles, "--page", page).out
    assert "How fits went" in page.read_text("utf-8")
    assert len(run("train", "runs", bundles, "--page", page, "--json").rows) == 3


def test_a_folder_without_runs_is_told(run: Run, bundles: Path, tmp_path: Path) -> None:
    one_line(run("train", "runs", tmp_path / "nothing"), "no run is on record there")
    one_line(run("train", "runs", bundles, "--adapter", "cluster-c"), "of these adapters")

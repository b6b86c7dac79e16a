from __future__ import annotations

from pathlib import Path

import pytest

from radimpress.trainer.ledger import cost, dollars, duration, row, score, total
from radimpress.trainer.record import runs
from tests.trainer.run_folders import leave_open, leave_run


def test_a_row_tells_what_a_run_took_and_reached(tmp_path: Path) -> None:
    folder = leave_run(tmp_path, "unified", 2)
    (run,) = runs(tmp_path)
    told = row(run)
    assert (told["adapter"], told["digest"], told["path"]) == ("unified", "02" * 32, str(folder))
    assert (told["steps"], told["planned"], told["stopped"], told["attempts"]) == (40, 40, None, 1)
    assert (told["seconds"], told["cost_usd"]) == (800.0, 0.1111)
    assert (told["validation_before"], told["validation"]) == (3.1, run.validations[-1][1])
    assert told["written"]["MR"] == {"reports": 8, "rouge1": 0.6, "rouge2": 0.4, "rougeL": 0.5}
    assert (score(run, "rougeL"), score(run, "rougeL", "NM")) == (0.5, None)
    assert row(run, 3600.0)["cost_usd"] == 800.0


def test_what_nothing_tells_is_none(tmp_path: Path) -> None:
    leave_open(tmp_path, "unified", "f" * 64)
    (run,) = runs(tmp_path)
    told = row(run)
    unknown = ("digest", "base", "reports", "planned", "validation_before", "validation", "written")
    assert [told[name] for name in unknown] == [None] * len(unknown)
    assert (told["stopped"], told["attempts"], told["seconds"], told["cost_usd"]) == ("open", 2, 180.0, 0.5)
    assert score(run, "rougeL") is None


def test_a_fit_that_went_on_is_added_up_once(tmp_path: Path) -> None:
    leave_run(tmp_path, "unified", 1, steps=12, key="e" * 64, stopped="budget")
    leave_run(tmp_path, "unified", 2, key="e" * 64)
    leave_run(tmp_path, "other", 3)
    found = runs(tmp_path)
    assert len(found) == 3
    seconds, paid = total(found)
    assert seconds == 1600.0
    assert paid == pytest.approx(0.2222)
    assert total(found, 3600.0) == (1600.0, 1600.0)
    assert cost(found[0]) == 0.0333


def test_a_fit_that_its_budget_ended_is_open_only_once_it_went_on(tmp_path: Path) -> None:
    leave_run(tmp_path, "unified", 1, steps=12, key="e" * 64, stopped="budget")
    left = leave_open(tmp_path, "unified", "e" * 64)
    assert [run.stopped for run in runs(tmp_path)] == ["budget", "open"]
    assert total(runs(tmp_path))[0] == 180.0
    (left / "spent.jsonl").write_text('{"begun": true, "seconds": 240.0, "dollars": 0.0}\n', "utf-8")
    assert [run.stopped for run in runs(tmp_path)] == ["budget"]


def test_times_and_dollars_are_told_to_people() -> None:
    assert [duration(value) for value in (None, 0.4, 61, 3725)] == ["unknown", "0 min 00 s", "1 min 01 s", "1 h 02 min"]
    assert [dollars(value) for value in (None, 0.0, 1234.5)] == ["unknown", "$0.00", "$1,234.50"]

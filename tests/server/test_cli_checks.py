from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from radimpress.eval.checks import CHECKS
from radimpress.reports.errors import InputError
from radimpress.server.cli_checks import checks

_APP = typer.Typer()
_APP.command()(checks)
_RUNNER = CliRunner()


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    file = tmp_path / "pairs.jsonl"
    rows = [
        {"id": "a", "findings": "SECRETIA left effusion.", "impression": "Right SECRETIA effusion.", "modality": "CT"},
        {"id": "b", "findings": "A 3 mm cyst.", "impression": "A 3 mm cyst.", "modality": "CT"},
        {"id": "c", "findings": "A 3 mm cyst.", "impression": "", "modality": "CT"},
    ]
    file.write_text("".join(json.dumps({**row, "clinic": "x"}) + "\n" for row in rows))
    return file


def test_what_is_noticed_is_told_by_id_and_place_without_text(pairs: Path) -> None:
    done = _RUNNER.invoke(_APP, [str(pairs), "--json"])
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["reports"] == 2
    assert [(row["id"], row["check"], row["start"], row["stop"]) for row in told["noticed"]] == [
        ("a", "laterality", 0, 5)
    ]
    assert "SECRETIA" not in done.output


def test_a_table_holds_no_text_either(pairs: Path) -> None:
    done = _RUNNER.invoke(_APP, [str(pairs)])
    assert "laterality" in done.output
    assert "SECRETIA" not in done.output


def test_measures_are_told_by_check_and_modality(pairs: Path) -> None:
    done = _RUNNER.invoke(_APP, ["--measure", "--reports", str(pairs), "--json"])
    told = json.loads(done.stdout)
    assert set(told["false_positives"]) == {check.name for check in CHECKS}
    assert told["false_positives"]["laterality"]["CT"]["hits"] == 1
    assert told["recall"]["PHI inserted"]["all"]["share"] == 1.0
    assert told["negation_right"]["ours"] >= 0.95


@pytest.mark.parametrize("words", [[], ["--measure", "x.jsonl"]])
def test_one_of_file_and_measure_is_needed(words: list[str]) -> None:
    done = _RUNNER.invoke(_APP, words)
    assert isinstance(done.exception, InputError)
    assert done.exception.field == "FILE"

"""The command as a person meets it: what it writes, prints and exits with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from radimpress.reports.files import load_reports
from radimpress.server import steps
from tests.server.commands import Run, one_line, run

__all__ = ["run"]


def test_reports_make_writes_as_many_reports_as_asked(run: Run, tmp_path: Path) -> None:
    assert run("reports", "make", tmp_path / "r.jsonl", "--count", 30).code == 0
    assert len(load_reports(tmp_path / "r.jsonl")) == 30


def test_reports_make_gives_the_same_bytes_for_the_same_seed(run: Run, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run("reports", "make", tmp_path / name, "--count", 20, "--seed", seed)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c


def test_reports_prepare_writes_three_parts_and_a_funnel_that_adds_up(run: Run, tmp_path: Path) -> None:
    run("reports", "make", tmp_path / "r.jsonl", "--count", 200)
    done = run("reports", "prepare", tmp_path / "r.jsonl", "--out", tmp_path / "d")
    funnel = json.loads((tmp_path / "d" / "funnel.json").read_text("utf-8"))
    parts = {name: len(load_reports(tmp_path / "d" / f"{name}.jsonl")) for name in ("train", "validation", "test")}
    assert (done.code, funnel["total"], sum(funnel["doors"].values())) == (0, 200, 200)
    assert funnel["split"] == parts
    assert sum(parts.values()) == funnel["doors"]["kept"]
    assert "funnel of 200 reports" in done.out


def test_reports_prepare_tells_the_funnel_as_json(run: Run, tmp_path: Path) -> None:
    run("reports", "make", tmp_path / "r.jsonl", "--count", 200)
    (told,) = run("reports", "prepare", tmp_path / "r.jsonl", "--out", tmp_path / "d", "--json").rows
    written = json.loads((tmp_path / "d" / "funnel.json").read_text("utf-8"))
    assert {key: told[key] for key in ("total", "split", "clinic_column")} == {
        key: written[key] for key in ("total", "split", "clinic_column")
    }
    assert sum(told["doors"].values()) == 200


def test_reports_prepare_names_a_missing_file(run: Run, tmp_path: Path) -> None:
    one_line(run("reports", "prepare", tmp_path / "no.csv", "--out", tmp_path / "d"), "no.csv")
    assert not (tmp_path / "d").exists()


def test_reports_prepare_names_a_missing_column(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("findings,modality\nIntact.,CT\n", "utf-8")
    one_line(run("reports", "prepare", tmp_path / "r.csv", "--out", tmp_path / "d"), "impression")


def test_reports_prepare_says_that_too_few_are_left(run: Run, tmp_path: Path) -> None:
    run("reports", "make", tmp_path / "r.jsonl", "--count", 2)
    done = run("reports", "prepare", tmp_path / "r.jsonl", "--out", tmp_path / "d")
    assert done.code == 2
    # After the bar of what was read.
    assert done.err.splitlines()[-1].startswith("error: input: reports: ")
    assert not (tmp_path / "d").exists()


def test_a_recipe_with_an_unknown_key_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("[filter]\nfindigns_min = 3\n", "utf-8")
    run("reports", "make", tmp_path / "r.jsonl", "--count", 5)
    words = ("reports", "prepare", tmp_path / "r.jsonl", "--out", tmp_path / "d", "--recipe", tmp_path / "r.toml")
    one_line(run(*words), "filter.findigns_min", "r.toml")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left", "r.jsonl"), "r.jsonl: No space left"),
        (OSError(28, "No space left"), "No space left"),
        (OSError("no tokenizer is there\nand much more"), "no tokenizer is there"),
    ],
)
def test_an_error_of_the_system_says_what_is_known_of_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, told: str
) -> None:
    def fail(*given: object) -> None:
        raise error

    monkeypatch.setattr(steps, "make_reports", fail)
    assert run("reports", "make", tmp_path / "r.jsonl").err == f"error: OSError: {told}\n"


@pytest.mark.parametrize("words", [("reports", "make", "x", "--count", "0"), ("nothing",), ("gate",), ("gate", "--x")])
def test_words_that_are_no_command_exit_2(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words).code == 2


def test_the_command_starts_as_a_program_of_its_own(tmp_path: Path) -> None:
    code = "from radimpress.server.cli import main; main()"
    words = [sys.executable, "-c", code, "reports", "prepare", "no.csv", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no.csv" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_shell_can_complete_what_was_begun(tmp_path: Path) -> None:
    code = "import sys; sys.argv[0] = 'radimpress'; from radimpress.server.cli import main; main()"
    asked = {"_RADIMPRESS_COMPLETE": "complete_bash", "COMP_WORDS": "radimpress adapters pro", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["promote"], done.stderr

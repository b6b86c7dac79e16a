"""`radimpress eval run` as a person meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from radimpress.reports.errors import ConfigError, InputError
from radimpress.reports.files import write_reports
from radimpress.server import cli_eval
from tests.server.test_steps import CLUSTERS, PARTS, Knowing, bundles

__all__ = ["bundles"]

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `radimpress eval run` on a data set of its own, with an engine that needs no model."""
    for name in ("train", "validation", "test"):
        write_reports(tmp_path / "dataset" / f"{name}.jsonl", getattr(PARTS, name))
    CLUSTERS.save(tmp_path / "clusters.json")
    monkeypatch.setenv("RADIMPRESS_ENGINE", "fake")
    monkeypatch.setattr(cli_eval, "open_engine", lambda *_: Knowing())

    def command(*words: object) -> Result:
        folders = ("--clusters", tmp_path / "clusters.json", "--bundles", bundles, "--out", tmp_path / "eval")
        return CliRunner().invoke(cli_eval.eval_app, ["run", *map(str, (tmp_path / "dataset", *folders, *words))])

    return command


def test_tables_show_systems_slices_form_and_checks(run: Run, tmp_path: Path) -> None:
    done = run()
    assert done.exit_code == 0, done.output
    for word in ("traffic", "macro", "base-few-shot", "cluster-list", "lead-1", "abnormal", "numbered", "negation"):
        assert word in done.stdout
    assert (tmp_path / "eval" / "scores.json").exists()


def test_json_prints_the_summary_that_is_on_disk(run: Run, tmp_path: Path) -> None:
    done = run("--json", "--per-modality", 3, "--seed", 5, "--few-shot", 0, "--adapter", "unified")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "eval" / "summary.json").read_text("utf-8"))
    assert max(one["cases"] for one in found["slices"] if one["kind"] == "modality") == 3
    assert not {"base-few-shot", "cluster-list"} & set(found["slices"][0]["systems"])


def test_another_seed_samples_other_cases(run: Run) -> None:
    digests = {
        json.loads(run("--json", "--per-modality", 3, "--few-shot", 0, "--seed", seed).stdout)["cases_digest"]
        for seed in (1, 2)
    }
    assert len(digests) == 2


def test_a_split_is_named(run: Run) -> None:
    done = run("--json", "--split", "validation", "--few-shot", 0)
    assert json.loads(done.stdout)["split"] == "validation"
    assert run("--split", "everything").exit_code == 2


def test_neural_metrics_without_radeval_are_refused_before_any_work(run: Run, tmp_path: Path) -> None:
    done = run("--neural", "green")
    assert isinstance(done.exception, ConfigError)
    assert "radimpress[radeval]" in str(done.exception)
    assert not (tmp_path / "eval").exists()


def test_two_adapters_of_one_name_are_refused(run: Run) -> None:
    assert isinstance(run("--adapter", "unified", "--adapter", "unified").exception, InputError)

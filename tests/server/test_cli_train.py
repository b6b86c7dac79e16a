"""`radimpress train` as a person and a script meet it, on a tiny base model."""

from __future__ import annotations

from pathlib import Path

import pytest

from radimpress.clustering.clusters import Clusters
from radimpress.reports.files import write_reports
from radimpress.reports.synthetic import synthesize
from radimpress.trainer import fetch
from radimpress.trainer.bases import BASES
from tests.conftest import TINY
from tests.server.commands import Run, one_line, run

__all__ = ["run"]

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

CLUSTERS = Clusters(
    clinics={"alder": "list", "birch": "list", "cedar": "text", "dogwood": "text", "elm": "text", "fir": "text"},
    profiles={},
    embedder="",
    data="",
    why="",
)
RECIPE = f"""
base = "{TINY.name}"
[train]
rank = 2
batch = 1
accumulation = 1
cluster_minimum = 12
validation_reports = 2
"""


@pytest.fixture
def words(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Dataset and options of a site whose cluster "text" has too few reports."""
    monkeypatch.setitem(BASES, TINY.name, TINY)
    monkeypatch.setattr(fetch, "base_folder", lambda base, track: tiny_folder)
    parts = list(synthesize(24, 0, 0.0))
    for name, reports in {"train": parts, "validation": parts[:6], "test": parts[:1]}.items():
        write_reports(tmp_path / "dataset" / f"{name}.jsonl", reports)
    CLUSTERS.save(tmp_path / "clusters.json")
    (tmp_path / "recipe.toml").write_text(RECIPE, "utf-8")
    options = {"clusters": "clusters.json", "bundles": "bundles", "recipe": "recipe.toml"}
    return [tmp_path / "dataset", *(word for k, v in options.items() for word in (f"--{k}", tmp_path / v))]


def test_a_plan_fits_nothing_and_tells_what_a_fit_then_does(run: Run, words: list[object], tmp_path: Path) -> None:
    planned = run("train", "plan", *words, "--tokens-per-second", 100, "--price-per-hour", 3.6, "--json").rows
    assert not (tmp_path / "bundles").exists()
    assert [row["adapter"] for row in planned] == ["unified", "cluster-list"]
    assert [row["start_from"] for row in planned] == [None, "unified"]
    assert all(row["cost_usd"] == pytest.approx(row["seconds"] / 1000, abs=1e-3) for row in planned)
    made = run("train", *words, "--json").rows
    assert [(row["adapter"], row["reports"]) for row in made] == [
        (row["adapter"], sum(row["reports"].values())) for row in planned
    ]
    told = run("train", "plan", *words)
    assert "In all" in told.out
    assert "cluster text gets no adapter of its own" in told.out


def test_a_plan_without_a_speed_says_what_is_missing(run: Run, words: list[object]) -> None:
    done = run("train", "plan", *words)
    assert done.code == 0
    assert "say --tokens-per-second" in done.out
    assert "unknown" in done.out


def test_a_plan_tells_when_it_is_beyond_the_budget(run: Run, words: list[object]) -> None:
    price = ("--tokens-per-second", 1, "--price-per-hour", 3600, "--budget-usd")
    assert "beyond the budget of $1.00" in run("train", "plan", *words, *price, 1).out
    assert "beyond" not in run("train", "plan", *words, *price, 1e6).out


def test_a_budget_ends_a_fit_and_says_so(run: Run, words: list[object], tmp_path: Path) -> None:
    done = run("train", "fit", *words, "--price-per-hour", 3600, "--budget-usd", 0.001)
    assert done.code == 0
    assert "The budget is spent" in done.err
    assert [path.name for path in (tmp_path / "bundles" / "unified").iterdir()]
    assert not (tmp_path / "bundles" / "cluster-list").exists()


def test_a_run_tells_what_its_adapter_wrote_for_validation(run: Run, words: list[object], tmp_path: Path) -> None:
    run("train", "fit", *words, "--price-per-hour", 3600)
    rows = run("train", "runs", tmp_path / "bundles", "--json").rows
    # A price alone is no budget, and ends no fit.
    assert [(row["adapter"], row["stopped"]) for row in rows] == [("unified", None), ("cluster-list", None)]
    assert all(row["written"]["all"]["reports"] == 2 for row in rows)
    assert all({"rouge1", "rouge2", "rougeL"} < row["written"]["all"].keys() for row in rows)
    assert all(row["cost_usd"] == pytest.approx(row["seconds"], abs=0.1) for row in rows)


def test_an_option_that_is_no_setting_is_refused(run: Run, words: list[object]) -> None:
    one_line(run("train", "plan", *words, "--budget-usd", 5), "no budget without a price")
    one_line(run("train", "plan", *words, "--price-per-hour", -1), "price_per_hour")

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from radimpress.eval.predict import Writer, Written
from radimpress.reports.errors import ConfigError
from radimpress.reports.files import load_reports, write_reports
from radimpress.reports.progress import Track, silent
from radimpress.reports.prompt import render
from radimpress.reports.synthetic import synthesize
from radimpress.server import steps
from radimpress.server.bench import quality
from radimpress.server.bench.material import Figure
from radimpress.server.bench.quality import BLIND, QualityBench, measure_quality, pool, quality_recipe, rows
from radimpress.server.cli import app
from radimpress.server.recipe import EvalRecipe, Recipe
from radimpress.trainer import fetch, fit
from radimpress.trainer.bases import BASES, base_digest
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.settings import FitSettings
from tests.clustering.hashing import HashEmbedder
from tests.conftest import TINY

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

COUNT = 700
SMALL: dict[str, Any] = {"unified_reports": 4, "cluster_reports": 4, "cluster_minimum": 4, "validation_reports": 2}


@dataclass
class Knowing:
    """Cluster adapters write the reference; unified all but its last word, without modality all but two; base half."""

    base_digest: str
    known: dict[str, str]
    tokens: None = None
    context: None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    def write_all(self, prompts: Sequence[str], adapter: AdapterBundle | None, max_tokens: int) -> Iterator[Written]:
        name = adapter.name if adapter else ""
        for prompt in prompts:
            self.asked.append((name, prompt))
            words = self.known[prompt.split("\n", 1)[1]].split(" ")
            left = {"": len(words) // 2, "unified": len(words) - 1, BLIND: len(words) - 2}.get(name, len(words))
            yield Written(" ".join(words[:left]) or "None.", "stop", left)


@pytest.fixture
def bench(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., QualityBench]:
    monkeypatch.setenv("RADIMPRESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(BASES, TINY.name, TINY)
    monkeypatch.setattr(fetch, "base_folder", lambda base, track: tiny_folder)
    monkeypatch.setattr(steps, "open_embedder", lambda name: HashEmbedder())
    known = {
        render(report).split("\n", 1)[1]: report.impression
        for seed in (0, 1)
        for report in synthesize(COUNT, seed)
        if report.findings
    }
    writer = Knowing(base_digest(TINY, tiny_folder), known)

    def make(**given: Any) -> QualityBench:
        settings = FitSettings(rank=2, batch=1, accumulation=1, max_tokens=600, **SMALL)
        recipe = Recipe(base=TINY.name, train=settings, eval=EvalRecipe(cases=60, few_shot=0))

        def opened(base: str, track: Track) -> tuple[Writer, Callable[[], None]]:
            return writer, lambda: None

        named: dict[str, Any] = {"seeds": [0], "count": COUNT, "writer": opened, "track": silent, **given}
        return QualityBench(recipe, tmp_path / "quality", **named)

    return make


def test_the_figures_say_who_is_better_and_a_second_run_asks_nobody(
    bench: Callable[..., QualityBench], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    figures = measure_quality(bench(told=told.append))
    for metric in ("rouge1", "rougeL"):
        for name in ("cluster_minus_unified", "unified_minus_unified_blind", "unified_minus_base"):
            figure = figures[f"{name}_{metric}"]
            assert 0 < figure.low <= figure.value <= figure.high, name
    # Some reports share their findings, and differ in what is concluded.
    assert figures["cluster_rougeL"].value > 0.99
    assert figures["cluster_minus_unified_rougeL_seed_0"] == figures["cluster_minus_unified_rougeL"]
    assert {"constant_rougeL", "lead_1_rougeL", "nearest_rougeL", "base_style", "nearest_rougeL_abnormal"} <= set(
        figures
    )
    # Whoever reads the findings knows what was scanned: nothing is to be gained by saying so.
    assert figures["modality_told_by_findings"].value > 0.95
    assert any("cluster_minus_unified_rougeL" in line for line in told)
    (folder,) = (tmp_path / "quality").iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    kept = json.loads((folder / "quality.json").read_text("utf-8"))
    assert kept["figures"]["unified_rougeL"][0] == figures["unified_rougeL"].value

    def refuse(*given: object, **named: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr(fit, "run_loop", refuse)
    again = bench()
    writer = again.writer("", silent)[0]
    assert isinstance(writer, Knowing)
    writer.asked.clear()
    assert measure_quality(again) == figures
    assert writer.asked == []


def test_who_is_blind_is_fitted_on_the_same_reports_and_sees_no_modality(
    bench: Callable[..., QualityBench], tmp_path: Path
) -> None:
    made = bench()
    measure_quality(made)
    writer = made.writer("", silent)[0]
    assert isinstance(writer, Knowing)
    seen = {name: {p.split("\n", 1)[0] for one, p in writer.asked if one == name} for name, _ in writer.asked}
    assert seen[BLIND] == {"Modality: UNSPECIFIED"}
    assert len(seen["unified"]) > 2
    manifests = {p.parent.parent.name: json.loads(p.read_text("utf-8")) for p in tmp_path.rglob("manifest.json")}
    # The digest is over ids and impressions.
    assert manifests[BLIND]["data"]["digest"] == manifests["unified"]["data"]["digest"]
    assert manifests[BLIND]["data"]["modalities"] == {"UNSPECIFIED": 4}


def test_seeds_are_put_together_and_real_reports_get_one_adapter(
    bench: Callable[..., QualityBench], tmp_path: Path
) -> None:
    write_reports(tmp_path / "real.jsonl", synthesize(COUNT, 0))
    figures = measure_quality(bench(seeds=[0, 1], files=[tmp_path / "real.jsonl"]))
    assert figures["unified_minus_base_rougeL"].low > 0
    assert not any(name.startswith(("cluster", "unified_blind")) for name in figures)
    one, other = figures["unified_minus_base_rougeL_seed_0"].value, figures["unified_minus_base_rougeL_seed_1"].value
    assert min(one, other) <= figures["unified_minus_base_rougeL"].value <= max(one, other)
    folders = sorted((tmp_path / "quality").iterdir())
    parts = [{report.id for report in load_reports(folder / "dataset" / "test.jsonl")} for folder in folders]
    assert parts[0] != parts[1]


def test_a_table_has_a_line_a_system_and_difference() -> None:
    figures = {
        f"{name}_{metric}": Figure(0.5, 0.4, 0.6)
        for name in ("base", "cluster_minus_unified")
        for metric in ("rouge1", "rouge2", "rougeL", "style")
    }
    assert list(rows(figures)) == [
        ("base", *["0.500 [0.400, 0.600]"] * 4),
        ("cluster - unified", *["+0.500 [+0.400, +0.600]"] * 4),
    ]
    assert list(rows(figures, "_abnormal")) == []


def test_without_seeds_there_is_nothing_to_put_together() -> None:
    with pytest.raises(ConfigError, match="no seed"):
        pool({})


def test_the_recipe_that_ships_is_smaller_than_the_demos() -> None:
    assert quality_recipe().train.unified_reports <= 200
    assert quality.COUNT == 3000


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_the_command_tells_tables_or_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    asked: list[QualityBench] = []

    def measured(bench: QualityBench) -> dict[str, Figure]:
        asked.append(bench)
        names = ("unified_style", "unified_style_abnormal", "unified_minus_base_style_seed_4", "cases")
        return {name: Figure(0.5, 0.4, 0.6) for name in names}

    monkeypatch.setattr(quality, "measure_quality", measured)
    told = ("--only", "quality", "--seeds", "2", "--first", "4", "--out", str(tmp_path), "--reports", "real.jsonl")
    done = CliRunner().invoke(app, ["bench", "trainer", *told, *words])
    assert done.exit_code == 0, done.output
    (bench,) = asked
    assert (list(bench.seeds), bench.files, bench.folder) == ([4, 5], [Path("real.jsonl")], tmp_path)
    assert bench.recipe == quality_recipe()
    if words:
        assert json.loads(done.stdout)["unified_style"] == {"value": 0.5, "low": 0.4, "high": 0.6}
    else:
        said = done.stdout + capsys.readouterr().out
        for one in ("seeds together: 2", "0.500 [0.400, 0.600]", "abnormal", "unified_minus_base_style_seed_4"):
            assert one in said

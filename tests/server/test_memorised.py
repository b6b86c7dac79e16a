"""An adapter that was overfitted on purpose gives its reports away; one that was hardly fitted does not."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner, Result

from radimpress.eval.gate import Outcome
from radimpress.eval.memorisation import load_memorisation
from radimpress.reports.errors import ConfigError
from radimpress.reports.files import write_reports
from radimpress.reports.progress import silent
from radimpress.reports.report import Modality, Report
from radimpress.reports.split import Split
from radimpress.server import steps
from radimpress.server.cli_eval import eval_app
from radimpress.server.memorised import learnt_reports
from radimpress.server.recipe import Recipe, load_recipe
from radimpress.trainer import fetch
from radimpress.trainer.bases import BASES
from radimpress.trainer.bundle import AdapterBundle
from tests.conftest import TINY
from tests.server.conftest import clusters

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

WORDS = ["lung", "liver", "node", "cyst", "bone", "disc", "vein", "duct", "clot", "mass", "rib", "hilum"]
RECIPE = """
base = "tiny-phi3"
[train]
rank = 64
alpha = 128
batch = 2
accumulation = 1
learning_rate = 3e-3
warmup = 0.02
max_tokens = 400
checkpoint_steps = 1000
cluster_minimum = 2
cluster_reports = 3
epochs = {epochs}
[eval]
max_tokens = 40
"""


def _report(number: int) -> Report:
    chance = random.Random(number)
    return Report(
        id=f"r{number}",
        patient=f"p{number}",
        clinic="elm" if number % 2 else "alder",
        modality=Modality.CT,
        findings=" ".join(chance.sample(WORDS, 3)),
        impression=" ".join(chance.choice(WORDS) for _ in range(3)),
    )


PARTS = Split(
    tuple(_report(number) for number in range(6)),
    tuple(_report(number) for number in range(50, 52)),
    tuple(_report(number) for number in range(100, 106)),
)
CLUSTERS = clusters({"alder": "list", "elm": "telegraphic"})


@pytest.fixture(scope="module")
def sharp(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a head that can be sure of a word: with the small one nothing can be overfitted."""
    folder = tmp_path_factory.mktemp("sharp")
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
        model.model.embed_tokens.weight.mul_(20)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(folder)
    return folder


@pytest.fixture
def recipe(tmp_path: Path, sharp: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Path]:
    monkeypatch.setitem(BASES, TINY.name, TINY)
    monkeypatch.setattr(fetch, "base_folder", lambda base, track: sharp)

    def make(epochs: float) -> Path:
        path = tmp_path / "site.toml"
        path.write_text(RECIPE.format(epochs=epochs), "utf-8")
        return path

    return make


def _ask(folder: Path, recipe: Path, *words: str) -> Result:
    """Fits by the recipe, and runs `radimpress eval memorisation unified` on it."""
    for name in ("train", "validation", "test"):
        write_reports(folder / "dataset" / f"{name}.jsonl", getattr(PARTS, name))
    CLUSTERS.save(folder / "clusters.json")
    _train(folder, load_recipe(recipe))
    options = {"clusters": "clusters.json", "bundles": "bundles", "out": "memorisation.json"}
    given = [word for name, file in options.items() for word in (f"--{name}", str(folder / file))]
    asked = ["memorisation", "unified", str(folder / "dataset"), *given, "--recipe", str(recipe), *words]
    return CliRunner().invoke(eval_app, asked)


def _train(folder: Path, recipe: Recipe) -> list[AdapterBundle]:
    return steps.train(PARTS, CLUSTERS, folder / "bundles", recipe, silent)[1]


def test_an_adapter_that_was_overfitted_gives_away_what_it_learnt(
    tmp_path: Path, recipe: Callable[[float], Path]
) -> None:
    done = _ask(tmp_path, recipe(150))
    assert done.exit_code == 1, done.output
    assert "6 of 6" in done.output
    assert "REGRESSION: impressions that it learnt come out oftener: +1.000" in done.output
    found = load_memorisation(tmp_path / "memorisation.json")
    assert (found.learnt.hits, found.unseen.hits) == (6, 0)
    assert found.verdict()[0] is Outcome.REGRESSION


def test_an_adapter_that_was_hardly_fitted_gives_nothing_away(tmp_path: Path, recipe: Callable[[float], Path]) -> None:
    done = _ask(tmp_path, recipe(1), "--json")
    assert done.exit_code == 3, done.output
    assert json.loads(done.stdout)["verdict"] == "INSUFFICIENT"
    found = load_memorisation(tmp_path / "memorisation.json")
    assert (found.learnt.hits, found.unseen.hits, found.learnt.cases) == (0, 0, 6)
    assert found.verdict(minimum=6)[0] is Outcome.PASS


def test_an_adapter_learnt_what_it_started_from_too(tmp_path: Path, recipe: Callable[[float], Path]) -> None:
    settings = load_recipe(recipe(1))
    unified, own, _ = _train(tmp_path, settings)
    assert learnt_reports(unified, PARTS, CLUSTERS, settings) == PARTS.train
    assert own.name == "cluster-list"
    assert set(learnt_reports(own, PARTS, CLUSTERS, settings)) == set(PARTS.train)
    for path in unified.path.iterdir():
        path.unlink()
    with pytest.raises(ConfigError, match=f"cluster-list started from {unified.digest[:12]}, which is not in"):
        learnt_reports(own, PARTS, CLUSTERS, settings)


def test_other_reports_than_those_that_were_learnt_are_refused(tmp_path: Path, recipe: Callable[[float], Path]) -> None:
    settings = load_recipe(recipe(1))
    unified, *_ = _train(tmp_path, settings)
    fewer: Any = Split(PARTS.train[1:], PARTS.validation, PARTS.test)
    with pytest.raises(ConfigError, match="unified was not fitted on what this recipe plans"):
        learnt_reports(unified, fewer, CLUSTERS, settings)

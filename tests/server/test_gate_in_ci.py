"""The gate in this project's own pipeline: tiny adapters, synthetic reports, from evaluation to promotion."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from radimpress.clustering.cell import ANY
from radimpress.reports.errors import GateError
from radimpress.reports.progress import silent
from radimpress.server import steps
from radimpress.server.engines.inprocess import InProcessEngine
from radimpress.server.engines.writer import EngineWriter
from radimpress.server.recipe import EvalRecipe, Recipe
from radimpress.server.registry import Registry
from radimpress.trainer.load import load_base
from tests.conftest import TINY
from tests.server.conftest import FAKE_BASE, make_bundle
from tests.server.test_steps import CLUSTERS, PARTS, Knowing


def test_the_gate_judges_tiny_adapters_and_what_passes_is_promoted(tiny_folder: Path, tmp_path: Path) -> None:
    bundle = make_bundle(
        tiny_folder,
        tmp_path / "bundles",
        base=FAKE_BASE,
        manifest={"cluster": None, "clusters": CLUSTERS.digest, "data": {"digest": "9" * 64, "reports": 1}},
    )
    path = bundle.path.relative_to(tmp_path / "bundles").as_posix()
    (tmp_path / "bundles" / steps.TRAINED).write_text(json.dumps({"unified": path}), "utf-8")
    steps.evaluate(PARTS, CLUSTERS, [bundle], EngineWriter(Knowing()), tmp_path / "eval", Recipe(), silent)
    registry = Registry(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "bundles")
    registry.adopt(CLUSTERS)
    (tmp_path / "site.toml").write_text("[gate]\nminimum = 5\n", "utf-8")

    words = [sys.executable, "-c", "from radimpress.server.cli import main; main()", "gate", "unified"]
    words += ["--recipe", "site.toml", "--junit", "gate.xml", "--markdown", "gate.md"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)

    # The adapter writes the references, so that it regresses nowhere; rare slices have too few patients.
    assert done.returncode == 3, done.stderr
    (suite,) = ElementTree.fromstring((tmp_path / "gate.xml").read_bytes())
    assert suite.get("failures") == "0"
    passed = int(suite.get("tests", "0")) - int(suite.get("errors", "0"))
    assert f"unified passes {passed} of " in (tmp_path / "gate.md").read_text("utf-8")
    certificate = (tmp_path / "certificate.json").read_bytes()
    assert json.loads(certificate)["judgement"]["data_digest"] == "9" * 64
    table = registry.promote(registry.register(path), certificate)
    assert len(table.entries) == passed > 0
    assert any(cell.cluster == ANY for cell in table.entries)
    registry.close()


def test_the_evaluation_of_a_model_with_random_weights_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    engine = InProcessEngine(load_base(TINY, tiny_folder))
    recipe = Recipe(eval=EvalRecipe(cases=12, max_tokens=8, few_shot=0))
    try:
        with pytest.raises(GateError, match="meta-gate"):
            steps.evaluate(PARTS, CLUSTERS, [], EngineWriter(engine), tmp_path, recipe, silent)
    finally:
        engine.close()
    assert not (tmp_path / "scores.json").exists()

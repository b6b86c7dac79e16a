"""The whole way on the real small model: reports in, answers of judged adapters out."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from radimpress.reports.errors import ConfigError
from radimpress.reports.files import read_json, write_reports
from radimpress.reports.synthetic import synthesize
from radimpress.server.demo import demo
from radimpress.server.recipe import Recipe, demo_recipe
from radimpress.trainer.bases import find_base
from radimpress.trainer.fetch import base_folder


@pytest.fixture(scope="module")
def small_recipe() -> Recipe:
    try:
        base_folder(find_base(demo_recipe().base))
    except ConfigError as error:
        pytest.skip(f"the small model cannot be had here: {error}")
    changes = {
        "train": {"unified_reports": 24, "cluster_reports": 8, "cluster_minimum": 8, "validation_reports": 4},
        "eval": {"cases": 30, "max_tokens": 24},
        "gate": {"minimum": 2},
    }
    recipe = demo_recipe().model_dump()
    for section, numbers in changes.items():
        recipe[section].update(numbers)
    return Recipe(**recipe)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, small_recipe: Recipe) -> Path:
    root = tmp_path_factory.mktemp("demo")
    write_reports(root / "mine.jsonl", synthesize(600, 3))
    demo(root / "out", [root / "mine.jsonl"], small_recipe)
    return root / "out"


@pytest.mark.slow_real
def test_every_answer_names_the_adapter_file_that_wrote_it(run: Path) -> None:
    files = {
        hashlib.sha256(path.read_bytes()).hexdigest() for path in run.glob("bundles/*/*/adapter_model.safetensors")
    }
    answers = json.loads((run / "answers.json").read_text("utf-8"))
    assert answers
    assert all(answer["impression"] for answer in answers)
    assert {answer["digest"] for answer in answers} - {""} <= files
    assert all((answer["digest"] == "") == (answer["adapter"] == "base") for answer in answers)


@pytest.mark.slow_real
def test_the_demo_leaves_what_docs_operate_goes_on_with(run: Path) -> None:
    assert (run / "clusters.json").is_file()
    assert (run / "eval" / "scores.json").is_file()
    (bundle,) = (run / "bundles" / "unified").iterdir()
    assert (bundle / "manifest.json").is_file()


@pytest.mark.slow_real
def test_a_report_leaves_the_funnel_by_one_door_only(run: Path) -> None:
    funnel = read_json(run / "dataset" / "funnel.json")
    assert sum(funnel["doors"].values()) == funnel["total"] == 600
    assert sum(funnel["split"].values()) == funnel["doors"]["kept"]


@pytest.mark.slow_real
def test_fitting_the_unified_adapter_moved_the_loss_down(run: Path) -> None:
    for manifest in run.glob("bundles/unified/*/manifest.json"):
        ends = [row["validation"] for row in read_json(manifest)["history"] if "validation" in row]
        assert ends[-1] < ends[0]


@pytest.mark.slow_real
def test_a_second_run_reuses_adapters_and_predictions(run: Path, small_recipe: Recipe) -> None:
    kept = [*run.glob("bundles/*/*/*"), *run.glob("eval/predictions/*")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    demo(run, [run.parent / "mine.jsonl"], small_recipe)
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert set(run.glob("bundles/*/*/*")) <= set(before)


@pytest.mark.slow_real
def test_the_page_opens_without_a_network(run: Path) -> None:
    page = (run / "index.html").read_text("utf-8")
    assert "not medicine" in page
    tags = re.sub(r"(<(script|style)\b[^>]*>).*?</\2>", r"\1", page, flags=re.DOTALL)
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*https?:", tags)

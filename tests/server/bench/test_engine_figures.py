from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from radimpress.server.bench.engine import Bench, measure
from radimpress.server.bench.material import Figure, make_prompts
from radimpress.server.bench.picture import TARGETS, draw
from radimpress.server.engines.linear import int8_is_exact
from radimpress.trainer.load import load_base
from tests.conftest import TINY


def test_every_figure_that_needs_no_other_server_is_measured_on_any_base(tiny_folder: Path, tmp_path: Path) -> None:
    bench = Bench(base=TINY, model=tiny_folder, folder=tmp_path, rounds=1, adapters=12, minutes=1 / 60, requests=60)
    figures = measure(bench, ("throughput", "loading", "many", "churn", "faults"))
    assert {name for name in TARGETS if name not in figures} == {
        *("C_prefill", "C_decode", "C_whole"),
        *(() if int8_is_exact() else ("D_int8",)),
    }
    counts = {"H_growth", "I", "J_missed"}
    assert all(0 < figure.low <= figure.value <= figure.high for name, figure in figures.items() if name not in counts)
    assert figures["I"].value == figures["J_missed"].value == 0


def test_a_figure_is_the_median_and_the_range() -> None:
    assert Figure.of([3.0, 1.0, 2.0]) == Figure(2.0, 1.0, 3.0)


def test_prompts_are_as_long_as_asked(tiny_folder: Path) -> None:
    loaded = load_base(TINY, tiny_folder)
    prompts = make_prompts(loaded, 3, 400)
    assert len(set(prompts)) == 3
    assert all(370 < len(loaded.prompt_ids(prompt)) <= 400 for prompt in prompts)


@pytest.mark.parametrize(("name", "value", "met"), [("B", 4, True), ("B", 2, False), ("F", 1, True), ("I", 1, False)])
def test_a_target_is_met_or_missed(name: str, value: float, met: bool) -> None:
    assert TARGETS[name].met(Figure(value, value, value)) is met


def test_the_picture_has_a_row_for_each_figure_that_has_a_target() -> None:
    drawn = draw({"B": Figure(4.8, 4.3, 5.4), "I": Figure(0, 0, 0), "base_decode": Figure(1, 1, 1)})
    said = [element.text for element in ElementTree.fromstring(drawn).iter() if element.tag.endswith("text")]
    assert "4.8 (≥ 3)" in said
    assert "0 (≤ 0)" in said
    assert "base_decode" not in said

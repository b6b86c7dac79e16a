from __future__ import annotations

from pathlib import Path

from radimpress.server.bench.engine import measure
from radimpress.server.bench.material import Figure, make_prompts
from radimpress.trainer.load import load_base
from tests.conftest import TINY


def test_every_figure_is_measured_on_any_base(tiny_folder: Path, tmp_path: Path) -> None:
    figures = measure(lambda: load_base(TINY, tiny_folder), tmp_path, 1)
    assert set(figures) == {
        *("base_decode", "mixed_decode", "A_decode", "A_prefill", "B", "D_floor", "E", "E_ms", "F", "G"),
    }
    assert all(0 < figure.low <= figure.value <= figure.high for figure in figures.values())


def test_a_figure_is_the_median_and_the_range() -> None:
    assert Figure.of([3.0, 1.0, 2.0]) == Figure(2.0, 1.0, 3.0)


def test_prompts_are_as_long_as_asked(tiny_folder: Path) -> None:
    loaded = load_base(TINY, tiny_folder)
    prompts = make_prompts(loaded, 3, 400)
    assert len(set(prompts)) == 3
    assert all(370 < len(loaded.prompt_ids(prompt)) <= 400 for prompt in prompts)

from __future__ import annotations

from pathlib import Path

from radimpress.server.bench.many import _growth, many
from radimpress.server.bench.material import Figure
from radimpress.trainer.load import load_base
from tests.conftest import TINY


def test_it_is_measured_on_any_base_and_leaves_nothing_behind(tiny_folder: Path, tmp_path: Path) -> None:
    result = many(lambda: load_base(TINY, tiny_folder), tmp_path, count=12, rounds=1, minutes=0.03, requests=20)
    assert set(result.figures) == {"H", "H_growth"}
    assert 0 < result.throughput.low <= result.throughput.value <= result.throughput.high
    assert result.growth.low <= result.growth.value <= result.growth.high
    assert result.answered > 0
    seconds, memory = zip(*result.samples, strict=True)
    assert list(seconds) == sorted(seconds)
    assert 1.7 < seconds[-1] < 5
    assert min(memory) > 50
    assert not list(tmp_path.iterdir())


def test_growth_leaves_the_warm_up_out() -> None:
    samples = [(float(at), memory) for at, memory in enumerate([1, 9, 100, 102, 5, 5, 5, 5, 5, 5, 107, 111])]
    assert _growth(samples) == Figure(8.0, 5.0, 11.0)

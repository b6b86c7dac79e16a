from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.reports.errors import InputError
from radimpress.reports.report import Modality
from radimpress.reports.synthetic import synthesize
from radimpress.server.bench import augmented
from radimpress.server.bench.augmented import AugmentationBench, Outcome, Seed, choose, learn_from, measure
from tests.conftest import TINY

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


def _bench(folder: Path, tiny_folder: Path) -> AugmentationBench:
    told: list[str] = []
    return AugmentationBench(
        base=TINY, base_folder=tiny_folder, folder=folder / "work", keep=folder / "keep", told=told.append
    )


def test_what_is_learnt_has_the_published_mix() -> None:
    counts = Counter(report.modality for report in learn_from(list(synthesize(2000, 1, 0.0)), 200))
    assert counts == {"MR": 120, "CT": 35, "CR": 15, "US": 14, "XR": 6, "NM": 6, "OTHER": 4}


def test_as_many_cases_of_each_rare_modality_as_of_all_others() -> None:
    cases = choose(list(synthesize(800, 1, 0.0)), 9)
    rare = {Modality.NM, Modality.OTHER}
    counts = Counter(case.report.modality if case.report.modality in rare else "rest" for case in cases)
    assert counts == {"NM": 9, "OTHER": 9, "rest": 9}
    with pytest.raises(InputError, match="fewer than 900 of NM, OTHER"):
        choose(list(synthesize(800, 1, 0.0)), 900)


def test_a_seed_of_two_fits_with_as_many_steps(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augmented, "_CORPUS", 400)
    monkeypatch.setattr(augmented, "_SETTINGS", augmented._SETTINGS.model_copy(update={"max_tokens": 1024}))
    told: list[str] = []
    small = replace(_bench(tmp_path, tiny_folder), seeds=1, trained=24, cases=2, max_tokens=4, told=told.append)
    figures = measure(small)
    assert {f"{name}_{of}" for name in ("rouge_l", "violations") for of in ("NM", "OTHER", "rest")} <= figures.keys()
    assert all(figure.low <= figure.value <= figure.high for figure in figures.values())
    assert "NM 1 -> 2 learnt, OTHER 1 -> 2 learnt" in told[0]
    # Run again it fits nothing, and says the same.
    monkeypatch.setattr(augmented, "_run", lambda *given: pytest.fail("was fitted again"))
    assert measure(small) == figures
    assert told[0] == told[1]
    [kept] = (tmp_path / "keep").iterdir()
    kept.write_text("{}", "utf-8")
    with pytest.raises(InputError, match="is not what a seed"):
        measure(small)


def test_the_difference_is_with_minus_without(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(bench: AugmentationBench, seed: int) -> Seed:
        rows = [
            Outcome(of, f"p{at}", (0.25, 0.25 + gain + 0.01 * (at % 3)), (1, 0))
            for of, gain in (("NM", 0.25), ("OTHER", -0.125), ("rest", 0.0))
            for at in range(12)
        ]
        return Seed(5, {"NM": (1, 2), "OTHER": (1, 2)}, tuple(rows))

    monkeypatch.setattr(augmented, "_run", run)
    found = measure(replace(_bench(tmp_path, tiny_folder), seeds=2))
    assert found["rouge_l_NM"].value == pytest.approx(0.26)
    assert found["rouge_l_NM"].low > 0.25
    assert found["rouge_l_OTHER"].high < -0.1
    assert found["violations_rest"].value == -1
    assert found["rouge_l_NM_without"].value == pytest.approx(0.25)
    assert found["rouge_l_NM_by_seed"].value == pytest.approx(found["rouge_l_NM"].value)
    assert len(list((tmp_path / "keep").iterdir())) == 2

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from radimpress.reports.files import write_reports
from radimpress.reports.synthetic import synthesize
from radimpress.server.bench import trainer, trl
from radimpress.server.bench.material import reports_like
from radimpress.server.bench.trainer import THROUGHPUT, TRAINABLE, TrainerBench, measure
from radimpress.server.bench.trl import TRL, trl_folder
from tests.conftest import TINY

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


def _bench(folder: Path, tiny_folder: Path, rounds: int = 2) -> TrainerBench:
    return TrainerBench(
        base=TINY,
        base_folder=tiny_folder,
        folder=folder,
        reports=list(synthesize(6, 0, 0.0)),
        rounds=rounds,
        kills=1,
    )


def test_an_adapter_of_mediphi_has_as_many_parameters_as_was_published(tiny_folder: Path, tmp_path: Path) -> None:
    assert measure(_bench(tmp_path, tiny_folder), [TRAINABLE])["mediphi_trainable"].value == 12_582_912


def test_throughput_is_ours_over_theirs(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def theirs(model: Any, tokenizer: Any, examples: Any, **named: Any) -> float:
        asked.append(named)
        return 4.0 if named["packing"] else 8.0

    monkeypatch.setattr(trl, "trl_folder", lambda track: tmp_path)
    monkeypatch.setattr(trl, "trl_seconds", theirs)
    monkeypatch.setattr(trainer, "_our_seconds", lambda *given: 2.0)
    found = measure(_bench(tmp_path, tiny_folder), [THROUGHPUT])
    assert found["useful_tokens_over_padded"].value == pytest.approx(4.0)
    assert found["useful_tokens_over_trl_packed"].value == pytest.approx(2.0)
    assert [named["packing"] for named in asked] == [False, True, False, True]
    # A pass of theirs that pads has as many reports as one of ours that packs.
    assert all(named["rows"] == (1 if named["packing"] else asked[0]["rows"]) for named in asked)
    assert asked[0]["rows"] >= 1


def test_our_seconds_are_those_of_the_loop(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trl, "trl_folder", lambda track: tmp_path)
    monkeypatch.setattr(trl, "trl_seconds", lambda *given, **named: 1e-9)
    found = measure(_bench(tmp_path, tiny_folder, rounds=1), [THROUGHPUT])
    assert 0 < found["ours_tokens_per_second"].value < 1e7
    assert found["useful_tokens_over_padded"].value < 1


def test_trl_is_had_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []

    def pip(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        given.append(command)
        Path(command[command.index("--target") + 1]).mkdir()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setenv("RADIMPRESS_CACHE", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", pip)
    assert trl_folder() == trl_folder() == tmp_path / "trl" / TRL
    assert len(given) == 1
    assert given[0][-1] == f"trl=={TRL}"


def test_reports_of_files_are_drawn_alike_from_each(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        write_reports(tmp_path / f"{name}.jsonl", list(synthesize(60, seed, 0.0)))
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    drawn = reports_like(files, 10)
    assert len(drawn) == 10
    assert drawn == reports_like(files, 10)
    assert len({report.id for report in reports_like((), 10)}) == 10

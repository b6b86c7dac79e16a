from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from radimpress.eval.metrics.rouge import rouge
from radimpress.reports.prompt import extract, render
from radimpress.reports.report import Report
from radimpress.reports.synthetic import synthesize
from radimpress.trainer.attention import NAME, use_attention
from radimpress.trainer.examples import encode
from radimpress.trainer.load import LoadedBase, load_base
from radimpress.trainer.together import Team, open_team
from radimpress.trainer.write_up import Asked, choose, write_up
from tests.conftest import TINY

REPORTS = list(synthesize(40, 0, 0.0))


@pytest.fixture(scope="module")
def loaded(tiny_folder: Path) -> LoadedBase:
    return load_base(TINY, tiny_folder)


@pytest.fixture
def chosen(loaded: LoadedBase) -> list[Asked]:
    return choose(REPORTS, encode(REPORTS, loaded.tokens, 600).rows, 10)


def _length(impression: str, reference: str) -> dict[str, float]:
    return {"length": float(len(impression)), "reference": float(len(reference))}


def test_modalities_take_turns(loaded: LoadedBase, chosen: list[Asked]) -> None:
    known = {report.modality.value for report in REPORTS}
    assert len(known) > 2
    assert {asked.report.modality.value for asked in chosen[: len(known)]} == known
    assert len({asked.report.id for asked in chosen}) == 10
    assert choose(REPORTS, encode(REPORTS, loaded.tokens, 600).rows, 0) == []
    assert len(choose(REPORTS, encode(REPORTS, loaded.tokens, 600).rows, 1000)) == 40


def test_what_is_written_together_is_what_is_written_alone(loaded: LoadedBase, chosen: list[Asked]) -> None:
    made = write_up(loaded, chosen, _length, open_team())
    assert made is not None
    assert len({len(asked.prompt) for asked in chosen}) > 1
    for sample, asked in zip(made.samples, chosen, strict=False):
        ids = torch.tensor([loaded.prompt_ids(render(asked.report))])
        model: Any = loaded.model
        alone = model.generate(ids, do_sample=False, max_new_tokens=128, eos_token_id=sorted(loaded.stop_ids()))
        answer = alone[0, ids.shape[1] :].tolist()
        end = next((at for at, token in enumerate(answer) if token in loaded.stop_ids()), len(answer))
        assert sample["impression"] == extract(loaded.tokenizer.decode(answer[:end]))
        assert sample["id"] == asked.report.id


def test_means_are_told_by_modality_with_their_counts(loaded: LoadedBase, chosen: list[Asked]) -> None:
    made = write_up(loaded, chosen, _length, open_team())
    assert made is not None
    scores = made.figures["scores"]
    by_modality: dict[str, list[Report]] = {}
    for asked in chosen:
        by_modality.setdefault(asked.report.modality.value, []).append(asked.report)
    assert {name: one["reports"] for name, one in scores.items() if name != "all"} == {
        name: len(reports) for name, reports in by_modality.items()
    }
    for name, reports in {**by_modality, "all": [asked.report for asked in chosen]}.items():
        mean = sum(len(report.impression) for report in reports) / len(reports)
        assert scores[name]["reference"] == pytest.approx(mean, abs=1e-3)
    assert made.figures["reports"] == scores["all"]["reports"] == 10
    assert 0 <= made.figures["unfinished"] <= 10
    assert len(made.samples) == 6
    # No text among the figures, which go into manifest and record.
    assert all(asked.report.impression not in str(made.figures) for asked in chosen)


def test_a_base_in_four_bits_writes_too(tiny_folder: Path, chosen: list[Asked]) -> None:
    made = write_up(load_base(TINY, tiny_folder, "nf4"), chosen[:2], rouge, open_team())
    assert made is not None
    assert set(made.figures["scores"]["all"]) == {"reports", "rouge1", "rouge2", "rougeL"}


def test_the_model_trains_on_as_if_nothing_had_been(loaded: LoadedBase, chosen: list[Asked]) -> None:
    use_attention(loaded.model)
    loaded.model.train()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    try:
        write_up(loaded, chosen[:1], _length, open_team())
        assert torch.equal(torch.get_rng_state(), before)
        assert loaded.model.training
        assert loaded.model.config._attn_implementation == NAME
    finally:
        loaded.model.eval()
        loaded.model.set_attn_implementation("sdpa")


def test_nothing_is_begun_for_which_there_is_no_time(
    loaded: LoadedBase, chosen: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert write_up(loaded, chosen, _length, open_team(), 0.0) is None
    assert write_up(loaded, chosen, _length, open_team(), -1.0) is None
    assert write_up(loaded, [], _length, open_team()) is None
    ticks = iter(range(1000))
    monkeypatch.setattr("radimpress.trainer.write_up.time.monotonic", lambda: float(next(ticks)))
    made = write_up(loaded, chosen, _length, open_team(), 3.0)
    assert made is not None
    assert made.figures["reports"] == 8


def test_each_of_a_team_writes_its_share(loaded: LoadedBase, chosen: list[Asked]) -> None:
    class Half(Team):
        def told(self, value: object) -> object:  # type: ignore[override]
            return value

        def gather(self, value: object) -> list[object]:  # type: ignore[override]
            return [value]

    def write(rank: int) -> Iterator[str]:
        made = write_up(loaded, chosen, _length, Half(rank, 2, torch.device("cpu")))
        assert made is not None
        yield from (sample["id"] for sample in made.samples)

    first, second = set(write(0)), set(write(1))
    assert len(first) == 6
    assert len(second) == 2
    assert not first & second

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from radimpress.server.engines.decode import Row, decode
from radimpress.trainer.load import LoadedBase, load_base
from tests.conftest import TINY

PROMPTS = [[40, 41, 42], [50], [60, 61, 62, 63, 64, 65, 66, 67, 68], [70, 71, 72, 73]]


@pytest.fixture(scope="module")
def loaded(tiny_folder: Path) -> LoadedBase:
    return load_base(TINY, tiny_folder)


def _decode(loaded: LoadedBase, rows: Sequence[Row], stop: frozenset[int] = frozenset()) -> int:
    return sum(1 for _ in decode(loaded.model, rows, stop, 0))


@torch.inference_mode()
def _one_by_one(loaded: LoadedBase, prompt: list[int], tokens: int) -> list[int]:
    """The greedy answer without a cache, a batch or padding."""
    ids = list(prompt)
    for _ in range(tokens):
        ids.append(int(loaded.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def test_a_row_is_what_the_model_finds_likeliest_step_by_step(loaded: LoadedBase) -> None:
    row = Row(PROMPTS[0], 9, [])
    assert _decode(loaded, [row]) == 9
    assert row.written == _one_by_one(loaded, PROMPTS[0], 9)


def test_rows_of_different_lengths_do_not_touch_each_other(loaded: LoadedBase) -> None:
    rows = [Row(prompt, 9, []) for prompt in PROMPTS]
    _decode(loaded, rows)
    assert [row.written for row in rows] == [_one_by_one(loaded, prompt, 9) for prompt in PROMPTS]


def test_rows_that_end_early_leave_the_others_as_they_are(loaded: LoadedBase) -> None:
    limits = [1, 9, 3, 6]
    rows = [Row(prompt, limit, []) for prompt, limit in zip(PROMPTS, limits, strict=True)]
    assert _decode(loaded, rows) == 9
    expected = [_one_by_one(loaded, prompt, limit) for prompt, limit in zip(PROMPTS, limits, strict=True)]
    assert [row.written for row in rows] == expected
    assert [row.finish for row in rows] == ["length"] * 4


def test_a_stop_token_ends_a_row_and_is_not_written(loaded: LoadedBase) -> None:
    whole = _one_by_one(loaded, PROMPTS[0], 9)
    row = Row(PROMPTS[0], 9, [])
    _decode(loaded, [row], frozenset([whole[4]]))
    assert row.finish == "stop"
    assert row.written == whole[: whole.index(whole[4])]


def test_a_row_that_stops_at_once_writes_nothing(loaded: LoadedBase) -> None:
    row = Row(PROMPTS[0], 9, [])
    assert _decode(loaded, [row], frozenset(_one_by_one(loaded, PROMPTS[0], 1))) == 1
    assert (row.written, row.finish) == ([], "stop")


def test_a_dropped_row_leaves_and_the_others_go_on(loaded: LoadedBase) -> None:
    rows = [Row(prompt, 9, []) for prompt in PROMPTS]
    steps = decode(loaded.model, rows, frozenset(), 0)
    next(steps)
    rows[2].dropped = True
    for _ in steps:
        pass
    assert len(rows[2].written) == 1
    for at in (0, 1, 3):
        assert rows[at].written == _one_by_one(loaded, PROMPTS[at], 9)


def test_it_ends_when_every_row_is_dropped(loaded: LoadedBase) -> None:
    row = Row(PROMPTS[0], 1000, [])
    steps = decode(loaded.model, [row], frozenset(), 0)
    next(steps)
    row.dropped = True
    assert list(steps) == []


def test_what_pads_does_not_matter(loaded: LoadedBase) -> None:
    answers = []
    for pad in (0, 99):
        rows = [Row(prompt, 5, []) for prompt in PROMPTS]
        for _ in decode(loaded.model, rows, frozenset(), pad):
            pass
        answers.append([row.written for row in rows])
    assert answers[0] == answers[1]

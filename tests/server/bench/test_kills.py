from __future__ import annotations

from pathlib import Path

import pytest

from radimpress.server.bench import kills
from radimpress.server.bench.kills import measure_kills
from tests.conftest import TINY


def test_killed_fits_end_with_the_weights_of_one_that_nobody_killed(tiny_folder: Path, tmp_path: Path) -> None:
    found = measure_kills(TINY, tiny_folder, tmp_path, 2, seed=4)
    assert (found.runs, found.different) == (2, 0)


def test_another_outcome_is_counted(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = kills._outcome

    def spoilt(into: Path) -> tuple[str, object]:
        return (outcome(into)[0] + ("" if into.name == "whole" else "!"), None)

    monkeypatch.setattr(kills, "_outcome", spoilt)
    assert measure_kills(TINY, tiny_folder, tmp_path, 1).different == 1

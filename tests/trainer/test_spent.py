from __future__ import annotations

import math
from pathlib import Path

import pytest

from radimpress.trainer.spent import SPENT, Spent, added, read_lines


def test_attempts_add_up_each_at_its_own_price(tmp_path: Path) -> None:
    path = tmp_path / SPENT
    path.write_text(
        '{"begun": true, "seconds": 0.0, "dollars": 0.0}\n{"seconds": 60.0, "dollars": 6.0}\n'
        '{"begun": true, "seconds": 0.0, "dollars": 0.0}\n{"seconds": 30.0, "dollars": 1.0}\n',
        "utf-8",
    )
    spent = Spent(path, 3600.0)
    now = spent.now
    assert now.attempts == 3
    assert now.seconds == pytest.approx(90, abs=1)
    assert now.dollars - 7 == pytest.approx(now.seconds - 90)
    spent.note()
    found = added(read_lines(path))
    assert found.attempts == 3
    assert now.seconds <= found.seconds <= spent.now.seconds


def test_half_a_line_that_a_kill_left_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / SPENT
    path.write_text('{"seconds": 60.0, "dollars": 6.0}\n{"seconds": 3', "utf-8")
    assert added(read_lines(path)).seconds == 60
    # Whoever only looks changes nothing.
    assert path.read_text("utf-8").endswith('{"seconds": 3')
    Spent(path, 0.0).note()
    assert [row["seconds"] for row in read_lines(path)][:2] == [60.0, 0.0]
    assert len(read_lines(path)) == 3


def test_half_a_first_line_is_no_trouble_either(tmp_path: Path) -> None:
    path = tmp_path / SPENT
    path.write_text('{"begun": tr', "utf-8")
    Spent(path, 0.0).note()
    assert (added(read_lines(path)).attempts, len(read_lines(path))) == (1, 2)


def test_a_budget_leaves_the_seconds_that_it_pays_for(tmp_path: Path) -> None:
    path = tmp_path / SPENT
    path.write_text('{"seconds": 60.0, "dollars": 6.0}\n', "utf-8")
    spent = Spent(path, 3600.0)
    assert spent.left(10.0) == pytest.approx(4, abs=1)
    assert spent.left(5.0) < 0
    assert spent.left(0.0) == math.inf
    assert Spent(path, 0.0).left(1.0) == math.inf

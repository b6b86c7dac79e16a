from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from radimpress.reports.errors import InputError
from radimpress.server.bench.sizing import Load, Server, need, simulate
from tests.server.commands import Run, run

__all__ = ["run"]

LOAD, SERVER = Load(), Server()


def test_with_nobody_waiting_an_answer_takes_its_part_of_a_server() -> None:
    seconds = simulate(0.001, LOAD, SERVER, 1, 7)
    assert np.mean(seconds) == pytest.approx(SERVER.batch * SERVER.work(LOAD), rel=0.05)


def test_one_at_a_time_waits_as_pollaczek_and_khinchine_say() -> None:
    one = Server(410, 144, 1)
    work = one.work(LOAD)
    waits = np.mean([np.mean(simulate(0.6 / work, LOAD, one, 1, seed)) for seed in range(40)]) - work
    # Reading and writing vary apart, each with a coefficient of 0.6.
    variance = (0.6 * LOAD.read / one.reads) ** 2 + (0.6 * LOAD.write / one.writes) ** 2
    assert waits == pytest.approx(0.6 * (1 + variance / work**2) / (2 * (1 - 0.6)) * work, rel=0.06)


def test_more_hospitals_need_more_servers_and_are_answered_in_time() -> None:
    found = [need(hospitals, LOAD, SERVER, 60) for hospitals in (1, 150, 300)]
    assert [row.servers for row in found] == sorted({row.servers for row in found})
    for row in found:
        assert row.p50_seconds <= row.p95_seconds <= 60
        assert row.busy <= 0.85
        assert row.servers >= math.ceil(row.requests_per_second * SERVER.work(LOAD))


def test_one_server_fewer_would_not_do() -> None:
    row = need(150, LOAD, SERVER, 60)
    busy = row.requests_per_second * SERVER.work(LOAD) / (row.servers - 1)
    seconds = simulate(row.requests_per_second, LOAD, SERVER, row.servers - 1, 7)
    assert busy > 0.85 or np.quantile(seconds, 0.95) > 60


def test_what_no_number_of_servers_can_hold_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be held"):
        need(1, LOAD, SERVER, 1)


def test_the_command_prints_a_line_for_each_number(run: Run) -> None:
    rows = run("bench", "sizing", "--hospitals", 1, "--hospitals", 5, "--json").rows
    assert [row["hospitals"] for row in rows] == [1, 5]
    assert "servers" in run("bench", "sizing", "--hospitals", 1).out


def test_the_page_shows_what_comes_of_it() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "sizing.md").read_text("utf-8")
    shown = re.findall(r"^│ (\d+) +│ ([\d.]+) +│ (\d+) +│ ([\d.]+) │ ([\d.]+) +│ ([\d.]+) +│$", page, re.MULTILINE)
    assert len(shown) == 4
    for hospitals, rate, servers, busy, low, high in shown:
        row = need(int(hospitals), LOAD, SERVER, 60)
        assert (row.servers, f"{row.requests_per_second:.3g}", f"{row.busy:.2f}") == (int(servers), rate, busy)
        assert (f"{row.p50_seconds:.1f}", f"{row.p95_seconds:.1f}") == (low, high)

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from radimpress.server.engines.threads import forgo_team, release_team

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux tells them")


def _threads() -> set[str]:
    """Ids of this process's threads; those of other tests may end at any time, so that numbers tell little."""
    return {task.name for task in Path("/proc/self/task").iterdir()}


def _work() -> None:
    torch.ones(2000, 2000).mul(2).sum()


def test_a_released_team_is_gone_and_comes_back() -> None:
    if torch.get_num_threads() == 1:
        pytest.skip("torch has one thread here, and so no team")
    with ThreadPoolExecutor(1) as pool:
        before = pool.submit(_threads).result()
        pool.submit(_work).result()
        team = _threads() - before
        assert team
        pool.submit(release_team).result()
        for _ in range(500):
            if not team & _threads():
                break
            time.sleep(0.01)
        assert not team & _threads()
        released = _threads()
        pool.submit(_work).result()
        assert len(_threads() - released) == len(team)


def test_a_thread_that_forgoes_its_team_works_alone_and_others_keep_theirs() -> None:
    before = torch.get_num_threads()
    seen: list[tuple[int, set[str]]] = []

    def alone() -> None:
        forgo_team()
        known = _threads()
        _work()
        seen.append((torch.get_num_threads(), _threads() - known))

    thread = threading.Thread(target=alone)
    thread.start()
    thread.join()
    assert seen == [(1, set())]
    assert torch.get_num_threads() == before

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from radimpress.server.engines.threads import forgo_team, release_team

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux tells them")


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def _work() -> None:
    torch.ones(2000, 2000).mul(2).sum()


def test_a_released_team_is_gone_and_comes_back() -> None:
    if torch.get_num_threads() == 1:
        pytest.skip("torch has one thread here, and so no team")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_work).result()
        busy = _threads()
        pool.submit(release_team).result()
        assert _threads() < busy
        pool.submit(_work).result()
        assert _threads() == busy


def test_a_thread_that_forgoes_its_team_works_alone_and_others_keep_theirs() -> None:
    before = torch.get_num_threads()
    seen: list[int] = []

    def alone() -> None:
        forgo_team()
        count = _threads()
        _work()
        seen.extend((torch.get_num_threads(), _threads() - count))

    thread = threading.Thread(target=alone)
    thread.start()
    thread.join()
    assert seen == [1, 0]
    assert torch.get_num_threads() == before

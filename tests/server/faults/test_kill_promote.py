"""kill -9 at every step of a promotion: the old table or the new one, whole, and the next promotion works."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from radimpress.server.registry import Registry
from tests.server.conftest import CT_LIST, MR_LIST, Site, certificate

_PROMOTER = Path(__file__).with_name("promoter.py")
_KILLED = -9
# Of each database; the rest after those at each step are at any moment, so that some fall into a commit itself.
_KILLS = 52


@pytest.fixture(scope="module")
def promoter() -> Iterator[subprocess.Popen[str]]:
    """The process that forks those who die."""
    process = subprocess.Popen(
        (sys.executable, _PROMOTER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    yield process
    assert process.stdin
    assert process.stdout
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


def test_a_promotion_killed_at_any_step_leaves_the_old_table_or_the_new_one(
    each_site: Site, promoter: subprocess.Popen[str]
) -> None:
    registry = each_site.registry
    adapter = registry.register(each_site.path(each_site.first))
    file = each_site.root / "certificate.json"
    asked = {"url": each_site.url, "bundles": str(each_site.bundles), "name": adapter.name, "certificate": str(file)}
    numbers = count()

    def run(step: int = 0, after: float = 0.0) -> dict[str, Any]:
        assert promoter.stdin
        assert promoter.stdout
        # Another certificate each time, as one that is known already takes fewer steps.
        file.write_bytes(certificate(adapter, CT_LIST, MR_LIST, cases_digest=f"{next(numbers):064x}"))
        promoter.stdin.write(json.dumps({**asked, "step": step, "after": after}) + "\n")
        promoter.stdin.flush()
        answer: dict[str, Any] = json.loads(promoter.stdout.readline())
        return answer

    whole = run()
    assert whole["code"] == 0
    assert whole["steps"] >= 10
    registry.rollback(1)
    seen, chance = Counter[int](), random.Random(0)
    for step in range(1, whole["steps"] + 1):
        assert run(step)["code"] == _KILLED
        seen[_check(registry, adapter.digest, file.read_bytes())] += 1
    while sum(seen.values()) < _KILLS:
        before = registry.table().number
        if run(after=chance.uniform(0, 1.2 * whole["seconds"]) or 1e-6)["code"] == _KILLED:
            seen[_check(registry, adapter.digest, file.read_bytes())] += 1
        elif registry.table().number > before:
            registry.rollback(1)
    # Events are only ever added, so that a link that a kill had broken would be found here. One registered.
    assert registry.check_chain() == registry.table().number + 1
    # Kills before the commit leave the old table, those after it the new one: both were tried.
    assert seen[0] > 0
    assert seen[1] > 0


def _check(registry: Registry, digest: str, data: bytes) -> int:
    """Looks at what a kill left, promotes, goes back for the next; 1 where the new table had come to be."""
    table = registry.table()
    new = bool(table.entries)
    assert set(table.entries) == ({CT_LIST, MR_LIST} if new else set())
    assert {entry.adapter.digest for entry in table.entries.values() if entry.adapter} == ({digest} if new else set())
    assert table.cause.startswith("promote" if new else "rollback")
    (last, *_) = registry.events(0, 1)
    assert last.table == table.number
    made = registry.promote(registry.adapter("unified"), data)
    assert made.number == table.number + 1
    assert set(made.entries) == {CT_LIST, MR_LIST}
    (following, *_) = registry.events(0, 1)
    assert (following.number, following.table) == (last.number + 1, made.number)
    registry.rollback(1)
    return int(new)

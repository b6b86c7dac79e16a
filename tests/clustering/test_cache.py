from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from radimpress.clustering.cache import VectorCache, default_cache
from radimpress.reports.errors import ConfigError

# Writes values without end, a thousand at once, and says so after the first.
WRITER = """
import sys
from pathlib import Path
from radimpress.clustering.cache import VectorCache
cache, name, at = VectorCache(Path(sys.argv[1])), sys.argv[2], 0
while True:
    cache.put({f"{name} {at} {row}".encode(): b"v" * 64 for row in range(1000)})
    print(at, flush=True)
    at += 1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "style" / "vectors.sqlite"


def test_what_was_put_is_got_by_another(path: Path) -> None:
    values = {str(at).encode(): bytes([at % 256]) * 8 for at in range(1200)}
    VectorCache(path).put(values)
    assert VectorCache(path).get([*values, b"never"]) == values


def test_a_value_is_replaced(path: Path) -> None:
    cache = VectorCache(path)
    cache.put({b"k": b"one"})
    cache.put({b"k": b"two"})
    assert cache.get([b"k"]) == {b"k": b"two"}


def test_the_oldest_go(path: Path) -> None:
    cache = VectorCache(path, rows=3)
    for at in range(5):
        cache.put({bytes([at]): b"v"})
    assert sorted(cache.get([bytes([at]) for at in range(5)])) == [b"\x02", b"\x03", b"\x04"]


def test_only_its_owner_may_read_it(path: Path) -> None:
    cache = VectorCache(path)
    with cache._open() as database:
        database.execute("INSERT INTO vectors (key, value) VALUES (x'00', x'00')")
        # The write-ahead log too.
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert len(modes) > 1
    assert set(modes.values()) == {0o600}


def test_another_file_is_not_overwritten(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, but something dear" * 100)
    with pytest.raises(ConfigError, match=r"vectors\.sqlite: cannot keep style vectors \(file is not a database\)"):
        VectorCache(path).get([b"k"])
    assert path.read_bytes().startswith(b"not a database")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "style").write_text("a file")
    with pytest.raises(ConfigError, match="cannot keep style vectors"):
        VectorCache(tmp_path / "style" / "vectors.sqlite").get([b"k"])


def test_writers_side_by_side_that_are_killed_leave_whole_parts(path: Path) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    told = []
    for process in running:
        assert process.stdout is not None
        told += [[process.stdout.readline().strip() for _ in range(2)]]
    for process in running:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert told == [["0", "1"], ["0", "1"]]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        counts = database.execute("SELECT count(*) FROM vectors").fetchone()
    assert counts[0] % 1000 == 0
    keys = [f"{name} 1 {row}".encode() for name in ("one", "two") for row in range(1000)]
    assert len(VectorCache(path).get(keys)) == 2000


def test_the_default_is_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADIMPRESS_CACHE", str(tmp_path))
    assert default_cache().path == tmp_path / "style" / "vectors.sqlite"

"""Vectors that need not be made again, on this machine: SQLite, by the hash of what they were made from.

A vector tells much of the text that it was made from (Morris et al. 2023, "Text Embeddings Reveal (Almost) As Much
As Text"), and a hash tells whether a text that somebody guesses is there: only the file's owner may read it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from radimpress.reports.cache import cache_folder
from radimpress.reports.errors import ConfigError
from radimpress.reports.wal import use_wal

_TABLE = "CREATE TABLE IF NOT EXISTS vectors (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL)"
_ASKED = 500
_WAIT_SECONDS = 60.0
ROWS = 1_000_000


class VectorCache:
    """Bytes by key in one file; several processes may use it at once, and any of them may be killed.

    Args:
        path: of the SQLite file; it is made when first used. It may be deleted while nobody uses it.
        rows: the oldest go when there are more; 1,000,000 are about 1 GB, half a million reports.
    """

    def __init__(self, path: Path, rows: int = ROWS) -> None:
        self.path = path
        self._rows = rows

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """What is kept of `keys`.

        Raises:
            ConfigError: the file cannot be used.
        """
        found: dict[bytes, bytes] = {}
        with self._open() as database:
            for at in range(0, len(keys), _ASKED):
                asked = keys[at : at + _ASKED]
                places = ",".join("?" * len(asked))
                # Only question marks are put into the statement.
                query = f"SELECT key, value FROM vectors WHERE key IN ({places})"
                found |= dict(database.execute(query, asked))
        return found

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keeps values; one that is kept already is replaced.

        Raises:
            ConfigError: the file cannot be used.
        """
        rows: Iterable[tuple[bytes, bytes]] = values.items()
        with self._open() as database, database:
            database.executemany("INSERT OR REPLACE INTO vectors (key, value) VALUES (?, ?)", rows)
            database.execute("DELETE FROM vectors WHERE id <= (SELECT max(id) FROM vectors) - ?", (self._rows,))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(0o600)
            with closing(sqlite3.connect(self.path, timeout=_WAIT_SECONDS)) as database:
                use_wal(database, _WAIT_SECONDS)
                database.execute("PRAGMA synchronous = NORMAL")
                database.execute(_TABLE)
                yield database
        except (sqlite3.Error, OSError) as error:
            remedy = "delete it, or name another folder by RADIMPRESS_CACHE"
            raise ConfigError(f"{self.path}: cannot keep style vectors ({error}); {remedy}") from None


def default_cache() -> VectorCache:
    """The one in the user's cache folder."""
    return VectorCache(cache_folder() / "style" / "vectors.sqlite")

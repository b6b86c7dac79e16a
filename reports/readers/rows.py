"""What readers yield, and text out of bytes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# A place within a file, and a record by column, or why there is none.
Row = tuple[str, dict[str, object] | str]
# Beside the columns of a record: whether its text had more than one impression.
SEVERAL = "several impressions"
# One record is a report, not a book: more is not held in memory.
RECORD_MAX = 1 << 24
# Python's codecs that read other characters out of plain ones.
_ESCAPING = {"unicode-escape", "raw-unicode-escape", "utf-7", "punycode", "idna"}


def decoded(data: bytes, charset: str = "") -> str:
    """Text of bytes: by the charset that is named, else UTF-8, else Latin-1, which can hold any byte.

    A byte order mark goes. Half a surrogate pair cannot come of it.
    """
    for name in (charset, "utf-8-sig", "latin-1"):
        # A name may be anything, a NUL in it too.
        with suppress(ValueError, LookupError):
            if name and codecs.lookup(name).name not in _ESCAPING:
                return data.decode(name)
    raise AssertionError("latin-1 decodes all bytes")


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers; one that is too long comes as its beginning alone."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(RECORD_MAX):
            number += 1
            whole = raw
            while not raw.endswith(b"\n") and len(raw) == RECORD_MAX:
                raw = file.readline(RECORD_MAX)
                if not raw:
                    break
            if whole.strip():
                yield number, whole

"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from radimpress.reports.files import canonical
from radimpress.reports.readers.rows import RECORD_MAX, Row, lines_of


def read(path: Path) -> Iterator[Row]:
    """Yields each line's object."""
    for line, raw in lines_of(path):
        yield str(line), parsed(raw)


def parsed(raw: bytes) -> dict[str, object] | str:
    """The object that a line holds, or why it holds none."""
    if len(raw) == RECORD_MAX and not raw.endswith(b"\n"):
        return f"has more than {RECORD_MAX} bytes"
    try:
        row = json.loads(raw)
        # JSON can escape half a surrogate pair, which no text file can hold.
        canonical(row)
    except (ValueError, RecursionError):
        return "not JSON"
    return row if isinstance(row, dict) else "not a JSON object"

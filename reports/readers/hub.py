"""Hugging Face datasets: a folder that `save_to_disk` wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from radimpress.reports.errors import InputError
from radimpress.reports.readers.rows import Row


def read(path: Path) -> Iterator[Row]:
    """Yields each row, split after split.

    Raises:
        InputError: it is no such folder.
    """
    from datasets import DatasetDict, load_from_disk

    try:
        found = load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise InputError("reports", f"{path.name} is no dataset ({type(error).__name__})") from None
    parts = found.items() if isinstance(found, DatasetDict) else [("row", found)]
    for name, rows in parts:
        for number, row in enumerate(rows, start=1):
            yield f"{name} {number}", dict(row)

"""Parquet, by pyarrow, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from radimpress.reports.errors import InputError
from radimpress.reports.readers.rows import Row

_BATCH = 1024


def read(path: Path) -> Iterator[Row]:
    """Yields each row.

    Raises:
        InputError: it is no Parquet file.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except (ArrowException, OSError) as error:
        raise InputError("reports", f"{path.name} is not Parquet ({type(error).__name__})") from None

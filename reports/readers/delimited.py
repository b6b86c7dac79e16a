"""CSV and TSV (RFC 4180), UTF-8, with a head."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from radimpress.reports.errors import InputError
from radimpress.reports.readers.rows import RECORD_MAX, Row

_DELIMITERS = ",\t;|"
_FOREIGN = re.compile("[\ud800-\udfff]")
# What csv says where a quote is never closed, and has taken all the rest.
_OPEN = ("end of data", "field limit")


def read(path: Path) -> Iterator[Row]:
    """Yields each line's columns; the head says which character parts them.

    Raises:
        InputError: its head is not UTF-8, or a quote is never closed.
    """
    csv.field_size_limit(RECORD_MAX)
    try:
        # What is not UTF-8 becomes halves of surrogate pairs, which no file in UTF-8 can hold.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            head = file.readline()
            delimiter = max(_DELIMITERS, key=head.count)
            file.seek(0)
            reader = csv.DictReader(file, strict=True, delimiter=delimiter)
            if not reader.fieldnames:
                return
            if _FOREIGN.search(head):
                raise InputError("reports", f"{path.name}: its head is not UTF-8")
            # Below a wrong quote stands the rest of its record, whose lines may look like records.
            torn = False
            while True:
                begin = reader.reader.line_num + 1
                try:
                    row = next(reader, None)
                except csv.Error as error:
                    end = reader.reader.line_num
                    if any(reason in str(error) for reason in _OPEN):
                        raise
                    torn = True
                    yield str(begin), f"not CSV ({error})" + (f", up to line {end}" if end > begin else "")
                    continue
                if row is None:
                    return
                whole = None not in row and None not in row.values()
                if torn and (not whole or any('"' in value for value in row.values())):
                    yield str(reader.line_num), "stands below what is not CSV, and may be the rest of it"
                    continue
                torn = False
                if whole and any(map(_FOREIGN.search, row.values())):
                    yield str(reader.line_num), "not UTF-8"
                else:
                    yield str(reader.line_num), dict(row) if whole else "another number of fields than columns"
    except csv.Error as error:
        raise InputError("reports", f"{path.name}: {error}") from None

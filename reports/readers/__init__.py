"""Readers: one small file each, all giving records under radimpress's own column names, one at a time.

A reader is told a path and yields `(place, record)`: the place is a line, a message or an entry within the file, the
record a dictionary of text by column, or, where it cannot be read, why not. It never raises for a record.
"""

from __future__ import annotations

from radimpress.reports.readers.kinds import KINDS, guess_kind, open_rows
from radimpress.reports.readers.rows import Row

__all__ = ["KINDS", "Row", "guess_kind", "open_rows"]

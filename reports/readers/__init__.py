"""Readers: one small file each, all giving records under radimpress's own column names, one at a time.

A reader is told a path and yields `(place, record)`: the place is a line, a message or an entry within the file, the
record a dictionary of text by column, or, where it cannot be read, why not. It never raises for a record. Under
SEVERAL, which is no column's name, it is told that a text had more than one impression.
"""

from __future__ import annotations

from radimpress.reports.readers.kinds import KINDS, guess_kind, open_rows
from radimpress.reports.readers.rows import SEVERAL, Row

__all__ = ["KINDS", "SEVERAL", "Row", "guess_kind", "open_rows"]

"""What a check noticed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that a check noticed in an impression.

    Attributes:
        message: in words that quote no report text.
        start, stop: character offsets in the impression; equal where it is about the whole of it.
    """

    message: str
    start: int = 0
    stop: int = 0

"""Texts as they are compared."""

from __future__ import annotations


def plain(text: str) -> str:
    """A text in small letters with single spaces: the same words in another setting are the same."""
    return " ".join(text.lower().split())

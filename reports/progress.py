"""How long work tells how far it is, without knowing who watches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Passes items on and shows how many went by."""

    def __call__(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        """Yields every item of `items`; `total` is how many there will be."""
        ...


def silent(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """A `Track` that shows nothing."""
    del label, total
    yield from items

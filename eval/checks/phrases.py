"""A table of phrases, found in a list of words in one pass: the first word is looked up, then the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from radimpress.eval.checks.text import stem

V = TypeVar("V")
_PREFIX = 4


class Hit(NamedTuple, Generic[V]):
    """A phrase at the words `first` up to, not including, `last`."""

    first: int
    last: int
    value: V


class Phrases(Generic[V]):
    """Phrases and what each means.

    Args:
        meanings: value -> phrases, separated by commas. A phrase is written in lower case; "*" at its
            end stands for any ending of its last word.
        stems: whether phrases and words are compared without their plurals.
    """

    def __init__(self, meanings: Mapping[V, str], *, stems: bool = False) -> None:
        # First word -> (lengths of what follows, longest first; what follows -> value).
        self._exact: dict[str, tuple[list[int], dict[tuple[str, ...], V]]] = {}
        self._prefixes: dict[str, list[tuple[str, V]]] = {}
        for value, listing in meanings.items():
            for phrase in filter(None, (part.strip() for part in listing.split(","))):
                words = phrase.replace("-", " - ").replace("/", " / ").split()
                if phrase.endswith("*") and len(words) == 1:
                    self._prefixes.setdefault(phrase[:_PREFIX], []).append((phrase[:-1], value))
                    continue
                if stems:
                    words = [stem(word) for word in words]
                lengths, known = self._exact.setdefault(words[0], ([], {}))
                known.setdefault(tuple(words[1:]), value)
                lengths[:] = sorted({*lengths, len(words) - 1}, reverse=True)

    def find(self, words: Sequence[str], first: int = 0, last: int | None = None) -> Iterator[Hit[V]]:
        """Yields the phrases in `words`, the longest at each place, none overlapping."""
        exact, prefixes = self._exact, self._prefixes
        end = len(words) if last is None else last
        free = first
        # Most words begin nothing; they are passed over in one go.
        begins = [
            at
            for at, word in enumerate(words[first:end], first)
            if word in exact or (prefixes and word[:_PREFIX] in prefixes)
        ]
        for at in begins:
            if at < free:
                continue
            word = words[at]
            begun = exact.get(word)
            if begun:
                lengths, known = begun
                for length in lengths:
                    stop = at + 1 + length
                    value = known.get(tuple(words[at + 1 : stop])) if stop <= end else None
                    if value is not None:
                        yield Hit(at, stop, value)
                        free = stop
                        break
                if free > at:
                    continue
            if prefixes:
                for prefix, value in prefixes.get(word[:_PREFIX], ()):
                    if word.startswith(prefix):
                        yield Hit(at, at + 1, value)
                        break


def listed(words: str) -> frozenset[str]:
    """The words of a list that is written with spaces between."""
    return frozenset(words.split())

"""A table of phrases, found in a list of words in one pass: the first word is looked up, then the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from radimpress.eval.checks.text import stem

V = TypeVar("V")


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
        exact: dict[str, list[tuple[tuple[str, ...], V]]] = {}
        self._prefixes: dict[str, list[tuple[str, V]]] = {}
        for value, listed in meanings.items():
            for phrase in filter(None, (part.strip() for part in listed.split(","))):
                words = phrase.replace("-", " - ").replace("/", " / ").split()
                if phrase.endswith("*") and len(words) == 1:
                    self._prefixes.setdefault(phrase[:4], []).append((phrase[:-1], value))
                    continue
                if stems:
                    words = [stem(word) for word in words]
                exact.setdefault(words[0], []).append((tuple(words[1:]), value))
        self._exact = {
            first: tuple(sorted(rest, key=lambda one: len(one[0]), reverse=True)) for first, rest in exact.items()
        }

    def find(self, words: Sequence[str], first: int = 0, last: int | None = None) -> Iterable[Hit[V]]:
        """Yields the phrases in `words`, the longest at each place, none overlapping."""
        exact, prefixes = self._exact, self._prefixes
        at, end = first, len(words) if last is None else last
        while at < end:
            word = words[at]
            known = exact.get(word)
            if known:
                for rest, value in known:
                    stop = at + 1 + len(rest)
                    if stop <= end and (not rest or tuple(words[at + 1 : stop]) == rest):
                        yield Hit(at, stop, value)
                        at = stop
                        break
                else:
                    known = None
            if not known:
                for prefix, value in prefixes.get(word[:4], ()):
                    if word.startswith(prefix):
                        yield Hit(at, at + 1, value)
                        break
                at += 1

    def __contains__(self, word: str) -> bool:
        return any(True for _ in self.find((word,)))


def listed(words: str) -> frozenset[str]:
    """The words of a list that is written with spaces between."""
    return frozenset(words.split())

"""Which texts are nearly the same: MinHash over runs of five words (Broder 1997), a hundred and fifty bytes a text.

Of each hash one byte is kept (Li and Koenig 2010). Texts that share six hashes in a row are compared by all
of them (locality-sensitive hashing); what agrees in NEARLY of them or more is linked, and links are followed from text
to text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from radimpress.reports.text import plain

_RUN = 5
_BANDS, _ROWS = 21, 6
_HASHES = _BANDS * _ROWS
# Of 126: of texts that share 0.8 of their runs 99% agree in so many, of those that share 0.6 under 1% (binomial).
_NEARLY = 91
# So many neighbours in the order of hashes are looked at where many share a band.
_WINDOW = 64
_BLOCK = 1 << 16
_LEAST = 3
_GOLDEN = np.uint32(2654435761)


@dataclass(frozen=True, slots=True)
class Sketches:
    """What is kept of some texts, one row each.

    Attributes:
        hashes: MinHash, of shape (texts, 126), bytes.
        least: the least of three hashes of the runs, of shape (texts, 3), 64 bits each.
    """

    hashes: Any
    least: Any


def runs(text: str) -> set[str]:
    """All runs of five words; the whole text where it has fewer."""
    words = plain(text).split()
    return {" ".join(words[at : at + _RUN]) for at in range(max(1, len(words) - _RUN + 1))}


def sketch(texts: Iterable[str]) -> Sketches:
    """Sketches of texts, which are asked for one by one."""
    from datasketch import MinHash

    least = bytearray()

    def encoded() -> Iterable[list[bytes]]:
        for text in texts:
            own = [run.encode() for run in runs(text)]
            # Hashes of our own, as names rest on these and must not change with a library.
            digests = b"".join(hashlib.blake2b(run, digest_size=8 * _LEAST).digest() for run in own)
            least.extend(np.frombuffer(digests, ">u8").reshape(-1, _LEAST).min(axis=0).tobytes())
            yield own

    hashes = bytearray()
    made: Any = MinHash.generator(encoded(), num_perm=_HASHES)
    for one in made:
        # The last byte of these hashes differs too little: the first one of a product depends on all (Knuth 1973).
        hashes.extend((one.hashvalues.astype(np.uint32) * _GOLDEN >> np.uint32(24)).astype(np.uint8).tobytes())
    return Sketches(
        np.frombuffer(hashes, np.uint8).reshape(-1, _HASHES), np.frombuffer(least, ">u8").reshape(-1, _LEAST)
    )


def alike(hashes: Any) -> Any:
    """A label of each text, the same for texts that are nearly the same, and for what is linked by such.

    Args:
        hashes: of texts that all differ, in an order that does not depend on where they came from.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    labels = np.arange(len(hashes), dtype=np.int32)
    for band in range(_BANDS):
        one, other = _linked(np.roll(hashes, -band * _ROWS, axis=1), labels)
        count = int(labels.max(initial=-1)) + 1
        edges = coo_array((np.ones(len(one), np.int8), (labels[one], labels[other])), shape=(count, count))
        labels = connected_components(edges, directed=False)[1][labels]
    return labels


def _linked(hashes: Any, labels: Any) -> tuple[Any, Any]:
    """Pairs that share the first hashes and agree in enough of all; not those that have one label already."""
    wide = np.zeros((len(hashes), 16), np.uint8)
    wide[:, 2:] = hashes[:, :14]
    band, rest = wide.view(">u8").T
    order = np.lexsort((rest, band))
    band = band[order]
    found: list[Any] = [np.zeros((2, 0), np.intp)]
    for apart in range(1, _WINDOW + 1):
        at = np.flatnonzero(band[apart:] == band[:-apart])
        if not len(at):
            break
        pairs = np.stack([order[at], order[at + apart]])
        pairs = pairs[:, labels[pairs[0]] != labels[pairs[1]]]
        for start in range(0, pairs.shape[1], _BLOCK):
            some = pairs[:, start : start + _BLOCK]
            same = (hashes[some[0]] == hashes[some[1]]).sum(axis=1)
            found.append(some[:, same >= _NEARLY])
    one, other = np.concatenate(found, axis=1)
    return one, other

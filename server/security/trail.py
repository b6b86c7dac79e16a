"""Reads an audit trail: whether every line is the one that was written, and where it ends."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from radimpress.reports.errors import DamageError, NotFoundError
from radimpress.reports.files import canonical

START = "0" * 64
_BLOCK = 1 << 16
# What stands behind the server's name of a file that was closed: the number of its first line.
_PART = re.compile(r"(.+)\.(\d{12})")


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` found in one file.

    Attributes:
        lines: of the file.
        head: the chain at its end, to compare with what was kept elsewhere.
        torn: bytes behind the last whole line; a server that starts puts them aside.
        before: lines of the trail that stand in earlier files.
        after: the chain that the file goes on from.
    """

    lines: int
    head: str
    torn: int
    before: int = 0
    after: str = START


def verify(path: Path) -> Verified:
    """Reads a file of a trail from its first line on and checks every link.

    Raises:
        NotFoundError: there is no such file.
        DamageError: names the first line that is not the one that was written.
    """
    number, chain = 0, START
    before, after = number, chain
    try:
        with path.open("rb") as file:
            for data in file:
                if not data.endswith(b"\n"):
                    return Verified(number - before, chain, len(data), before, after)
                if number == 0:
                    before, after = number, chain = _continued(data)
                chain = _checked(path, number + 1, chain, data)
                number += 1
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None
    return Verified(number - before, chain, 0, before, after)


def verify_all(paths: Iterable[Path]) -> Iterator[tuple[Path, Verified]]:
    """Checks files in the order of their trails, and that each goes on where the one before it ended.

    Raises:
        NotFoundError: there is no such file.
        DamageError: names the file, and the line that is not the one that was written.
    """
    trail, last = "", None
    for server, _, path in sorted((*_place(path), path) for path in paths):
        found = verify(path)
        if (
            server == trail
            and last is not None
            and (found.before, found.after) != (last.before + last.lines, last.head)
        ):
            raise DamageError(f"{path}: does not go on where the file before it ended")
        trail, last = server, found
        yield path, found


def newest_part(path: Path) -> Path | None:
    """The last of the files that were closed before `path` was begun; None where there is none."""
    found = path.parent.glob(f"{glob.escape(path.stem)}.*.jsonl")
    # Another server's name may begin with this one's.
    return max((part for part in found if _place(part)[0] == f"{path.parent}/{path.stem}"), default=None)


def part_of(path: Path, first: int) -> Path:
    """What a trail's file is called once it was closed, by the number of its first line."""
    return path.with_name(f"{path.stem}.{first:012}.jsonl")


def _place(path: Path) -> tuple[str, int]:
    """The server whose trail a file is of, and where in it; the one that is written is the last."""
    part = _PART.fullmatch(path.stem)
    return (f"{path.parent}/{part[1]}", int(part[2])) if part else (f"{path.parent}/{path.stem}", sys.maxsize)


def _continued(data: bytes) -> tuple[int, str]:
    """Lines before a file's first one, and the chain that it goes on from; what is wrong with it is found later."""
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        line = json.loads(data)
        return int(line["number"]) - 1, str(line["after"])
    return 0, START


def _checked(path: Path, number: int, before: str, data: bytes) -> str:
    """The chain at this line, once it was found to follow the one before."""
    try:
        line = json.loads(data)
        del line["chain"]
        chain, written = link(before, line)
        # The very bytes, as JSON has other ways to write the same.
        right = line["number"] == number and written == data
    except (ValueError, TypeError, KeyError, RecursionError):
        right = False
    if not right:
        raise DamageError(f"{path}: line {number} is not the one that was written")
    return chain


def link(before: str, line: dict[str, object]) -> tuple[str, bytes]:
    """A line's chain, and the line as it is written, with the chain at its end."""
    plain = canonical(line)
    chain = hashlib.sha256(before.encode() + plain).hexdigest()
    return chain, b'%b,"chain":"%b"}\n' % (plain[:-1], chain.encode())


def last_line(file: int, size: int) -> tuple[int, bytes]:
    """Where the last whole line ends, and that line; found from the end, as a trail is long."""
    tail, start = b"", size
    while start > 0 and tail.count(b"\n") < 2:
        block = min(_BLOCK, start)
        start -= block
        tail = os.pread(file, block, start) + tail
    whole = tail.rfind(b"\n") + 1
    if not whole:
        return 0, b""
    return start + whole, tail[tail.rfind(b"\n", 0, whole - 1) + 1 : whole]

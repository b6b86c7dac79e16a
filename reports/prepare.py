"""From report files to a data set: read, filtered, split, in as much memory as an archive has digests.

A data set is a folder: train.jsonl, validation.jsonl, test.jsonl, set_aside.jsonl with what was left out and by
which door, and funnel.json with the counts. It is written in a folder beside it and moved at the end, so that a run
that was killed leaves nothing but that folder, and the next one begins anew; the same files give the same bytes. One
that is killed in the very move leaves a mark by which the data set is refused until the next run.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from radimpress.reports.errors import ConfigError, InputError
from radimpress.reports.files import load_reports, stream_reports, write_json
from radimpress.reports.funnel import Door, Funnel, Sieve, Thresholds
from radimpress.reports.progress import Track
from radimpress.reports.read import Reading, Told, stream
from radimpress.reports.report import Modality, Report
from radimpress.reports.split import PARTS, parts_of

SET_ASIDE = "set_aside.jsonl"
FUNNEL = "funnel.json"
_BESIDE = ".prepare"
# Stands in a data set while its files are replaced one by one: a report of the last run may be in another part now.
_MIXED = ".mixed"
_LINES = {".jsonl", ".ndjson", ".csv", ".tsv", ".tab"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data set that was made.

    Attributes:
        funnel: by which doors the reports left.
        sizes: reports of each part.
        clinic_column: where the clinic was taken from.
        modalities: how often which text was read as which modality, most often first.
        several: texts of more than one impression, of which the last was taken; kept and set aside.
    """

    funnel: Funnel
    sizes: dict[str, int]
    clinic_column: str
    modalities: tuple[tuple[str, Modality, int], ...]
    several: int

    def as_json(self) -> dict[str, Any]:
        """As funnel.json holds it; no report text."""
        return {
            **self.funnel.as_json(),
            "split": self.sizes,
            "clinic_column": self.clinic_column,
            "modalities": [[said, modality.value, count] for said, modality, count in self.modalities],
            "several_impressions": self.several,
        }


def prepare(
    files: Sequence[Path],
    out: Path,
    reading: Reading,
    thresholds: Thresholds,
    shares: tuple[float, float],
    seed: int,
    track: Track,
) -> Prepared:
    """Makes a data set of report files.

    Args:
        files: in any form that a reader knows.
        out: the folder.
        reading: how they are read.
        thresholds: of the funnel.
        shares: of the groups for training and for test; validation gets the rest.
        seed: of the split.
        track: shows how far it is.

    Raises:
        NotFoundError: a file is not there.
        InputError: a file cannot be read, nothing survives the filter, or a part is left empty.
        ConfigError: another run prepares the same folder.
    """
    for file in files:
        # Before anything is made.
        next(iter(stream([file], reading, Told())), None)
    with _beside(out) as side:
        told, sieve = Told(), Sieve(thresholds)
        total = sum(map(_lines, files))
        with (side / "kept").open("wb") as kept, (side / SET_ASIDE).open("wb") as aside:
            for record in track(stream(files, reading, told), "read and filter", total):
                door = sieve.door(record)
                if door is Door.KEPT:
                    kept.write(_line(asdict(record)))
                else:
                    aside.write(_line({"door": door.value, **asdict(record)}))
        funnel = sieve.check()
        sizes: Counter[str] = Counter()
        opened = {name: (side / f"{name}.jsonl").open("wb") for name in PARTS}
        try:
            parts = parts_of(lambda: stream_reports(side / "kept"), seed=seed, train=shares[0], test=shares[1])
            with (side / "kept").open("rb") as lines:
                for line, part in zip(lines, track(parts, "split", funnel.kept), strict=True):
                    opened[part].write(line)
                    sizes[part] += 1
        finally:
            for one in opened.values():
                one.close()
        for name in PARTS:
            if not sizes[name]:
                raise InputError("reports", f"the {funnel.kept} reports that are left make no {name} part: too few")
        said = tuple((text, modality, count) for (text, modality), count in told.modalities.most_common())
        made = Prepared(funnel, {name: sizes[name] for name in PARTS}, told.clinic_column, said, told.several)
        (out / _MIXED).touch()
        for name in (SET_ASIDE, *(f"{part}.jsonl" for part in PARTS)):
            with (side / name).open("rb") as written:
                os.fsync(written.fileno())
            (side / name).replace(out / name)
        write_json(out / FUNNEL, made.as_json())
        (out / _MIXED).unlink()
    return made


def check_whole(dataset: Path) -> None:
    """Refuses a data set whose files are of two runs.

    Raises:
        InputError: the last run was killed while it replaced them.
    """
    if (dataset / _MIXED).exists():
        raise InputError("dataset", f"{dataset} is of two runs, as the last one did not end: prepare reports again")


def load_part(dataset: Path, part: str) -> list[Report]:
    """The reports of a part of a data set.

    Raises:
        NotFoundError: it has no such part.
        InputError: its files are of two runs, or hold what is no report.
    """
    check_whole(dataset)
    return load_reports(dataset / f"{part}.jsonl")


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """The folder that a data set is made in, for one run at a time; what a killed run left there goes."""
    side = out / _BESIDE
    made = not out.exists()
    side.mkdir(parents=True, exist_ok=True)
    handle = os.open(side, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{out}: another run prepares this folder") from None
        for left in side.iterdir():
            left.unlink()
        # Reports are nobody's but whoever prepares them.
        before = os.umask(0o077)
        try:
            yield side
        finally:
            os.umask(before)
            shutil.rmtree(side, ignore_errors=True)
    finally:
        os.close(handle)
        if made and not any(out.iterdir()):
            out.rmdir()


def _line(row: dict[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()


def _lines(path: Path) -> int:
    """About how many records a file has, where that is told fast; 0 elsewhere."""
    if path.suffix not in _LINES:
        return 0
    count = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            count += chunk.count(b"\n")
    return count


def load_set_aside(dataset: Path) -> Iterable[dict[str, Any]]:
    """What was left out, by line: its door, and the report, or where it stood and why it cannot be read."""
    with (dataset / SET_ASIDE).open("rb") as lines:
        for line in lines:
            yield json.loads(line)

"""`radimpress bench reports`: transcriptions recovered, the published funnel, runs that were killed, speed and memory.

The published experiment names 30,135 reports, of which 1,401 lack clinic, modality or content, 14,372 have findings
under 100 characters and 1,387 an impression that is too short or too long. An archive is made with just these counts
and has to give them back. The published figures contradict each other: 12,975 reports are left then, but the parts
have 8,865 + 1,901 + 1,915 = 12,681.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radimpress.reports.funnel import Door, Funnel, Thresholds
from radimpress.reports.prepare import prepare
from radimpress.reports.progress import silent
from radimpress.reports.read import Reading
from radimpress.reports.report import Modality, Report
from radimpress.reports.synthetic import SHARES, synthesize
from radimpress.server.bench.memory import peak_mebibytes

if TYPE_CHECKING:
    from radimpress.server.bench.material import Figure

PUBLISHED = {Door.NO_CONTENT: 1_401, Door.FINDINGS_SHORT: 14_372, Door.IMPRESSION_SHORT: 1_387}
TOTAL = 30_135
KEPT = TOTAL - sum(PUBLISHED.values())
SHARED = (0.70, 0.15)
_LACKING = (Door.NO_CLINIC, Door.NO_MODALITY, Door.NO_CONTENT)
_INADEQUATE = (Door.IMPRESSION_SHORT, Door.IMPRESSION_LONG)
_KIB = 1024
_SEED = 11


def measure(
    count: int, real: Path | None, folder: Path, told: Callable[[str], None], *, patients: bool = True
) -> dict[str, Figure]:
    """All figures.

    mtsamples_recovered: of the 95 transcriptions that people cut, those that come out with the same findings,
    impression and modality; only where `real` is the folder of real reports. funnel_exact: 1 where the published
    counts come back. rerun_identical: 1 where a run that was killed half-way and begun again gives the same bytes.
    reports_per_second, peak_mb: of reading, filtering and splitting `count` synthetic reports, which name no patient
    where `patients` is False: near duplicates are looked for then.
    """
    # Not at the head, as it brings torch, which the process that is measured does without.
    from radimpress.server.bench.material import Figure

    figures = {}
    if real is not None:
        figures["mtsamples_recovered"] = Figure.of([recovered(real, folder / "real")])
    figures["funnel_exact"] = Figure.of([float(funnel_exact(folder / "published"))])
    archive = folder / "archive.jsonl"
    with archive.open("w", encoding="utf-8") as file:
        for report in synthesize(count, _SEED):
            file.write(json.dumps(asdict(report if patients else replace(report, patient=""))) + "\n")
    told(f"{count:,} reports made, {archive.stat().st_size / _KIB**2:,.0f} MiB")
    with get_context("spawn").Pool(1) as pool:
        seconds, mebibytes = pool.apply(_timed, (archive, folder / "whole"))
    told(f"prepared in {seconds:.0f} s, {mebibytes:,.0f} MiB at most")
    figures["rerun_identical"] = Figure.of([float(rerun_identical(archive, folder, seconds))])
    figures["reports_per_second"] = Figure.of([count / seconds])
    figures["peak_mb"] = Figure.of([mebibytes])
    return figures


def published_archive() -> Iterator[Report]:
    """The published counts as reports: each lacks just what its door is for, the modality shares are the published."""
    chance = random.Random(_SEED)
    good = (one for one in synthesize(10 * TOTAL, _SEED, 0.0) if len(one.findings) > Thresholds().findings_min)
    doors = [door for door, count in PUBLISHED.items() for _ in range(count)] + [Door.KEPT] * KEPT
    modalities = [modality for modality, count in kept_modalities().items() for _ in range(count)]
    chance.shuffle(doors)
    for number, door in enumerate(doors):
        report = next(good)
        # No two are the same.
        report = replace(report, id=f"pub-{number}", findings=f"{report.findings} Series {number} was read.")
        if door is Door.KEPT:
            report = replace(report, modality=modalities.pop(), impression=f"{report.impression} Series {number}.")
        yield _spoilt(report, door, chance)


def kept_modalities() -> dict[Modality, int]:
    """How many kept reports of each modality the published shares make."""
    counts = {modality: round(share * KEPT) for modality, share in SHARES.items()}
    first = next(iter(counts))
    return {**counts, first: counts[first] + KEPT - sum(counts.values())}


def funnel_exact(folder: Path) -> bool:
    """Whether the funnel gives the published counts back, and the modalities of what it keeps."""
    folder.mkdir(parents=True)
    archive = folder / "published.jsonl"
    archive.write_text("".join(json.dumps(asdict(one)) + "\n" for one in published_archive()), "utf-8")
    counts = _prepare(archive, folder / "dataset").counts
    found = {
        Door.NO_CONTENT: sum(counts[door] for door in _LACKING),
        Door.FINDINGS_SHORT: counts[Door.FINDINGS_SHORT],
        Door.IMPRESSION_SHORT: sum(counts[door] for door in _INADEQUATE),
    }
    kept: dict[str, int] = {}
    for row in _rows(folder / "dataset", ("train", "validation", "test")):
        kept[row["modality"]] = kept.get(row["modality"], 0) + 1
    return (
        found == PUBLISHED
        and counts[Door.KEPT] == KEPT
        and sum(counts.values()) == TOTAL
        and kept == {modality.value: count for modality, count in kept_modalities().items()}
    )


def recovered(real: Path, folder: Path) -> int:
    """Transcriptions that come out as people cut them, up to white space."""
    _prepare(real / "mtsamples_raw.jsonl", folder, Reading(clinic="mtsamples"))
    found = {row["id"]: row for row in _rows(folder, ("train", "validation", "test"))}
    wanted = map(json.loads, (real / "mtsamples_train.jsonl").read_text("utf-8").splitlines())
    fields = ("findings", "impression", "modality")
    return sum(
        row["id"] in found and all(row[one].split() == found[row["id"]][one].split() for one in fields)
        for row in wanted
    )


def rerun_identical(archive: Path, folder: Path, seconds: float) -> bool:
    """Whether a run that was killed half-way, and begun again, gives the bytes of one that was not."""
    process = get_context("spawn").Process(target=_prepare, args=(archive, folder / "killed"))
    process.start()
    time.sleep(seconds / 2)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    _prepare(archive, folder / "killed")
    return digests(folder / "killed") == digests(folder / "whole")


def digests(dataset: Path) -> dict[str, str]:
    """SHA-256 of each file."""
    found = {}
    for path in sorted(dataset.iterdir()):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _prepare(archive: Path, out: Path, reading: Reading | None = None) -> Funnel:
    return prepare([archive], out, reading or Reading(), Thresholds(), SHARED, 0, silent).funnel


def _timed(archive: Path, out: Path) -> tuple[float, float]:
    began = time.perf_counter()
    _prepare(archive, out)
    seconds = time.perf_counter() - began
    return seconds, peak_mebibytes()


def _rows(dataset: Path, parts: Iterable[str]) -> Iterator[dict[str, str]]:
    for name in parts:
        with (dataset / f"{name}.jsonl").open("rb") as lines:
            yield from map(json.loads, lines)


def _spoilt(report: Report, door: Door, chance: random.Random) -> Report:
    """A report that leaves by a door."""
    if door is Door.NO_CONTENT:
        lacks = chance.choice(("clinic", "modality", "findings", "impression"))
        if lacks == "modality":
            # The examination's name would tell it.
            return replace(report, modality=Modality.UNSPECIFIED, exam="")
        missing: dict[str, Any] = {lacks: ""}
        return replace(report, **missing)
    if door is Door.FINDINGS_SHORT:
        return replace(report, findings=report.findings[-chance.randint(30, 99) :])
    if door is Door.IMPRESSION_SHORT:
        return replace(report, impression=chance.choice(("Normal.", "See above.", f"{report.impression} " * 200)))
    return report

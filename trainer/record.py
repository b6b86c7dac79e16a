"""Run records: how each adapter's fit went, beside the bundles, and what all of them took.

runs/<adapter>-<digest>/record.jsonl    a step a line, and what validation said
                        spent.jsonl     seconds and dollars, attempt by attempt
                        samples.jsonl   impressions written for validation; report texts, its owner's alone
.fit-<adapter>-<key>/                   the same of a fit that was broken off and can go on
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from radimpress.reports.errors import BundleError, NotFoundError
from radimpress.trainer.bundle import AdapterBundle, open_bundle
from radimpress.trainer.spent import SPENT, Sum, added, read_lines

RECORD = "record.jsonl"
SAMPLES = "samples.jsonl"
RUNS = "runs"
OPEN = "open"
# Beside modalities, in what was written for validation.
ALL = "all"
_WORK = ".fit-"
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Run:
    """One fit, or as far as it came.

    Attributes:
        adapter: its name.
        bundle: what it made; None of a fit that runs still, or was broken off.
        key: the first digits of what the fit depends on: two runs of one key are one fit, which its budget ended and
            a larger one went on with.
        folder: of the record.
        spent: over all attempts, each at its own price.
        rows: of the record.
    """

    adapter: str
    bundle: AdapterBundle | None
    key: str
    folder: Path
    spent: Sum
    rows: Sequence[Mapping[str, Any]]

    @property
    def label(self) -> str:
        """What it is called beside others of the same adapter."""
        # Two fits of one adapter with other settings may both have been broken off.
        return f"{self.adapter} {self.bundle.digest[:8] if self.bundle else f'{OPEN} {self.key[:8]}'}"

    @property
    def made(self) -> int:
        """Steps."""
        return max((row["step"] for row in self.rows), default=0)

    @property
    def stopped(self) -> str | None:
        """Why steps are missing: "budget", "early", or "open" where no bundle was made yet."""
        return self.bundle.manifest.get("stopped") if self.bundle else OPEN

    @property
    def written(self) -> Mapping[str, Any] | None:
        """The figures of what was written for validation last."""
        found = [row["written"] for row in self.rows if "written" in row]
        return found[-1] if found else None

    @property
    def tokens_per_second(self) -> float | None:
        """The median of its steps."""
        speeds = self.series("tokens_per_second")
        return median(value for _, value in speeds) if speeds else None

    def series(self, name: str) -> list[tuple[int, float]]:
        """A figure by step."""
        return [(row["step"], row[name]) for row in self.rows if name in row]

    @property
    def validations(self) -> list[tuple[int, float]]:
        """Validation loss by step; the record has none from before the first step, the bundle has."""
        if self.bundle is None:
            return self.series("validation")
        return [(row["step"], row["validation"]) for row in self.bundle.manifest["history"] if "validation" in row]

    def last(self, name: str) -> float | None:
        """A figure's last value; None where it has none."""
        found = self.series(name)
        return found[-1][1] if found else None


def run_folder(into: Path, bundle: AdapterBundle) -> Path:
    """Where the run record of a bundle stands, beside the bundles."""
    return into / RUNS / f"{bundle.name}-{bundle.digest[:_DIGITS]}"


def work_folder(into: Path, adapter: str, key: str) -> Path:
    """Where a fit works, which is what one that was broken off leaves."""
    return into / f"{_WORK}{adapter}-{key[:_DIGITS]}"


def run_of(into: Path, bundle: AdapterBundle) -> Run:
    """The run of a bundle that has a record."""
    folder, manifest = run_folder(into, bundle), bundle.manifest
    attempts = added(read_lines(folder / SPENT)).attempts
    spent = Sum(manifest["seconds"], manifest["cost_usd"], attempts)
    return Run(bundle.name, bundle, manifest["key"][:_DIGITS], folder, spent, read_lines(folder / RECORD))


def runs(into: Path) -> list[Run]:
    """Every bundle's run that has a record, the latest record last, and then the fits that made no bundle yet."""
    found = []
    for path in into.glob("*/*/manifest.json"):
        try:
            bundle = open_bundle(path.parent)
        except (NotFoundError, BundleError):
            continue
        record = run_folder(into, bundle) / RECORD
        if record.is_file():
            run = run_of(into, bundle)
            # Two of the same weights are one fit whose budget left nothing to learn more with.
            found.append((record.stat().st_mtime_ns, run.spent.seconds, str(bundle.path), run))
    made = [run for *_, run in sorted(found, key=lambda one: one[:3])]
    known = {run.key: run.spent.attempts for run in made}
    for folder in sorted(into.glob(f"{_WORK}*-*")):
        adapter, _, key = folder.name.removeprefix(_WORK).rpartition("-")
        spent = added(read_lines(folder / SPENT))
        # A fit that its budget ended stays as it was until it goes on.
        if spent.attempts > known.get(key, 0):
            made.append(Run(adapter, None, key, folder, spent, read_lines(folder / RECORD)))
    return made


def counted(found: Sequence[Run]) -> list[Run]:
    """Those whose seconds and dollars add up: a run that went on from another one holds its seconds too."""
    return [run for at, run in enumerate(found) if all(run.key != later.key for later in found[at + 1 :])]


def last_speed(into: Path, base: str, quantisation: str | None) -> float | None:
    """Tokens learnt a second in the last recorded run on this base model, the median of its steps; None without one."""
    for run in reversed(runs(into)):
        bundle, speed = run.bundle, run.tokens_per_second
        told = bundle and (bundle.base_name, bundle.manifest["settings"].get("quantisation"))
        if speed is not None and told == (base, quantisation):
            return speed
    return None

"""Fits of a tiny model, whole and broken off, for the tests of what a fit is made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from radimpress.reports.progress import Track, silent
from radimpress.reports.report import Report
from radimpress.reports.synthetic import synthesize
from radimpress.trainer import fit as fitting
from radimpress.trainer.bundle import AdapterBundle
from radimpress.trainer.fit import fit
from radimpress.trainer.plan import UNIFIED, PlannedAdapter
from radimpress.trainer.settings import FitSettings
from radimpress.trainer.write_up import Rate
from tests.conftest import TINY

T = TypeVar("T")
SETTINGS = FitSettings(
    rank=2, alpha=4, batch=1, accumulation=1, learning_rate=5e-3, max_tokens=600, dropout=0.1, checkpoint_steps=2
)
REPORTS = tuple(synthesize(12, 0, 0.0))
VALIDATION = list(synthesize(3, 1, 0.0))


def fit_tiny(
    folder: Path,
    into: Path,
    *,
    name: str = UNIFIED,
    reports: tuple[Report, ...] = REPORTS,
    validation: list[Report] = VALIDATION,
    settings: FitSettings = SETTINGS,
    start: AdapterBundle | None = None,
    budget_usd: float = 0.0,
    track: Track = silent,
    rate: Rate | None = None,
) -> AdapterBundle:
    planned = PlannedAdapter(name, None, start.name if start else None, reports)
    return fit(
        planned,
        validation,
        base=TINY,
        base_folder=folder,
        settings=settings,
        start=start,
        clusters_digest="c" * 64,
        into=into,
        budget_usd=budget_usd,
        track=track,
        rate=rate,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def fitted(tiny_folder: Path, home: Path) -> AdapterBundle:
    return fit_tiny(tiny_folder, home)


def refuse_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError(f"trained again with {len(arguments) + len(named)} arguments")

    monkeypatch.setattr(fitting, "run_loop", refuse)


def record_of(into: Path, bundle: AdapterBundle) -> list[dict[str, Any]]:
    path = into / "runs" / f"{bundle.name}-{bundle.digest[:16]}" / "record.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


PRICED = SETTINGS.model_copy(update={"price_per_hour": 3600.0})


class BrokenError(Exception):
    """What breaks a fit off in a test."""


def broken_at(step: int) -> Any:
    def track(items: Iterable[T], label: str, total: int) -> Iterator[T]:
        del label, total
        for item in items:
            if item == step:
                raise BrokenError
            yield item

    return track


def broken(folder: Path, into: Path, step: int, settings: FitSettings = SETTINGS) -> Path:
    """Breaks a fit off before a step (the first is 0), and gives its folder of work."""
    with pytest.raises(BrokenError):
        fit_tiny(folder, into, settings=settings, track=broken_at(step))
    (work,) = into.glob(".fit-*")
    return work

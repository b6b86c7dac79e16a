from __future__ import annotations

from pathlib import Path

import pytest

from radimpress.reports.funnel import Door
from radimpress.reports.report import Modality
from radimpress.server.bench import reports as bench


def test_the_published_counts_add_up_to_what_is_kept() -> None:
    assert bench.KEPT == 30_135 - 1_401 - 14_372 - 1_387 == sum(bench.kept_modalities().values())


def test_all_figures_come_of_a_small_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PUBLISHED", {Door.NO_CONTENT: 60, Door.FINDINGS_SHORT: 90, Door.IMPRESSION_SHORT: 50})
    monkeypatch.setattr(bench, "TOTAL", 600)
    monkeypatch.setattr(bench, "KEPT", 400)
    told: list[str] = []
    figures = bench.measure(1500, None, tmp_path, told.append, patients=False)
    assert figures["funnel_exact"].value == figures["rerun_identical"].value == 1
    assert figures["reports_per_second"].value > 0
    assert 10 < figures["peak_mb"].value < 2000
    assert "mtsamples_recovered" not in figures
    assert len(told) == 2


def test_a_funnel_that_counts_otherwise_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "TOTAL", 300)
    monkeypatch.setattr(bench, "KEPT", 200)
    monkeypatch.setattr(bench, "PUBLISHED", {Door.NO_CONTENT: 40, Door.FINDINGS_SHORT: 30, Door.IMPRESSION_SHORT: 30})
    assert bench.funnel_exact(tmp_path / "right")
    counts = bench.kept_modalities()
    monkeypatch.setattr(bench, "kept_modalities", lambda: {**counts, Modality.MR: counts[Modality.MR] + 1})
    assert not bench.funnel_exact(tmp_path / "wrong")

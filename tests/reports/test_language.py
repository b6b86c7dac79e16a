from __future__ import annotations

import json
from pathlib import Path

import pytest

from radimpress.reports.funnel import Thresholds
from radimpress.reports.language import foreign, languages
from radimpress.reports.synthetic import synthesize

ENGLISH = ("en",)
SHORT = Thresholds().findings_min
_DATA = Path(__file__).parents[3] / "shared" / "data"


def test_synthetic_reports_of_every_clinic_are_english() -> None:
    reports = [report for report in synthesize(400, 3) if len(report.findings) >= SHORT]
    assert len(reports) > 100
    assert [report.findings for report in reports if foreign(report.findings, ENGLISH)] == []


@pytest.mark.skipif(not _DATA.is_dir(), reason="the real reports are not at hand")
def test_real_english_reports_are_hardly_ever_taken_for_foreign() -> None:
    findings = [
        row["findings"]
        for name in ("openi_train", "mtsamples_train")
        for row in map(json.loads, (_DATA / f"{name}.jsonl").read_text("utf-8").splitlines())
        if len(row["findings"]) >= SHORT
    ]
    assert len(findings) > 700
    assert sum(foreign(text, ENGLISH) for text in findings) <= len(findings) // 200


def test_what_is_known_decides() -> None:
    german = "Die Lungen sind frei, kein Pleuraerguss und kein Pneumothorax nachweisbar. Das Herz ist normal groß."
    assert foreign(german, ENGLISH)
    assert not foreign(german, ("de", "en"))
    assert {"de", "en"} < languages()

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from radimpress.reports.audit import audit, examples_of, reports_of, style_of
from radimpress.reports.audit_page import write_audit_page
from radimpress.reports.errors import NotFoundError
from radimpress.reports.files import write_reports
from radimpress.reports.funnel import Thresholds
from radimpress.reports.leak import leak
from radimpress.reports.prepare import prepare
from radimpress.reports.progress import silent
from radimpress.reports.read import Reading
from radimpress.reports.split import Split
from radimpress.reports.synthetic import synthesize

MARKUP = "<b>bold</b> & more"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A data set of 400 synthetic reports; one that was set aside tries to be markup, one kept names somebody."""
    reports = list(synthesize(400, 5))
    reports[0] = replace(reports[0], findings=MARKUP)
    good = next(one for one in reports[1:] if len(one.findings) > 120 and len(one.impression) > 30)
    reports.append(replace(good, id="named", findings=f"{good.findings} Discussed with Dr. Smith on 03/04/2021."))
    write_reports(tmp_path / "r.jsonl", reports)
    prepare([tmp_path / "r.jsonl"], tmp_path / "d", Reading(), Thresholds(), (0.7, 0.15), 0, silent)
    return tmp_path / "d"


def test_figures_add_up(dataset: Path) -> None:
    found = audit(dataset, silent)
    kept = sum(found.parts.values())
    assert sum(found.doors.values()) == 401
    assert sum(count for mix in found.mix.values() for count in mix.values()) == kept == len(list(reports_of(dataset)))
    assert sum(count for styles in found.styles.values() for count in styles.values()) == kept
    assert found.identified == {"findings": 1, "impression": 0}
    assert found.lengths["findings"] == sorted(found.lengths["findings"])
    assert found.lengths["impression"][-1] <= 1000
    json.dumps(found.as_json())


@pytest.mark.parametrize(
    ("impression", "style"),
    [
        ("1. Tear.\n2. Cyst.", "numbered"),
        ("- Tear.\n- Cyst.", "bulleted"),
        ("There is a tear. No cyst is seen.", "paragraph"),
        ("Tear. No cyst.", "telegraphic"),
    ],
)
def test_styles_are_told_by_marks_and_verbs(impression: str, style: str) -> None:
    assert style_of(impression) == style


def test_a_leak_is_counted() -> None:
    one, two, three = (one for one in list(synthesize(60, 5, 0.0))[::20])
    words = " ".join(f"word{number}" for number in range(60))
    train = replace(one, findings=words, patient="p")
    near = replace(two, findings=words.replace("word59", "other"), impression=train.impression, patient="p")
    found = leak(Split((train,), (), (near, three)), silent)
    assert (found.tests, found.near, found.patients, found.impressions) == (2, 1, 1, 0.5)
    assert not found.sampled


def test_parts_that_were_split_share_neither_patient_nor_findings(dataset: Path) -> None:
    from radimpress.server.steps import load_split

    found = leak(load_split(dataset), silent)
    assert found.patients == 0
    assert sum(sum(mix.values()) for mix in found.mixes.values()) == sum(audit(dataset, silent).parts.values())


def test_the_page_holds_figures_and_examples_and_no_markup_of_a_report(dataset: Path, tmp_path: Path) -> None:
    page = tmp_path / "audit.html"
    found = audit(dataset, silent)
    write_audit_page(page, found, leak(Split((), (), ()), silent), examples_of(dataset))
    html = page.read_text("utf-8")
    assert "This page holds report texts" in html
    assert MARKUP not in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    assert "http" not in html.replace("http-equiv", "")
    assert page.stat().st_mode & 0o777 == 0o600


def test_a_folder_without_a_data_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        audit(tmp_path, silent)

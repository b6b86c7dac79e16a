from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from radimpress.eval.checks import CHECKS
from radimpress.eval.corruptions import CORRUPTIONS
from radimpress.eval.measure import ALL, Share, Worth, measure, read_assertion
from radimpress.reports.read import read_archive
from radimpress.reports.report import Modality, Report
from radimpress.reports.synthetic import synthesize

# Recalls and false-positive rates that the checks promise.
PROMISED = {
    "sides swapped": (0.90, 0.015),
    "negation dropped": (0.75, 0.03),
    "unit changed": (0.98, 0.005),
    "foreign organ": (0.90, 0.03),
    "critical finding omitted": (0.85, 0.03),
    "prompt leaked": (0.99, 0.005),
    "clause looped": (0.99, 0.005),
    "PHI inserted": (0.99, 0.005),
}
_REAL = ("openi_train.jsonl", "mtsamples_train.jsonl")


@pytest.fixture(scope="module")
def worth() -> Worth:
    return measure(list(synthesize(400, 3, 0.0)))


@pytest.mark.parametrize("name", PROMISED)
def test_the_promised_recalls_hold_on_synthetic_reports(worth: Worth, name: str) -> None:
    recall, most = PROMISED[name]
    check = next(one.check for one in CORRUPTIONS if one.name == name)
    assert worth.recall[name][ALL].cases > 20
    assert worth.recall[name][ALL].value >= recall
    assert worth.false[check][ALL].value <= most


def test_every_check_and_every_corruption_is_told_of_with_its_modalities(worth: Worth) -> None:
    assert list(worth.false) == [check.name for check in CHECKS]
    assert list(worth.recall) == [corruption.name for corruption in CORRUPTIONS]
    by = worth.false["organ"]
    assert by[ALL].cases == sum(share.cases for at, share in by.items() if at != ALL) == 400


def test_a_report_without_an_impression_counts_nowhere() -> None:
    worth = measure([Report(id="a", findings="A cyst."), Report(id="b", findings="Cyst.", impression="Zebra <|end|>")])
    assert worth.false["leak"][ALL] == Share(1, 1)
    assert worth.false["leak"][Modality.UNSPECIFIED] == Share(1, 1)
    assert worth.recall["sides swapped"] == {ALL: Share(0, 0)}


@pytest.mark.parametrize(
    ("hits", "cases", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
)
def test_intervals_are_wilsons(hits: int, cases: int, low: float, high: float) -> None:
    assert Share(hits, cases).interval == pytest.approx((low, high), abs=1e-4)


def test_nothing_counted_is_told_as_such() -> None:
    assert (Share(0, 0).value, Share(0, 0).interval) == (0.0, (0.0, 1.0))


def test_an_assertion_is_that_of_the_concepts_last_word() -> None:
    assert read_assertion("Mass without wall thickening.", "wall thickening") == "absent"


def test_the_promised_recalls_hold_on_real_reports() -> None:
    folder = Path(os.environ.get("TEST_REAL_REPORTS", "../shared/data"))
    files = [folder / name for name in _REAL]
    if not all(file.is_file() for file in files):
        pytest.skip("no real reports; TEST_REAL_REPORTS names their folder")
    worth = measure(read_archive(files).reports)
    missed = {}
    for name, (recall, most) in PROMISED.items():
        check = next(one.check for one in CORRUPTIONS if one.name == name)
        if worth.recall[name][ALL].value < recall or worth.false[check][ALL].value > most:
            missed[name] = (worth.recall[name][ALL], worth.false[check][ALL])
    assert not missed, json.dumps({name: str(shares) for name, shares in missed.items()})

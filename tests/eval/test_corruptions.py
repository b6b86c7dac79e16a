from __future__ import annotations

import pytest

from radimpress.eval.corruptions import CORRUPTIONS, Corruption, corrupt
from radimpress.reports.report import Report
from radimpress.reports.synthetic import synthesize

REPORT = Report(
    id="one",
    findings="A 12 mm cyst of the left lung. Fracture of the rib. No effusion.",
    impression="12 mm cyst of the left lung. Fracture of the rib. No effusion.",
)
BY_NAME = {corruption.name: corruption for corruption in CORRUPTIONS}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sides swapped", "12 mm cyst of the right lung. Fracture of the rib. No effusion."),
        ("negation dropped", "12 mm cyst of the left lung. Fracture of the rib. Effusion."),
        ("unit changed", "12 cm cyst of the left lung. Fracture of the rib. No effusion."),
        ("critical finding omitted", "12 mm cyst of the left lung. No effusion."),
    ],
)
def test_an_error_is_made_and_nothing_else(name: str, text: str) -> None:
    assert corrupt(REPORT, BY_NAME[name], 0) == text


@pytest.mark.parametrize(
    "name",
    [
        "sides swapped",
        "negation dropped",
        "negation inserted",
        "unit changed",
        "number changed",
        "critical finding omitted",
        "cut off",
    ],
)
def test_what_does_not_apply_gives_none(name: str) -> None:
    assert corrupt(Report(id="two", findings="Normal study.", impression="Normal study."), BY_NAME[name], 0) is None


def test_no_change_is_no_negation_to_drop() -> None:
    report = Report(id="three", findings="Small effusion.", impression="No interval change. No significant change.")
    assert corrupt(report, BY_NAME["negation dropped"], 0) is None


def test_a_comparison_is_claimed_only_where_none_was_made() -> None:
    prior = Report(id="four", findings="Small effusion.", impression="Effusion.", comparison="Study of May.")
    assert corrupt(prior, BY_NAME["comparison claimed"], 0) is None


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda one: one.name)
def test_the_same_seed_gives_the_same_and_every_error_can_be_made(corruption: Corruption) -> None:
    reports = list(synthesize(60, 1, 0.0))
    first = [corrupt(report, corruption, 5) for report in reports]
    assert first == [corrupt(report, corruption, 5) for report in reports]
    assert any(first)
    assert all(text != report.impression for text, report in zip(first, reports, strict=True))


def test_letters_keep_their_case() -> None:
    shouted = Report(id="five", findings="LEFT MASS.", impression="LEFT MASS.")
    assert corrupt(shouted, BY_NAME["sides swapped"], 0) == "RIGHT MASS."

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.eval.checks import CHECKS, annotate, degenerate, laterality, leak, measurement
from radimpress.reports.prompt import SYSTEM
from radimpress.reports.report import Report
from radimpress.reports.synthetic import synthesize

_LENGTH = re.compile(r"\d+(?:\.\d+)? (?=mm|cm)", re.IGNORECASE)
_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
_OTHER = {"left": "right", "right": "left"}


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    return list(synthesize(1500, 0, 0.0))


def _swapped(text: str) -> str:
    return _SIDE.sub(lambda match: _OTHER[match[0].lower()], text)


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_a_check_is_silent_on_every_synthetic_reference(reports: list[Report], name: str) -> None:
    assert not [report.id for report in reports if name in annotate(report.findings, report.impression)]


def test_a_changed_measurement_is_noticed_in_every_reference_that_has_one(reports: list[Report]) -> None:
    measured = [report for report in reports if _LENGTH.search(report.impression)]
    silent = [r.id for r in measured if not measurement.check(r.findings, _LENGTH.sub("87.5 ", r.impression))]
    assert measured
    assert silent == []


def test_swapped_sides_are_noticed_in_nine_of_ten_references_of_one_side(reports: list[Report]) -> None:
    sided = [r for r in reports if len({side.lower() for side in _SIDE.findall(r.findings)}) == 1]
    sided = [report for report in sided if _SIDE.search(report.impression)]
    noticed = [report for report in sided if laterality.check(report.findings, _swapped(report.impression))]
    assert len(sided) > 100
    assert len(noticed) > 0.9 * len(sided)


def test_a_looped_clause_is_noticed_in_every_reference(reports: list[Report]) -> None:
    silent = [r.id for r in reports if not degenerate.check(r.findings, " ".join([r.impression] * 5))]
    assert silent == []


@pytest.mark.parametrize("token", ["<|im_end|>", "<|end|>", "<|assistant", "<|user|>"])
def test_a_chat_token_is_noticed_anywhere_in_every_reference(reports: list[Report], token: str) -> None:
    for report in reports[:100]:
        half = len(report.impression) // 2
        assert leak.check(report.findings, report.impression[:half] + token + report.impression[half:])


@pytest.mark.parametrize(
    ("findings", "impression"),
    [
        ("There is a left pleural effusion.", "Right pleural effusion."),
        ("Left effusion. Right mass.", "RIGHT EFFUSION."),
        ("The right ureter holds a stone.", "1. Left ureteral stone.\n2. No other abnormality."),
    ],
)
def test_a_side_that_contradicts_the_findings_is_noticed(findings: str, impression: str) -> None:
    assert laterality.check(findings, impression)


@pytest.mark.parametrize(
    ("findings", "impression"),
    [
        ("There is a left pleural effusion.", "Left pleural effusion."),
        ("Bilateral pleural effusions.", "Left pleural effusion."),
        ("Left and right renal stones.", "Right renal stone."),
        ("The lungs are clear.", "Left pleural effusion."),
        ("", "Left pleural effusion."),
    ],
)
def test_a_side_that_agrees_or_is_not_told_is_no_contradiction(findings: str, impression: str) -> None:
    assert laterality.check(findings, impression) is None


@pytest.mark.parametrize(
    ("findings", "impression"),
    [
        ("A 12 mm nodule.", "1.2 cm nodule."),
        ("A 1.2cm nodule.", "12-mm nodule."),
        ("A 2 x 3 cm mass.", "3.0 cm mass."),
        ("A 20 x 30 x 40 mm mass.", "2 x 3 x 4 cm mass."),
        ("A 2 cm x 3 cm mass.", "2 x 3 cm mass."),
        ("A 2 × 3 cm mass.", "2 cm mass."),
        ("A .5 cm nodule.", "0.5 cm nodule."),
        ("Grade 3 of 5.", "Grade 2."),
        ("", "Follow-up in 6 weeks."),
    ],
)
def test_an_equal_measurement_in_other_words_is_silent(findings: str, impression: str) -> None:
    assert measurement.check(findings, impression) is None


@pytest.mark.parametrize("impression", ["13 mm nodule.", "12 cm nodule.", "1.2 x 1.3 cm nodule.", "1.25 cm nodule."])
def test_another_measurement_is_noticed(impression: str) -> None:
    assert measurement.check("A 12 mm nodule.", impression)


@given(st.decimals(min_value="0.1", max_value=99, places=1))
def test_centimetres_and_millimetres_are_one_measurement(size: object) -> None:
    millimetres = float(str(size)) * 10
    assert measurement.check(f"{size} cm", f"{millimetres:.0f} mm") is None


@pytest.mark.parametrize("impression", ["", " \n", "...", "!"])
def test_an_impression_without_words_is_noticed(impression: str) -> None:
    assert degenerate.check("", impression)


def test_four_words_may_stand_three_times_and_no_more() -> None:
    assert degenerate.check("", "no acute osseous abnormality. " * 3) is None
    assert degenerate.check("", "no acute osseous abnormality. " * 4)


@pytest.mark.parametrize("word", ["no", "no no", "clear lungs clear"])
def test_a_loop_of_few_words_is_noticed(word: str) -> None:
    assert degenerate.check("", f"{word} " * 20)


@pytest.mark.parametrize(
    "impression",
    ["Findings: clear.", "Mass.\nModality: CT", "  exam : CT chest", "INDICATION: pain", SYSTEM, SYSTEM.upper()],
)
def test_prompt_text_is_noticed(impression: str) -> None:
    assert leak.check("", impression)


@pytest.mark.parametrize(
    "impression", ["Findings are normal.", "See findings: above", "Size < 3 | mass", "Limited exam."]
)
def test_ordinary_words_are_no_leak(impression: str) -> None:
    assert leak.check("", impression) is None


def test_leak_and_degenerate_are_hard() -> None:
    assert {check.name for check in CHECKS if check.hard} == {"leak", "degenerate"}


def test_what_was_noticed_quotes_no_report_text() -> None:
    noticed = annotate("SECRET left 3 mm effusion", "right effusion SECRET 9 mm <|end|> " + "SECRET " * 9)
    assert set(noticed) == {check.name for check in CHECKS}
    assert "SECRET" not in str(noticed)


@given(st.text(max_size=80), st.text(max_size=80))
def test_checks_take_any_text(findings: str, impression: str) -> None:
    assert set(annotate(findings, impression)) <= {check.name for check in CHECKS}

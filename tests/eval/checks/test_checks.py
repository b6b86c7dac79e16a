from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.eval.checks import CHECKS, annotate
from radimpress.eval.checks.phrases import listed
from radimpress.reports.report import Report
from radimpress.reports.synthetic import synthesize

_NAMES = {check.name for check in CHECKS}


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    return list(synthesize(1000, 0, 0.0))


@pytest.mark.parametrize("name", sorted(_NAMES))
def test_a_check_is_silent_on_every_synthetic_reference(reports: list[Report], name: str) -> None:
    assert not [report.id for report in reports if name in annotate(report, report.impression)]


def test_upper_and_lower_case_are_read_alike(reports: list[Report]) -> None:
    for report in reports[:100]:
        assert not annotate(report, report.impression.upper())


def test_leak_degenerate_and_phi_are_hard() -> None:
    assert {check.name for check in CHECKS if check.hard} == {"leak", "degenerate", "phi"}


def test_labels_are_those_of_rexval() -> None:
    labels = {check.name: check.label for check in CHECKS if check.label}
    assert labels == {
        "laterality": "c",
        "negation": "a",
        "measurement": "d",
        "organ": "a",
        "critical": "b",
        "comparison": "e",
    }


def test_what_was_noticed_quotes_no_report_text_and_lies_in_the_impression() -> None:
    findings = "SECRETIA left 3 mm effusion. No pneumothorax. Fracture of the rib."
    impression = (
        "right effusion SECRETIA 9 mm of the prostate <|end|> MRN 1234567. Pneumothorax. " + "Unchanged mass. " * 9
    )
    found = annotate(Report(id="r", findings=findings), impression, "length")
    assert set(found) == _NAMES - {"form", "followup"}
    assert "SECRETIA" not in str(found).upper()
    for notice in found.values():
        assert 0 <= notice.start <= notice.stop <= len(impression)


@given(st.text(max_size=80), st.text(max_size=80))
def test_checks_take_any_text(findings: str, impression: str) -> None:
    assert set(annotate(Report(id="r", findings=findings), impression)) <= _NAMES


_KNOWN = listed(
    "no not without , . ; : ( left right acute mass effusion 3 mm cm cannot exclude excluded is seen and or but with "
    "longer resolved XXXX L4 - L5 Dr unchanged kidney"
)
_WORDS = st.sampled_from([*sorted(_KNOWN), "\n"])


@given(st.lists(_WORDS, max_size=25), st.lists(_WORDS, max_size=25))
def test_checks_take_any_order_of_the_words_they_know(findings: list[str], impression: list[str]) -> None:
    text = " ".join(impression)
    for notice in annotate(Report(id="r", findings=" ".join(findings)), text).values():
        assert 0 <= notice.start <= notice.stop <= len(text)

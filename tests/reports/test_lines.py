from __future__ import annotations

import pytest

from radimpress.reports.lines import lines_of


def test_all_kinds_of_ends_end_a_line() -> None:
    assert lines_of("\ufeffa\r\nb\rc\n\nd\xa0e") == ["a", "b", "c", "", "d e"]


def test_lines_that_a_table_of_commas_lost_are_given_back() -> None:
    said = lines_of("EXAM:,  Chest.,FINDINGS:, 1. Heart, lungs and bones clear.,2. No fluid.,IMPRESSION: , Normal.,")
    assert said == [
        "EXAM:",
        "Chest.",
        "FINDINGS:",
        "1. Heart, lungs and bones clear.",
        "2. No fluid.",
        "IMPRESSION:",
        "Normal.",
    ]


def test_lines_that_were_written_as_json_twice_are_given_back() -> None:
    assert lines_of(r"Findings: Clear.\r\nImpression: Normal.") == ["Findings: Clear.", "Impression: Normal."]


@pytest.mark.parametrize("text", [r"FINDINGS: See C:\new for more.", "FINDINGS: Heart, lungs, and bones: normal.", ""])
def test_a_text_that_lost_nothing_stays(text: str) -> None:
    assert lines_of(text) == [text]

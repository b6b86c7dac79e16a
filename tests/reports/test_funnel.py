from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from radimpress.reports.errors import InputError
from radimpress.reports.funnel import Door, Sifted, Thresholds, explain, sift
from radimpress.reports.prompt import render
from radimpress.reports.read import Archive
from radimpress.reports.report import Modality, Report
from radimpress.reports.synthetic import synthesize

GOOD = Report(id="good", findings="f" * 100, impression="i" * 20, modality=Modality.CT, clinic="alder")


def _sift(*reports: Report, unreadable: tuple[str, ...] = ()) -> Sifted:
    return sift(Archive(reports, unreadable, "clinic"), Thresholds())


@pytest.mark.parametrize(
    ("changes", "door"),
    [
        ({"clinic": ""}, Door.NO_CLINIC),
        ({"modality": Modality.UNSPECIFIED}, Door.NO_MODALITY),
        ({"findings": ""}, Door.NO_CONTENT),
        ({"impression": ""}, Door.NO_CONTENT),
        ({"findings": "f" * 99}, Door.FINDINGS_SHORT),
        ({"impression": "i" * 19}, Door.IMPRESSION_SHORT),
        ({"indication": "i" * 2001}, Door.FIELD_LONG),
        ({"impression": "i" * 1001}, Door.IMPRESSION_LONG),
        ({}, Door.DUPLICATE),
        ({"findings": "F" * 100, "impression": " " + "I" * 20}, Door.DUPLICATE),
    ],
)
def test_a_flaw_leaves_by_its_own_door(changes: dict[str, str], door: Door) -> None:
    bad = replace(GOOD, id="bad", **changes)  # type: ignore[arg-type]
    funnel = _sift(GOOD, bad)
    assert funnel.set_aside == (("bad", door),)
    assert funnel.kept == (GOOD,)


@pytest.mark.parametrize(
    "changes",
    [{"findings": "g" * 100}, {"impression": "i" * 1000}, {"modality": Modality.OTHER}, {"findings": "é" * 100}],
)
def test_a_report_at_the_thresholds_is_kept(changes: dict[str, str]) -> None:
    report = replace(GOOD, **changes)  # type: ignore[arg-type]
    assert _sift(report).kept == (report,)


def test_equal_findings_with_another_impression_are_no_duplicate() -> None:
    other = replace(GOOD, id="other", impression="j" * 20)
    assert _sift(GOOD, other).kept == (GOOD, other)


def test_records_that_cannot_be_read_leave_by_their_own_door() -> None:
    assert _sift(GOOD, unreadable=("r.jsonl:2: not JSON",)).set_aside == (("r.jsonl:2: not JSON", Door.UNREADABLE),)


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.12, 0.5]), st.integers(0, 3))
def test_the_doors_add_up_to_what_went_in(seed: int, flawed: float, broken: int) -> None:
    reports = (GOOD, *synthesize(40, seed, flawed))
    funnel = _sift(*reports, unreadable=tuple(f"line {at}" for at in range(broken)))
    assert sum(funnel.funnel.counts.values()) == funnel.funnel.total == len(reports) + broken
    assert len(funnel.kept) + len(funnel.set_aside) == funnel.funnel.total


def test_every_door_is_named_even_when_nobody_left_by_it() -> None:
    assert set(_sift(GOOD).funnel.counts) == set(Door)


def test_funnel_json_adds_up_and_holds_no_report_text() -> None:
    sifted = _sift(GOOD, replace(GOOD, id="bad", findings="short secret"), unreadable=("r.jsonl:9: not JSON",))
    told = sifted.funnel.as_json()
    assert told["total"] == sum(told["doors"].values()) == 3
    assert sifted.set_aside == (("r.jsonl:9: not JSON", Door.UNREADABLE), ("bad", Door.FINDINGS_SHORT))
    assert "secret" not in str(told)


def test_a_corpus_in_which_nothing_survives_is_refused_with_the_doors_it_left_by() -> None:
    bad = replace(GOOD, clinic="")
    with pytest.raises(InputError, match="none of 3 is left") as caught:
        _sift(bad, replace(bad, id="2"), unreadable=("r.jsonl:1: not JSON",))
    assert "2 clinic missing" in str(caught.value)
    assert "1 record cannot be read" in str(caught.value)


def test_an_archive_without_records_is_refused() -> None:
    with pytest.raises(InputError, match="none of 0 is left by the filter: no records"):
        _sift()


def test_words_for_the_doors_leave_out_the_unused() -> None:
    assert explain([(Door.KEPT, 2), (Door.DUPLICATE, 0)]) == "2 kept"


@pytest.mark.parametrize("findings", ["f" * 100_000, "<|end|>" * 20])
def test_what_is_kept_can_be_asked_about(findings: str) -> None:
    for report in _sift(GOOD, replace(GOOD, id="odd", findings=findings)).kept:
        assert render(report)


@pytest.mark.parametrize("setting", [{"findings_min": 0}, {"impression_max": -1}, {"findings_max": 3}])
def test_thresholds_that_make_no_sense_are_refused(setting: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Thresholds.model_validate(setting)

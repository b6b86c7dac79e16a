from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.reports.errors import InputError, ModalityError
from radimpress.reports.report import Modality, Report, parse_modality


@pytest.mark.parametrize("modality", list(Modality))
def test_every_modality_reads_back_from_its_own_code(modality: Modality) -> None:
    assert parse_modality(modality.value) is modality


@pytest.mark.parametrize(
    ("text", "modality"),
    [
        ("MRI", Modality.MR),
        ("magnetic resonance imaging", Modality.MR),
        (" c.t. ", Modality.CT),
        ("Chest X-Ray", Modality.CR),
        ("x-ray", Modality.XR),
        ("DX", Modality.XR),
        ("Ultrasound", Modality.US),
        ("PET/CT", Modality.PT),
        ("mammography", Modality.MG),
        ("SPECT", Modality.NM),
        ("fluoroscopy", Modality.RF),
        ("XA", Modality.OTHER),
        ("N/A", Modality.UNSPECIFIED),
    ],
)
def test_a_spelling_that_people_use_is_known(text: str, modality: Modality) -> None:
    assert parse_modality(text) is modality


@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_empty_text_is_unspecified(text: str) -> None:
    assert parse_modality(text) is Modality.UNSPECIFIED


@pytest.mark.parametrize("text", ["abc", "42", "?!", "mr ct", "магнит"])
def test_text_that_is_no_modality_is_refused_as_input(text: str) -> None:
    with pytest.raises(ModalityError, match="not a known modality") as caught:
        parse_modality(text)
    assert isinstance(caught.value, InputError)
    assert caught.value.field == "modality"


def test_a_refusal_quotes_a_word_but_never_a_longer_text() -> None:
    with pytest.raises(ModalityError, match="'tomography'"):
        parse_modality("tomography")
    with pytest.raises(ModalityError, match="text of 17 characters") as caught:
        parse_modality("q" * 17)
    assert "qq" not in str(caught.value)


def test_a_refusal_names_every_modality() -> None:
    with pytest.raises(ModalityError) as caught:
        parse_modality("abc")
    assert {modality.value for modality in Modality} <= set(str(caught.value).split())


@given(st.text())
def test_any_text_gives_a_modality_or_a_modality_error(text: str) -> None:
    try:
        modality = parse_modality(text)
    except ModalityError:
        return
    assert isinstance(modality, Modality)


@given(st.sampled_from(["MRI", "ct", "ultrasound", "xray", "pet"]), st.text(" -_./", max_size=5))
def test_case_and_punctuation_do_not_matter(word: str, noise: str) -> None:
    assert parse_modality(noise.join(word.swapcase())) is parse_modality(word)


def test_a_spelling_with_another_sign_in_it_is_not_guessed() -> None:
    for text in ("CT1", "M+R", "CT;", "C\u0301T"):
        with pytest.raises(ModalityError):
            parse_modality(text)


def test_a_report_cannot_be_changed() -> None:
    report = Report(id="1", findings="The lungs are clear.")
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.findings = "changed"  # type: ignore[misc]

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.clustering.features import NAMES, style
from radimpress.eval.metrics.rouge import ROUGE, rouge
from radimpress.eval.metrics.style import conformance

_PROFILE = dict.fromkeys(NAMES, 0.5)


def test_an_impression_equal_to_its_reference_scores_one() -> None:
    assert rouge("No acute fracture.", "No acute fracture.") == dict.fromkeys(ROUGE, 1.0)


@pytest.mark.parametrize("impression", ["", "!?", "entirely other words"])
def test_an_impression_without_a_word_in_common_scores_zero(impression: str) -> None:
    assert rouge(impression, "No acute fracture.") == dict.fromkeys(ROUGE, 0.0)


def test_rouge_1_is_f1_over_words_and_rouge_l_heeds_their_order() -> None:
    scores = rouge("fracture acute no", "no acute fracture")
    assert scores["rouge1"] == 1.0
    assert scores["rouge2"] == 0.0
    assert scores["rougeL"] == pytest.approx(1 / 3)


def test_words_are_stemmed() -> None:
    assert rouge("fractures", "fracture")["rouge1"] == 1.0


@given(st.text(max_size=60), st.text(max_size=60))
def test_rouge_is_within_0_and_1(impression: str, reference: str) -> None:
    assert all(0 <= value <= 1 for value in rouge(impression, reference).values())


@given(st.text(min_size=1, max_size=100).filter(str.strip))
def test_an_impression_in_its_clinics_very_style_conforms_wholly(text: str) -> None:
    assert conformance(text, dict(zip(NAMES, style(text).tolist(), strict=True))) == pytest.approx(1)


@given(st.text(max_size=100))
def test_conformance_is_within_0_and_1(text: str) -> None:
    assert 0 <= conformance(text, _PROFILE) <= 1


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_impression_conforms_to_nobody(text: str) -> None:
    assert conformance(text, dict.fromkeys(NAMES, 0.0)) == 0.0


def test_a_list_is_nearer_to_a_clinic_of_lists() -> None:
    lists = dict(zip(NAMES, style("1. Mass.\n2. Stone.").tolist(), strict=True))
    assert conformance("1. Effusion.\n2. Cyst.", lists) > conformance("There is an effusion and a cyst.", lists)

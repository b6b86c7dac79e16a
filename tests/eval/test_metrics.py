from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.clustering.features import NAMES, style
from radimpress.eval.metrics.rouge import ROUGE, rouge, rouge_l
from radimpress.eval.metrics.style import STYLES, conformance, form, words
from radimpress.reports.synthetic import synthesize

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


@given(*[st.lists(st.sampled_from(["acute", "no", "fracture", "fractures", "edema"]), max_size=12).map(" ".join)] * 2)
def test_rouge_l_alone_is_what_it_is_beside_the_others(impression: str, reference: str) -> None:
    assert rouge_l(impression, reference) == pytest.approx(rouge(impression, reference)["rougeL"])


@given(st.text(min_size=1, max_size=100).filter(str.strip))
def test_an_impression_in_its_clinics_very_style_conforms_wholly(text: str) -> None:
    found = conformance(text, dict(zip(NAMES, style(text).tolist(), strict=True)))
    assert found == pytest.approx(dict.fromkeys(STYLES, 1.0))


@given(st.text(max_size=100))
def test_conformance_is_within_0_and_1(text: str) -> None:
    assert all(0 <= value <= 1 for value in conformance(text, _PROFILE).values())


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_impression_conforms_to_nobody(text: str) -> None:
    assert conformance(text, dict.fromkeys(NAMES, 0.0)) == dict.fromkeys(STYLES, 0.0)


_LIST = dict(zip(NAMES, style("1. Mass.\n2. Stone.").tolist(), strict=True))


def test_a_list_is_nearer_to_a_clinic_of_lists() -> None:
    near, far = conformance("1. Effusion.\n2. Cyst.", _LIST), conformance("There is an effusion and a cyst.", _LIST)
    assert near["style"] > far["style"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("- Mass.\n- Stone.", "form"),
        ("1. Mass.\n2. Stone.\n" + "3. Cyst.\n" * 30, "length"),
        ("1. There is a mass in the lung.\n2. There is a stone.", "telegraphic"),
        ("1. MASS.\n2. STONE.", "case"),
    ],
)
def test_each_part_of_style_falls_by_what_it_is_named_for(text: str, part: str) -> None:
    found = conformance(text, _LIST)
    assert found[f"style:{part}"] < 0.8
    others = {"style:form", "style:case"} - {f"style:{part}"}
    assert all(found[other] > 0.8 for other in others)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. Mass.\n2. Stone.", "numbered"),
        ("- Mass.\n- Stone.", "bulleted"),
        ("Mass.\n- Stone.", "paragraph"),
        ("There is a mass of 2. Stone.", "paragraph"),
        ("1. Mass.\n- Stone.\n- Cyst.", "bulleted"),
        (" ", ""),
    ],
)
def test_the_form_is_a_list_when_most_lines_have_a_mark(text: str, expected: str) -> None:
    assert form(text) == expected


def test_words_are_counted_by_white_space() -> None:
    assert [words(text) for text in ("", "1. Mass.\n2. Stone")] == [0, 4]


def test_cached_stems_change_no_score() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    plain = RougeScorer(ROUGE, use_stemmer=True)
    reports = list(synthesize(40, 0, 0.0))
    for one, other in pairwise(reports):
        expected = plain.score(one.impression, other.findings)
        assert rouge(other.findings, one.impression) == {kind: expected[kind].fmeasure for kind in ROUGE}

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.clustering.features import (
    FEATURES,
    NAMES,
    WEIGHTS,
    bulleted,
    fullness,
    hedges,
    length,
    listed,
    numbered,
    recommends,
    sentence_length,
    style,
    upper_case,
)


@given(st.text(max_size=300))
def test_every_feature_of_any_text_is_within_0_and_1(text: str) -> None:
    values = style(text)
    assert values.shape == (len(NAMES),)
    assert np.all((values >= 0) & (values <= 1))


def test_an_empty_impression_has_no_style() -> None:
    assert not style("").any()


def test_names_and_weights_go_with_the_features() -> None:
    assert len(set(NAMES)) == len(FEATURES) == len(WEIGHTS)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("1. Mass.\n2. Stone.", 1.0),
        ("1) Mass.\nStone.", 0.5),
        ("1.2 cm mass.", 0.0),
        ("- Mass.", 0.0),
        ("\n\n1. Mass.\n", 1.0),
    ],
)
def test_numbered_is_the_share_of_lines_with_a_number(text: str, share: float) -> None:
    assert numbered(text) == share


@pytest.mark.parametrize(("text", "share"), [("- Mass.\n• Stone.", 1.0), ("* Mass.\nStone.", 0.5), ("-3 HU mass", 0.0)])
def test_bulleted_is_the_share_of_lines_with_a_bullet(text: str, share: float) -> None:
    assert bulleted(text) == share


@pytest.mark.parametrize(("text", "value"), [("1. Mass.\n- Stone.", 1.0), ("Mass.\n1. Stone.", 0.0), ("Mass.", 0.0)])
def test_a_list_is_one_in_most_of_its_lines(text: str, value: float) -> None:
    assert listed(text) == value


def test_upper_case_counts_letters_only() -> None:
    assert upper_case("AB 12 cd!") == 0.5


def test_full_sentences_are_fuller_than_telegrams() -> None:
    assert fullness("Small left effusion. No fracture.") == 0.0
    assert fullness("There is a small effusion in the left pleura.") == 1.0


def test_sentence_length_is_mean_words_against_20() -> None:
    assert sentence_length("One two three four. Five six.") == pytest.approx(3 / 20)
    assert sentence_length("word " * 50) == 1.0


def test_a_decimal_point_does_not_end_a_sentence() -> None:
    assert sentence_length("A 1.2 cm mass is seen") == pytest.approx(5 / 20)


def test_length_is_characters_against_400() -> None:
    assert (length("x" * 100), length("x" * 1000)) == (0.25, 1.0)


@pytest.mark.parametrize(
    ("text", "value"),
    [("RECOMMEND CT.", 1.0), ("Correlate clinically.", 1.0), ("Follow-up in 1 week.", 1.0), ("Mass.", 0.0)],
)
def test_recommending_is_noticed_in_any_case(text: str, value: float) -> None:
    assert recommends(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("Possible mass.", 1.0), ("MASS LIKELY", 1.0), ("In May a mass", 1.0), ("Mass.", 0.0)]
)
def test_hedging_is_noticed_in_any_case(text: str, value: float) -> None:
    assert hedges(text) == value

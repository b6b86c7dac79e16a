from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.clustering.features import FEATURES, NAMES, WEIGHTS, style

HOSTILE = {
    "blanks": " " * 10_000 + "x",
    "lines": "\n \t" * 10_000,
    "digits": "1" * 10_000,
    "numbers": "1. " * 10_000,
    "dots": "." * 10_000 + "x",
    "header": "A" * 10_000 + ":",
    "normals": "normal " * 10_000 + "x",
    "sizes": "3 x " * 10_000,
    "dashes": "- " * 10_000,
    "capitals": "A1" * 10_000,
    "evidence": "no " * 10_000,
    "quotes": "a'-" * 10_000,
    "nulls": "\0" * 10_000,
}


def of(name: str, impression: str, findings: str = "") -> float:
    return float(style(impression, findings)[NAMES.index(name)])


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
    assert of("numbered", text) == share


@pytest.mark.parametrize(("text", "share"), [("- Mass.\n• Stone.", 1.0), ("* Mass.\nStone.", 0.5), ("-3 HU mass", 0.0)])
def test_bulleted_is_the_share_of_lines_with_a_bullet(text: str, share: float) -> None:
    assert of("bulleted", text) == share


@pytest.mark.parametrize(("text", "value"), [("1. Mass.\n- Stone.", 1.0), ("Mass.\n1. Stone.", 0.0), ("Mass.", 0.0)])
def test_a_list_is_one_in_most_of_its_lines(text: str, value: float) -> None:
    assert of("listed", text) == value


def test_upper_case_counts_letters_only() -> None:
    assert of("upper_case", "AB 12 cd!") == 0.5


def test_full_sentences_are_fuller_than_telegrams() -> None:
    assert of("fullness", "Small left effusion. No fracture.") == 0.0
    assert of("fullness", "There is a small effusion in the left pleura.") == 1.0


def test_sentence_length_is_mean_words_against_20() -> None:
    assert of("sentence_length", "One two three four. Five six.") == pytest.approx(3 / 20)
    assert of("sentence_length", "word " * 50) == 1.0


def test_a_decimal_point_does_not_end_a_sentence() -> None:
    assert of("sentence_length", "A 1.2 cm mass is seen") == pytest.approx(5 / 20)


def test_length_is_characters_against_400() -> None:
    assert (of("length", "x" * 100), of("length", "x" * 1000)) == (0.25, 1.0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("RECOMMEND CT.", 1.0),
        ("Correlate clinically.", 1.0),
        ("Follow-up in 1 week.", 1.0),
        ("Suggest CT.", 1.0),
        ("Shadow suggestive of a mass.", 0.0),
        ("Mass.", 0.0),
    ],
)
def test_recommending_is_noticed_in_any_case(text: str, value: float) -> None:
    assert of("recommends", text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Possible mass.", 1.0),
        ("MASS LIKELY", 1.0),
        ("This could reflect a mass.", 1.0),
        ("Suspected mass.", 1.0),
        ("Questionable nodule.", 1.0),
        ("Concerning for a mass.", 1.0),
        ("Cannot exclude a mass.", 1.0),
        ("Unlikely to be a mass.", 1.0),
        ("In May a mass", 1.0),
        ("It could not be seen.", 0.0),
        ("Mass.", 0.0),
    ],
)
def test_hedging_is_noticed_in_any_case(text: str, value: float) -> None:
    assert of("hedges", text) == value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("line_count", "Mass.\n\nStone.\nCyst.", 0.5),
        ("headed", "LUNGS: Clear.\nHeart: Normal.", 1.0),
        ("headed", "1. Heart: Normal.\nStone at 10:30 h.", 0.5),
        ("headed", "Ratio 1:2. Seen at 10:30 h.", 0.0),
        ("closed", "1. Mass.\n2. Stone", 0.5),
        ("telegraphic", "Small effusion. There is a mass.", 0.5),
        ("telegraphic", "1. SMALL EFFUSION.\n2. NO FRACTURE.", 1.0),
        ("first_person", "WE RECOMMEND CT.", 1.0),
        ("first_person", "I would suggest CT.", 1.0),
        ("first_person", "Type I odontoid fracture.", 0.0),
        ("opens_negative", "No acute abnormality. Old fracture.", 1.0),
        ("opens_negative", "1. THERE IS NO FRACTURE.", 1.0),
        ("opens_negative", "The examination is unremarkable.", 1.0),
        ("opens_negative", "Mass with no calcification.", 0.0),
        ("closes_negative", "- Mass.\n- Otherwise normal.", 1.0),
        ("closes_negative", "No acute abnormality.", 0.0),
        ("says_no_evidence", "No CT evidence of bleeding.", 1.0),
        ("says_no_evidence", "Evidence of bleeding.", 0.0),
        ("millimetres", "A 4 mm nodule.", 1.0),
        ("millimetres", "A 4-mm nodule.", 1.0),
        ("millimetres", "A 1.4 cm nodule, 5 mmol.", 0.0),
        ("centimetres", "A MASS OF 1.4 CM.", 1.0),
        ("centimetres", "A nodule of 2 millimetres.", 0.0),
        ("crossed_sizes", "Mass of 3 x 4 cm.", 1.0),
        ("crossed_sizes", "Mass of 3.1 cm × 4 cm.", 1.0),
        ("crossed_sizes", "Mass of 3 cm, hexagonal.", 0.0),
        ("worded_sizes", "Mass of 3 by 4 cm.", 1.0),
        ("worded_sizes", "Grade 3 by criteria.", 0.0),
        ("decimals", "Mass of 3.0 cm.", 1.0),
        ("decimals", "Mass of 3.1 x 4 cm.", 1.0),
        ("decimals", "T1.5 weighted, 3 cm.", 0.0),
        ("compares", "Compared with the prior study, stable.", 1.0),
        ("compares", "Stable.", 0.0),
        ("tells_change", "Interval increase.", 1.0),
        ("tells_change", "Mass.", 0.0),
        ("abbreviated", "RLL pneumonia, mild", 1.0),
        ("abbreviated", "Mass w/ edema, CT and MRI at L4 and T12 seen again", pytest.approx(1 / 12 / 0.2)),
        ("abbreviated", "RLL PNEUMONIA IS SEEN AGAIN", 1.0),
        ("abbreviated", "LARGE MASS IS SEEN", 0.0),
    ],
)
def test_a_habit_is_noticed(name: str, text: str, value: float) -> None:
    assert of(name, text) == value


@pytest.mark.parametrize(("findings", "value"), [("x" * 40, 0.25), ("x" * 5, 1.0), ("", 0.0)])
def test_compression_is_against_the_findings(findings: str, value: float) -> None:
    assert of("compression", "x" * 10, findings) == value


@pytest.mark.parametrize("feature", FEATURES, ids=NAMES)
def test_every_feature_says_what_it_counts(feature: object) -> None:
    assert (feature.__doc__ or "").endswith(".")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_costs_what_its_length_costs(text: str) -> None:
    values, began = style(text), time.process_time()
    assert np.all((values >= 0) & (values <= 1))
    style(text * 4)
    # Four times the text; a pattern that goes back and forth takes minutes over it.
    assert time.process_time() - began < 3


def test_the_documentation_tells_every_feature() -> None:
    text = Path(__file__).parents[2].joinpath("docs", "clustering.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE) == [
        (feature.__name__, feature.__doc__) for feature in FEATURES
    ]

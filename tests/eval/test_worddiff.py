from __future__ import annotations

import pytest

from radimpress.eval.worddiff import differences


def _told(text: str, reference: str) -> list[tuple[str, str]]:
    """What is added and what is left out, place by place."""
    return [(text[c.start : c.stop], reference[c.without : c.until]) for c in differences(text, reference)]


@pytest.mark.parametrize(
    ("text", "reference", "told"),
    [
        ("No acute fracture.", "No acute fracture.", []),
        ("no ACUTE fracture", "No acute fracture.", []),
        ("Small right effusion.", "Small left effusion.", [("right", "left")]),
        ("Fracture.", "No fracture.", [("", "No")]),
        ("No old fracture.", "No fracture.", [("old", "")]),
        ("Nodule of 1.5 cm.", "Nodule of 15 cm.", [("1.5", "15")]),
        ("1. Effusion.\n2. No fracture.", "Effusion. No fracture.", []),
        ("- Effusion.", "* Effusion.", []),
        ("", "No fracture.", [("", "No fracture")]),
        ("No fracture.", "", [("No fracture", "")]),
        ("", "", []),
    ],
)
def test_words_that_are_added_and_left_out(text: str, reference: str, told: list[tuple[str, str]]) -> None:
    assert _told(text, reference) == told


def test_words_side_by_side_are_one_change_with_what_stands_between() -> None:
    assert _told("Stable. Old infarct, left.", "Stable. Recommend CT.") == [("Old infarct, left", "Recommend CT")]


def test_what_is_left_out_stands_where_it_would_be_read() -> None:
    (inside,) = differences("Small effusion.", "Small left effusion.")
    assert inside.start == inside.stop == len("Small ")
    (after,) = differences("Small effusion.", "Small effusion. No fracture.")
    assert after.start == after.stop == len("Small effusion")


def test_a_number_at_the_start_of_a_line_is_a_word_where_it_is_no_mark() -> None:
    assert _told("5 nodules.", "6 nodules.") == [("5", "6")]


def test_long_texts_count_frequent_words_too() -> None:
    # difflib's autojunk would take a word that stands in over 1% of 200 words for noise.
    text = " ".join(f"no w{at}" for at in range(200))
    assert _told(text, text.replace("no w7 ", "w7 ")) == [("no", "")]

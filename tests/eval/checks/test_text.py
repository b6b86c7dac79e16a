from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.eval.checks.phrases import Phrases
from radimpress.eval.checks.text import Text, stem


@given(st.text(max_size=200))
def test_every_word_stands_at_its_place(raw: str) -> None:
    text = Text(raw)
    for word, start, stop in zip(text.words, text.starts, text.stops, strict=True):
        assert raw[start:stop].lower() == word
    assert len(text.sentence_of) == len(text.words)


@pytest.mark.parametrize(
    ("raw", "sentences"),
    [
        ("No mass. A cyst.", [["no", "mass"], ["a", "cyst"]]),
        ("A 1.2 cm cyst; no mass", [["a", "1.2", "cm", "cyst"], ["no", "mass"]]),
        ("A mass\nof the liver\n- A cyst", [["a", "mass", "of", "the", "liver"], ["-", "a", "cyst"]]),
        ("Told Dr. Who. Fine", [["told", "dr", ".", "who"], ["fine"]]),
        ("Left-sided mass.No cyst", [["left", "-", "sided", "mass"], ["no", "cyst"]]),
        ("1.Mass", [["1"], ["mass"]]),
        (" . ", []),
    ],
)
def test_sentences_end_at_stops_and_lines_that_end_something(raw: str, sentences: list[list[str]]) -> None:
    text = Text(raw)
    assert [text.words[one.first : one.last] for one in text.sentences] == sentences


@pytest.mark.parametrize(
    ("word", "one"),
    [("effusions", "effusion"), ("metastases", "metastasis"), ("masses", "mass"), ("opacities", "opacity")]
    + [(word, word) for word in ("mass", "thrombus", "pelvis", "gas", "diagnosis", "is")],
)
def test_a_plural_has_the_stem_of_its_singular(word: str, one: str) -> None:
    assert stem(word) == one


def test_the_longest_phrase_is_found_and_none_overlap() -> None:
    phrases = Phrases({"a": "free air, air", "b": "pneumo*", "c": "free"})
    hits = list(phrases.find(["free", "air", "and", "air", "pneumocele", "free"]))
    assert [(hit.first, hit.last, hit.value) for hit in hits] == [(0, 2, "a"), (3, 4, "a"), (4, 5, "b"), (5, 6, "c")]

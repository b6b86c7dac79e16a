from __future__ import annotations

import random

import numpy as np
import pytest

from radimpress.reports.near import alike, runs, sketch

_WORDS = [f"{one}{two}" for one in "bcdfghjklmnp" for two in ("a", "e", "i", "o", "u", "ay", "ow")]


def _text(chance: random.Random, words: int = 80) -> str:
    return " ".join(chance.choice(_WORDS) for _ in range(words))


def _changed(text: str, chance: random.Random, words: int) -> str:
    said = text.split()
    for at in chance.sample(range(len(said)), words):
        said[at] = "changed"
    return " ".join(said)


def _jaccard(one: str, other: str) -> float:
    return len(runs(one) & runs(other)) / len(runs(one) | runs(other))


def test_runs_are_of_five_words_and_a_short_text_is_one() -> None:
    assert runs("A b  c D e f") == {"a b c d e", "b c d e f"}
    assert runs("Clear.") == {"clear."}


def test_what_is_nearly_the_same_is_alike_and_what_shares_half_is_not() -> None:
    chance = random.Random(1)
    texts = [_text(chance) for _ in range(150)]
    near = [_changed(text, chance, 1) for text in texts]
    far = [_changed(text, chance, 12) for text in texts]
    assert all(_jaccard(one, other) > 0.8 for one, other in zip(texts, near, strict=True))
    assert all(_jaccard(one, other) < 0.6 for one, other in zip(texts, far, strict=True))
    labels = alike(sketch([*texts, *near, *far]).hashes)
    of, of_near, of_far = np.split(labels, 3)
    assert np.mean(of == of_near) > 0.98
    assert np.mean(of == of_far) < 0.05
    # Nobody is linked to a stranger.
    assert len(set(of.tolist())) == len(texts)


def test_more_than_are_looked_at_in_one_band_are_one_group_all_the_same() -> None:
    chance = random.Random(2)
    text = _text(chance)
    labels = alike(sketch([_changed(text, chance, 1) + f" n{at}" for at in range(300)]).hashes)
    assert len(set(labels.tolist())) == 1


def test_what_is_linked_by_a_third_is_one_group() -> None:
    words = _text(random.Random(3), 120).split()
    chain = [" ".join(words[at : at + 100]) for at in (0, 8, 16)]
    assert _jaccard(chain[0], chain[2]) < 0.75 < _jaccard(chain[0], chain[1])
    assert len(set(alike(sketch(chain).hashes).tolist())) == 1


@pytest.mark.parametrize("texts", [[], ["one text"]])
def test_few_texts(texts: list[str]) -> None:
    made = sketch(texts)
    assert made.hashes.shape == (len(texts), 126)
    assert made.least.shape == (len(texts), 3)
    assert alike(made.hashes).tolist() == list(range(len(texts)))


def test_a_sketch_takes_150_bytes() -> None:
    made = sketch(["one text", "another text"])
    assert (made.hashes.nbytes + made.least.nbytes) / 2 == 150


def test_short_texts_that_share_nothing_are_not_alike() -> None:
    labels = alike(sketch([f"finding {'a' * at}" for at in range(300)]).hashes)
    assert len(set(labels.tolist())) == 300

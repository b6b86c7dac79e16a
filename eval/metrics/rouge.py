"""ROUGE-1, ROUGE-2 and ROUGE-L F1 (Lin 2004) by Google's rouge-score, with its stemmer."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np

ROUGE = ("rouge1", "rouge2", "rougeL")
# Half of the time went into stemming the same few words again; reports know some ten thousand.
_WORDS = 1 << 15


def rouge(impression: str, reference: str) -> dict[str, float]:
    """F1 of each kind, in [0, 1]; an empty impression scores 0."""
    scores = _scorer().score(reference, impression)
    return {kind: float(scores[kind].fmeasure) for kind in ROUGE}


def rouge_l(impression: str, reference: str) -> float:
    """ROUGE-L alone, as `rouge` gives it; a row of the table at a time, so that texts without end take a moment."""
    ours, theirs = (_tokenizer().tokenize(text) for text in (impression, reference))
    if not ours or not theirs:
        return 0.0
    numbers = {word: at for at, word in enumerate({*ours, *theirs})}
    columns = np.array([numbers[word] for word in theirs])
    longest = np.zeros(len(theirs) + 1, dtype=int)
    for word in ours:
        both = longest[:-1] + (columns == numbers[word])
        longest[1:] = np.maximum.accumulate(np.maximum(longest[1:], both))
    return 2 * int(longest[-1]) / (len(ours) + len(theirs))


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(ROUGE, tokenizer=_tokenizer())


@cache
def _tokenizer() -> Any:
    from nltk.stem.porter import PorterStemmer  # type: ignore[import-untyped]
    from rouge_score import tokenize

    class Tokenizer:
        """rouge-score's own tokens, each word stemmed once."""

        def __init__(self) -> None:
            self.stem = lru_cache(_WORDS)(PorterStemmer().stem)

        def tokenize(self, text: str) -> list[str]:
            return list(tokenize.tokenize(text, self))

    return Tokenizer()

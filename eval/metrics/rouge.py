"""ROUGE-1, ROUGE-2 and ROUGE-L F1 (Lin 2004) by Google's rouge-score, with its stemmer."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

ROUGE = ("rouge1", "rouge2", "rougeL")
# Half of the time went into stemming the same few words again; reports know some ten thousand.
_WORDS = 1 << 15


def rouge(impression: str, reference: str) -> dict[str, float]:
    """F1 of each kind, in [0, 1]; an empty impression scores 0."""
    scores = _scorer().score(reference, impression)
    return {kind: float(scores[kind].fmeasure) for kind in ROUGE}


@cache
def _scorer() -> Any:
    from nltk.stem.porter import PorterStemmer  # type: ignore[import-untyped]
    from rouge_score import tokenize
    from rouge_score.rouge_scorer import RougeScorer

    class Tokenizer:
        """rouge-score's own tokens, each word stemmed once."""

        def __init__(self) -> None:
            self.stem = lru_cache(_WORDS)(PorterStemmer().stem)

        def tokenize(self, text: str) -> list[str]:
            return list(tokenize.tokenize(text, self))

    return RougeScorer(ROUGE, tokenizer=Tokenizer())

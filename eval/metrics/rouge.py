"""ROUGE-1, ROUGE-2 and ROUGE-L F1 (Lin 2004) by Google's rouge-score, with its stemmer."""

from __future__ import annotations

from functools import cache
from typing import Any

ROUGE = ("rouge1", "rouge2", "rougeL")


def rouge(impression: str, reference: str) -> dict[str, float]:
    """F1 of each kind, in [0, 1]; an empty impression scores 0."""
    scores = _scorer().score(reference, impression)
    return {kind: float(scores[kind].fmeasure) for kind in ROUGE}


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(ROUGE, use_stemmer=True)

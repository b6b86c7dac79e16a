"""Whether a text is in another language than those that are learnt."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

# The beginning tells; a long report would hold up the others.
_READ = 400
_SURE = 0.5
# Words of no other language: most English findings have two of them, and are told in a twentieth of the time.
_ENGLISH = frozenset(["the", "and", "with", "are", "there", "without"])


def foreign(text: str, known: Collection[str]) -> bool:
    """Whether a text is, for sure, in none of the known languages (ISO 639-1 codes)."""
    beginning = text[:_READ]
    if "en" in known and len(_ENGLISH.intersection(beginning.lower().split())) > 1:
        return False
    language, sure = _identifier().classify(beginning)
    return sure >= _SURE and language not in known


def languages() -> frozenset[str]:
    """The codes of all languages that can be told."""
    return frozenset(_identifier().labels)


@cache
def _identifier() -> Any:
    """py3langid's model (Lui and Baldwin 2012), with probabilities; 140 languages, read once."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

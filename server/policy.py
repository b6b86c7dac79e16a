"""What to do with findings that adapters never learnt from: too short, or in another language.

Training keeps findings of 100 characters or more (reports/funnel.py), in the clinics' own language. What an
adapter makes of anything else was never judged, so that by default the base model answers it, and says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from typing import Any

from radimpress.reports.errors import ConfigError, FindingsError
from radimpress.reports.funnel import Thresholds
from radimpress.reports.report import Report
from radimpress.server.routes import Reason

SHORT = Thresholds().findings_min
# The beginning tells; a long report would hold up the others.
_READ = 400
_SURE = 0.5
# Words of no other language: most English findings have two of them, and are told in a twentieth of the time.
_ENGLISH = frozenset(["the", "and", "with", "are", "there", "without"])


class Outside(StrEnum):
    """Who answers what adapters never learnt from."""

    BASE = "base"
    REFUSE = "refuse"
    ADAPTER = "adapter"


class Policy:
    """The input policy.

    Args:
        short: for findings under SHORT characters.
        language: for findings in another language.
        languages: those that adapters learnt, as ISO 639-1 codes.

    Raises:
        ConfigError: a language is none that can be told.
    """

    def __init__(self, short: Outside, language: Outside, languages: Sequence[str]) -> None:
        self._short = short
        self._language = language
        self._known = frozenset(languages)
        if language is not Outside.ADAPTER:
            foreign = sorted(self._known - set(_identifier().labels))
            if foreign:
                raise ConfigError(f"languages: {foreign[0]!r} is no ISO 639-1 code of a language that can be told")

    def outside(self, report: Report) -> Reason | None:
        """Why no adapter answers; None where one may.

        Raises:
            FindingsError: the policy is to refuse these findings.
        """
        length = len(report.findings.strip())
        if short(length):
            return self.outside_by_length(length)
        if self._language is not Outside.ADAPTER and self.foreign(report.findings):
            return self._said(self._language, Reason.LANGUAGE, f"is not in {' or '.join(sorted(self._known))}")
        return None

    def outside_by_length(self, length: int) -> Reason | None:
        """The same by the length of the findings alone, for whoever has no more to show.

        Raises:
            FindingsError: as `outside`.
        """
        return self._said(self._short, Reason.FINDINGS_SHORT, f"has {length} characters") if short(length) else None

    def foreign(self, findings: str) -> bool:
        """Whether findings are, for sure, in none of the languages that adapters learnt."""
        beginning = findings[:_READ]
        if "en" in self._known and len(_ENGLISH.intersection(beginning.lower().split())) > 1:
            return False
        language, sure = _identifier().classify(beginning)
        return sure >= _SURE and language not in self._known

    def _said(self, who: Outside, reason: Reason, told: str) -> Reason | None:
        if who is Outside.REFUSE:
            raise FindingsError("findings", f"{told}: this server refuses what adapters never learnt from")
        return reason if who is Outside.BASE else None


def short(length: int) -> bool:
    """Whether findings of so many characters are shorter than any that adapters learnt from."""
    return length < SHORT


@cache
def _identifier() -> Any:
    """py3langid's model (Lui and Baldwin 2012), with probabilities; 140 languages, read once."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

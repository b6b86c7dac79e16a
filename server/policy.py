"""What to do with findings that adapters never learnt from: too short, or in another language.

Training keeps findings of 100 characters or more (reports/funnel.py), in the clinics' own language. What an
adapter makes of anything else was never judged, so that by default the base model answers it, and says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from radimpress.reports.errors import ConfigError, FindingsError
from radimpress.reports.funnel import Thresholds
from radimpress.reports.language import foreign
from radimpress.reports.language import languages as told
from radimpress.reports.report import Report
from radimpress.server.routes import Reason

SHORT = Thresholds().findings_min


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
            unknown = sorted(self._known - told())
            if unknown:
                raise ConfigError(f"languages: {unknown[0]!r} is no ISO 639-1 code of a language that can be told")

    def outside(self, report: Report) -> Reason | None:
        """Why no adapter answers; None where one may.

        Raises:
            FindingsError: the policy is to refuse these findings.
        """
        length = len(report.findings.strip())
        if short(length):
            return self.outside_by_length(length)
        if self._language is not Outside.ADAPTER and foreign(report.findings, self._known):
            return self._said(self._language, Reason.LANGUAGE, f"is not in {' or '.join(sorted(self._known))}")
        return None

    def outside_by_length(self, length: int) -> Reason | None:
        """The same by the length of the findings alone, for whoever has no more to show.

        Raises:
            FindingsError: as `outside`.
        """
        return self._said(self._short, Reason.FINDINGS_SHORT, f"has {length} characters") if short(length) else None

    def _said(self, who: Outside, reason: Reason, told: str) -> Reason | None:
        if who is Outside.REFUSE:
            raise FindingsError("findings", f"{told}: this server refuses what adapters never learnt from")
        return reason if who is Outside.BASE else None


def short(length: int) -> bool:
    """Whether findings of so many characters are shorter than any that adapters learnt from."""
    return length < SHORT

"""A report and an impression, read once for all checks; what is expensive is made when first asked for."""

from __future__ import annotations

from functools import cached_property

from radimpress.eval.checks.assertion import Said, Sayings
from radimpress.eval.checks.concepts import concepts
from radimpress.eval.checks.organs import organs, regions
from radimpress.eval.checks.phrases import Hit, listed
from radimpress.eval.checks.text import Text
from radimpress.reports.report import Report

ADVICE = listed(
    "suggested advised advisable consider considered helpful helps would could should followup correlate correlation "
    "clinically"
)


class Part(Text):
    """A text with what it says: assertions, concepts, organs."""

    __slots__ = ()

    @cached_property
    def said(self) -> Sayings:
        """For each word, whether it is said to be there."""
        return Sayings(self)

    @cached_property
    def concepts(self) -> list[Hit[str]]:
        """Findings under their one name, in order."""
        return list(concepts().find(self.stems))

    @cached_property
    def organs(self) -> list[Hit[str]]:
        """Organs under their one name, in order."""
        return list(organs().find(self.stems))

    @cached_property
    def advice(self) -> dict[int, int]:
        """Sentences that say what to do or what would help, and not what is, with the word that begins it."""
        advice: dict[int, int] = {}
        for at, word in enumerate(self.words):
            if word in ADVICE or word.startswith("recommend"):
                advice.setdefault(self.sentence_of[at], at)
        return advice

    @cached_property
    def places(self) -> dict[int, str]:
        """Which organ or side a word names."""
        named = {at: hit.value for hit in self.organs for at in range(hit.first, hit.last)}
        named.update((at, word) for at, word in enumerate(self.words) if word in ("left", "right"))
        return named

    def places_between(self, first: int, last: int) -> frozenset[str]:
        """The organs and sides that the words `first` up to `last` name."""
        return frozenset(self.places[at] for at in range(first, last) if at in self.places)

    @cached_property
    def regions(self) -> frozenset[str]:
        """Regions that are named."""
        return frozenset(hit.value for hit in regions().find(self.stems) if hit.value)


class Reading:
    """What the checks look at.

    Attributes:
        report: as it was given; its own impression is not looked at.
        text: the impression to check.
        finish: "stop", or "length" where the model was cut off.
        usual: how many words an impression of this clinic has; None when not known.
    """

    def __init__(self, report: Report, text: str, finish: str = "stop", usual: float | None = None) -> None:
        self.report = report
        self.text = text
        self.finish = finish
        self.usual = usual

    @cached_property
    def impression(self) -> Part:
        """The impression to check."""
        return Part(self.text)

    @cached_property
    def findings(self) -> Part:
        """What is seen."""
        return Part(self.report.findings)

    @cached_property
    def request(self) -> Part:
        """Exam, indication and comparison: what was known before."""
        return Part("\n".join((self.report.exam, self.report.indication, self.report.comparison)))

    @cached_property
    def source(self) -> str:
        """Everything that the model was given, as written."""
        report = self.report
        return "\n".join((report.findings, report.exam, report.indication, report.comparison, report.clinic))

    @cached_property
    def nothing_abnormal(self) -> bool:
        """Whether the findings tell of nothing abnormal, and of no limitation."""
        part = self.findings
        if any(part.said[hit.last - 1] is not Said.ABSENT for hit in part.concepts):
            return False
        return not any(
            (word in _ABNORMAL or word.startswith(_ABNORMAL_STEMS)) and state is not Said.ABSENT
            for word, state in zip(part.words, part.said, strict=True)
        )


_ABNORMAL = listed(
    "repeat limited limitation limits suboptimal nondiagnostic incomplete incompletely may could likely probably "
    "probable "
    "fluid thick loss abnormality abnormal signal prominent prominence focus foci focal patchy low subtle mild mildly "
    "moderate moderately severe severely minimal minimally large small mm cm markings removal post removed surgical "
    "surgery postoperative coarse coarsened accentuated blunting blunted elevation elevated tortuous tortuosity "
)
_ABNORMAL_STEMS = (
    "recommend",
    "advis",
    "suggest",
    "consider",
    "follow",
    "correlat",
    "obscur",
    "possib",
    "enlarg",
    "increas",
    "decreas",
    "elevat",
    "asymmetr",
    "irregular",
    "hyper",
    "hypo",
    "deform",
    "blunt",
    "lucen",
    "thick",
    "widen",
    "narrow",
    "displac",
    "opaci",
    "dens",
    "scar",
    "blast",
    "lytic",
    "xxxx",
    "promin",
    "crowd",
    "streak",
    "bulg",
    "degenerat",
    "uptake",
    "activity",
)

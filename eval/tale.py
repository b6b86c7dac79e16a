"""What the page is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from radimpress.clustering.cell import Cell
from radimpress.clustering.clusters import Clusters
from radimpress.eval.cases import Case
from radimpress.eval.certificate import Certificate
from radimpress.eval.predict import Predictions
from radimpress.eval.score import Scores
from radimpress.reports.funnel import Funnel
from radimpress.reports.split import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a served request came back with, beside its reference."""

    clinic: str
    cell: str
    impression: str
    reference: str
    adapter: str
    digest: str
    reason: str
    table: int
    milliseconds: float
    noticed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The answer as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tale:
    """Everything the page tells."""

    source: str
    base: str
    honest_word: str
    funnel: Funnel
    parts: Split
    clusters: Clusters
    histories: Mapping[str, Sequence[Mapping[str, float]]]
    cases: Sequence[Case]
    predictions: Sequence[Predictions]
    scores: Scores
    certificates: Sequence[Certificate]
    routes: Mapping[Cell, str]
    digests: Mapping[str, str]
    table: int
    answers: Sequence[Answer]
    seconds: float

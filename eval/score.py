"""Scores every system's predictions case by case; the contract is scores.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radimpress.clustering.cell import ANY, Cell
from radimpress.clustering.clusters import Clusters
from radimpress.eval.bootstrap import Estimate, estimate
from radimpress.eval.cases import Case, cases_digest
from radimpress.eval.checks import CHECKS, annotate
from radimpress.eval.metrics.rouge import ROUGE, rouge
from radimpress.eval.metrics.style import conformance
from radimpress.eval.predict import Predictions
from radimpress.reports.errors import GateError, InputError
from radimpress.reports.files import read_json, write_json
from radimpress.reports.report import Modality

METRICS = (*ROUGE, "style")
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class System:
    """One system's scores.

    Attributes:
        name: of the adapter, "base", or a trivial baseline.
        digest: of the adapter's weights; empty for others.
        base_digest: of the base model; empty for trivial baselines.
        scores: case id -> metric or "check:<name>" -> value. A cluster's adapter has its own cases.
        cluster: the only one that an adapter may serve; None is all of them.
    """

    name: str
    digest: str
    base_digest: str
    scores: Mapping[str, Mapping[str, float]]
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A case as scores.json holds it: no text."""

    id: str
    cell: Cell
    group: str
    weight: float


@dataclass(frozen=True, slots=True)
class Scores:
    """All systems over all cases.

    Attributes:
        cases: the held-out cases.
        systems: by name.
        cases_digest: over which reports were judged.
        clusters_digest: over who belongs where.
        prompt_version: of the prompt that all models were asked with.
    """

    cases: tuple[Judged, ...]
    systems: Mapping[str, System]
    cases_digest: str
    clusters_digest: str
    prompt_version: str

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The slices that have cases, sorted."""
        return tuple(sorted({case.cell for case in self.cases}))

    def within(self, cell: Cell | None) -> tuple[Judged, ...]:
        """The cases of a slice; cluster ANY is all clusters of its modality, None is everything."""
        return tuple(
            case
            for case in self.cases
            if cell is None or case.cell == cell or (cell.cluster == ANY and case.cell.modality is cell.modality)
        )

    def mean(self, system: str, metric: str, cell: Cell | None = None) -> Estimate | None:
        """A system's traffic-weighted mean of a metric in a slice; None without cases."""
        scores = self.systems[system].scores
        cases = [case for case in self.within(cell) if case.id in scores]
        if not cases:
            return None
        return estimate(
            [scores[case.id][metric] for case in cases],
            [case.group for case in cases],
            [case.weight for case in cases],
        )

    def difference(self, system: str, other: str, metric: str, cell: Cell | None = None) -> Estimate | None:
        """The paired, traffic-weighted mean of system - other; None without cases in common."""
        ours, theirs = self.systems[system].scores, self.systems[other].scores
        cases = [case for case in self.within(cell) if case.id in ours and case.id in theirs]
        if not cases:
            return None
        return estimate(
            [ours[case.id][metric] - theirs[case.id][metric] for case in cases],
            [case.group for case in cases],
            [case.weight for case in cases],
        )

    def save(self, path: Path) -> None:
        """Writes scores.json; it holds no report text."""
        write_json(
            path,
            {
                "format": _FORMAT,
                "cases_digest": self.cases_digest,
                "clusters_digest": self.clusters_digest,
                "prompt_version": self.prompt_version,
                "cases": [
                    [case.id, case.cell.modality.value, case.cell.cluster, case.group, case.weight]
                    for case in self.cases
                ],
                "systems": [
                    {
                        "name": system.name,
                        "digest": system.digest,
                        "base_digest": system.base_digest,
                        "scores": system.scores,
                        "cluster": system.cluster,
                    }
                    for system in self.systems.values()
                ],
            },
        )


def score(cases: Sequence[Case], predictions: Iterable[Predictions], clusters: Clusters, prompt_version: str) -> Scores:
    """Scores each prediction against its case's reference and its clinic's style.

    Raises:
        GateError: a metric is the same for every case of every model: it measures nothing.
    """
    by_id = {case.report.id: case for case in cases}
    systems = {}
    for written in predictions:
        scores = {}
        for row in written.rows:
            case = by_id[row.case]
            noticed = annotate(case.report.findings, row.impression)
            scores[row.case] = {
                **rouge(row.impression, case.report.impression),
                "style": conformance(row.impression, clusters.profile(case.report.clinic)),
                **{f"check:{check.name}": float(check.name in noticed) for check in CHECKS},
            }
        systems[written.system] = System(written.system, written.digest, written.base_digest, scores, written.cluster)
    _refuse_constant(systems)
    judged = tuple(Judged(case.report.id, case.cell, case.group, case.weight) for case in cases)
    return Scores(judged, systems, cases_digest(cases), clusters.digest, prompt_version)


def _refuse_constant(systems: Mapping[str, System]) -> None:
    models = [system for system in systems.values() if system.base_digest]
    for metric in METRICS:
        values = [row[metric] for system in models for row in system.scores.values()]
        if len(values) > 1 and len(set(values)) == 1:
            raise GateError(f"{metric} is {values[0]:.4f} in all {len(values)} impressions: it measures nothing")


def load_scores(path: Path) -> Scores:
    """Reads scores.json.

    Raises:
        NotFoundError: there is no such file.
        InputError: it is not one.
    """
    data: dict[str, Any] = read_json(path)
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise InputError(str(path), f"is not a scores file of format {_FORMAT}")
    try:
        cases = tuple(
            Judged(i, Cell(Modality(modality), cluster), group, weight)
            for i, modality, cluster, group, weight in data["cases"]
        )
        systems = {row["name"]: System(**row) for row in data["systems"]}
        return Scores(cases, systems, data["cases_digest"], data["clusters_digest"], data["prompt_version"])
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(str(path), f"is not a scores file ({type(error).__name__})") from None

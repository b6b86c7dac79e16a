"""What one judgement was made of, read back from its files and bound to each other by their digests.

A page that shows other texts than those that were judged would be worse than none: cases, scores,
predictions and clusters must all be those that the certificate names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from radimpress.clustering.clusters import Clusters
from radimpress.eval.cases import Case, cases_digest
from radimpress.eval.certificate import Certificate
from radimpress.eval.predict import BASE, Prediction
from radimpress.eval.score import Scores, written_digest
from radimpress.reports.errors import InputError
from radimpress.reports.files import read_rows
from radimpress.reports.report import Report


@dataclass(frozen=True, slots=True)
class Judgement:
    """One adapter's judgement, with the texts.

    Attributes:
        certificate: what the gate said.
        scores: what it said it of.
        cases: the cases that the adapter was asked for.
        written: system -> case id -> what it wrote; the adapter, its incumbents and base.
        clinics: cluster -> its clinics.
    """

    certificate: Certificate
    scores: Scores
    cases: tuple[Case, ...]
    written: Mapping[str, Mapping[str, Prediction]]
    clinics: Mapping[str, Sequence[str]]

    @property
    def candidate(self) -> str:
        """The adapter's name in the scores."""
        return self.scores.system_of(self.certificate.digest, self.certificate.adapter)


def gather(
    certificate: Certificate, scores: Scores, reports: Sequence[Report], clusters: Clusters, folder: Path
) -> Judgement:
    """Puts a judgement together; `folder` holds the predictions, `reports` the part that was judged on.

    An incumbent that wrote nothing of its own, as a trivial baseline, is without texts.

    Raises:
        InputError: names what is not what the certificate was made of.
        NotFoundError: the adapter's or base's predictions are not there.
    """
    candidate = scores.system_of(certificate.digest, certificate.adapter)
    system = scores.systems.get(candidate)
    if system is None or system.digest != certificate.digest:
        raise InputError("certificate", f"is of another version of {certificate.adapter} than the scores")
    if scores.cases_digest != certificate.cases_digest:
        raise InputError("certificate", "is of other cases than the scores")
    if not scores.clusters_digest == certificate.clusters_digest == clusters.digest:
        raise InputError("clusters", "are not those that the adapter was judged by")
    cases = _cases(scores, reports)
    incumbents = {verdict.incumbent for verdict in (*certificate.verdicts, certificate.overall)}
    written = {}
    for name in (candidate, BASE, *sorted(incumbents - {candidate, BASE})):
        path = folder / f"{name}.jsonl"
        if path.is_file() or name in {candidate, BASE}:
            written[name] = _predictions(path, name, scores, cases)
    own = written[candidate]
    clinics = {
        cluster: tuple(sorted(c for c, of in clusters.clinics.items() if of == cluster)) for cluster in clusters.names
    }
    return Judgement(certificate, scores, tuple(case for case in cases if case.report.id in own), written, clinics)


def _cases(scores: Scores, reports: Sequence[Report]) -> tuple[Case, ...]:
    by_id = {report.id: report for report in reports}
    missing = sum(judged.id not in by_id for judged in scores.cases)
    if missing:
        raise InputError("dataset", f"its {scores.split} part lacks {missing} of the {len(scores.cases)} judged cases")
    cases = tuple(Case(by_id[judged.id], judged.cell, judged.group, judged.weight) for judged in scores.cases)
    if cases_digest(cases) != scores.cases_digest:
        raise InputError("dataset", f"its {scores.split} part holds other reports than those that were judged")
    return cases


def _predictions(path: Path, name: str, scores: Scores, cases: Sequence[Case]) -> dict[str, Prediction]:
    """One system's predictions, if they are of what was scored."""
    system = scores.systems[name]
    asked = [case for case in cases if case.report.id in system.scores]
    head, *rest = read_rows(path) or [None]
    try:
        rows = {row["case"]: Prediction(**row) for row in rest}
        same = (head["digest"], head["base_digest"], head["cases"]) == (
            system.digest,
            system.base_digest,
            cases_digest(asked),
        )
    except (KeyError, TypeError):
        raise InputError(str(path), "is not a predictions file") from None
    same = same and rows.keys() == system.scores.keys() and written_digest(rows.values()) == system.written
    if not same:
        raise InputError(str(path), f"is not what {name} was scored on; evaluate again")
    return rows

"""Scores every system's predictions case by case; the contract is scores.json, which holds no report text."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from radimpress.clustering.cell import ANY, Cell
from radimpress.clustering.clusters import Clusters
from radimpress.eval.abnormal import abnormal
from radimpress.eval.bootstrap import Estimate, estimate
from radimpress.eval.cases import Case, cases_digest
from radimpress.eval.checks import CHECKS, annotate
from radimpress.eval.metrics.rouge import ROUGE, rouge
from radimpress.eval.metrics.style import FORMS, STYLE, conformance, form, words
from radimpress.eval.predict import Prediction, Predictions
from radimpress.eval.version import code_version
from radimpress.reports.errors import InputError
from radimpress.reports.files import digest_of, read_json, write_atomic
from radimpress.reports.report import Modality

METRICS = (*ROUGE, STYLE)
CHECK = "check:"
FORM = "form:"
_FORMAT = 3
_COLUMNS = ("id", "modality", "cluster", "group", "weight", "abnormal", "words", "form")

# (impressions, references) -> a row of "neural:<name>" values for each pair.
Neural = Callable[[Sequence[str], Sequence[str]], Sequence[Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class System:
    """One system's scores.

    Attributes:
        name: of the adapter, "base", or a trivial baseline.
        digest: of the adapter's weights; empty for others.
        base_digest: of the base model; empty for trivial baselines.
        scores: case id -> name -> value; a cluster's adapter has its own cases. The names are METRICS and
            "style:<part>", all in [0, 1] and better higher; "check:<name>", 1 where it fired; "form:<form>", 1
            for the impression's; "words", "tokens" and "seconds"; "cut", 1 where the token limit ended it;
            "copied", 1 where it is a worked example's impression; "neural:<name>" where they were asked for.
        cluster: the only one that an adapter may serve; None is all of them.
        written: SHA-256, in hex, over what it wrote.
        modality: the only one that an adapter was fitted for; None is all of them.
    """

    name: str
    digest: str
    base_digest: str
    scores: Mapping[str, Mapping[str, float]]
    cluster: str | None = None
    written: str = ""
    modality: Modality | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A case as scores.json holds it: no text.

    Attributes:
        id: the report's.
        cell: its slice.
        group: cases of one group share a patient or findings and are resampled together.
        weight: how many reports of its slice it stands for.
        abnormal: whether the reference says that something is there (radimpress.eval.abnormal).
        words: of the reference.
        form: of the reference, one of FORMS.
    """

    id: str
    cell: Cell
    group: str
    weight: float
    abnormal: bool = True
    words: int = 0
    form: str = ""


@dataclass(frozen=True, slots=True)
class Scores:
    """All systems over all cases.

    Attributes:
        cases: the held-out cases.
        systems: by name.
        cases_digest: over which reports were judged.
        clusters_digest: over who belongs where.
        prompt_version: of the prompt that all models were asked with.
        split: the part of the data set that the cases are of.
        code_version: of the program that scored.
    """

    cases: tuple[Judged, ...]
    systems: Mapping[str, System]
    cases_digest: str
    clusters_digest: str
    prompt_version: str
    split: str = "test"
    code_version: str = field(default_factory=code_version)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The slices that have cases, sorted."""
        return tuple(sorted({case.cell for case in self.cases}))

    def system_of(self, digest: str, name: str) -> str:
        """What the adapter with these weights is called here; `name` where nobody has them, or it has none."""
        if name in self.systems and self.systems[name].digest == digest:
            return name
        return next((known for known, system in self.systems.items() if digest and system.digest == digest), name)

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
        cases = [case for case in self.within(cell) if metric in scores.get(case.id, ())]
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
        """Writes scores.json; it holds no report text, and one case a line."""
        head = {
            "format": _FORMAT,
            "cases_digest": self.cases_digest,
            "clusters_digest": self.clusters_digest,
            "prompt_version": self.prompt_version,
            "split": self.split,
            "code_version": self.code_version,
            "case_columns": _COLUMNS,
        }
        cases = [
            [c.id, c.cell.modality.value, c.cell.cluster, c.group, c.weight, c.abnormal, c.words, c.form]
            for c in self.cases
        ]
        systems = [_system_text(system) for system in self.systems.values()]
        text = f'{json.dumps(head)[:-1]},\n"cases": [\n{_lines(cases)}],\n"systems": [\n{",".join(systems)}]}}\n'
        write_atomic(path, text.encode())


def _system_text(system: System) -> str:
    columns = sorted({name for row in system.scores.values() for name in row})
    head = {
        "name": system.name,
        "digest": system.digest,
        "base_digest": system.base_digest,
        "cluster": system.cluster,
        "written": system.written,
        "modality": system.modality,
        "columns": columns,
    }
    rows = [[case, *(row.get(name) for name in columns)] for case, row in system.scores.items()]
    return f'{json.dumps(head)[:-1]},\n"rows": [\n{_lines(rows)}]}}'


def _lines(rows: Iterable[Sequence[Any]]) -> str:
    return ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n"


def score(
    cases: Sequence[Case],
    predictions: Iterable[Predictions],
    clusters: Clusters,
    prompt_version: str,
    *,
    split: str = "test",
    neural: Neural | None = None,
) -> Scores:
    """Scores each prediction against its case's reference and its clinic's style."""
    by_id = {case.report.id: case for case in cases}
    profiles = {clinic: clusters.profile(clinic) for clinic in {case.report.clinic for case in cases}}
    usual = usual_words(cases)
    systems = {}
    for written in predictions:
        scores: dict[str, dict[str, float]] = {}
        for row in written.rows:
            case = by_id[row.case]
            noticed = annotate(case.report, row.impression, row.finish, usual[case.report.clinic])
            scores[row.case] = {
                **rouge(row.impression, case.report.impression),
                **conformance(row.impression, profiles[case.report.clinic]),
                **{f"{CHECK}{check.name}": float(check.name in noticed) for check in CHECKS},
                **_plain(row),
            }
        if neural is not None:
            references = [by_id[row.case].report.impression for row in written.rows]
            found = neural([row.impression for row in written.rows], references)
            for row, values in zip(written.rows, found, strict=True):
                scores[row.case].update(values)
        known = (written.digest, written.base_digest, scores, written.cluster, written_digest(written.rows))
        systems[written.system] = System(written.system, *known, written.modality)
    return Scores(tuple(map(_judged, cases)), systems, cases_digest(cases), clusters.digest, prompt_version, split)


def usual_words(cases: Sequence[Case]) -> dict[str, float]:
    """How many words the references of each clinic have, in the median."""
    counts: dict[str, list[int]] = defaultdict(list)
    for case in cases:
        counts[case.report.clinic].append(words(case.report.impression))
    return {clinic: median(some) for clinic, some in counts.items()}


def written_digest(rows: Iterable[Prediction]) -> str:
    """SHA-256, in hex, over the impressions of a system, whatever their order."""
    return digest_of(sorted([row.case, row.impression, row.finish] for row in rows))


def _judged(case: Case) -> Judged:
    said = case.report.impression
    return Judged(case.report.id, case.cell, case.group, case.weight, abnormal(said), words(said), form(said))


def _plain(row: Prediction) -> dict[str, float]:
    own = form(row.impression)
    return {
        **{f"{FORM}{name}": float(name == own) for name in FORMS},
        "words": float(words(row.impression)),
        "tokens": float(row.tokens),
        "seconds": float(row.seconds),
        "cut": float(row.finish == "length"),
        "copied": float(row.copied > 0),
    }


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
            Judged(i, Cell(Modality(modality), cluster), group, weight, *rest)
            for i, modality, cluster, group, weight, *rest in data["cases"]
        )
        systems = {row["name"]: _system(row) for row in data["systems"]}
        digests = (data["cases_digest"], data["clusters_digest"])
        return Scores(cases, systems, *digests, data["prompt_version"], data["split"], data["code_version"])
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(str(path), f"is not a scores file ({type(error).__name__})") from None


def _system(row: Mapping[str, Any]) -> System:
    scores = {
        case: {name: value for name, value in zip(row["columns"], values, strict=True) if value is not None}
        for case, *values in row["rows"]
    }
    modality = Modality(row["modality"]) if row.get("modality") else None
    return System(row["name"], row["digest"], row["base_digest"], scores, row["cluster"], row["written"], modality)

"""What an evaluation comes to; the contract is summary.json, which holds no report text.

Slices are everything, each modality, each cluster, each cell, and normal and abnormal reports apart. In
each, each system has a mean of each metric with its 90% interval (bootstrap over groups that share a patient or
findings), weighted by traffic; over more than one cell also macro, where every cell counts the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from radimpress.clustering.cell import Cell
from radimpress.eval.abnormal import RULE
from radimpress.eval.bootstrap import RESAMPLES, TAIL, Estimate, bounds
from radimpress.eval.checks import CHECKS
from radimpress.eval.metrics.neural import PREFIX
from radimpress.eval.metrics.style import FORMS, STYLES
from radimpress.eval.predict import BASE
from radimpress.eval.score import CHECK, FORM, METRICS, Judged, Scores

_FORMAT = 1
_OWN = (*METRICS, *(name for name in STYLES if name not in METRICS))


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the cases.

    Attributes:
        kind: "overall", "modality", "cluster", "cell", "normal" or "abnormal".
        name: as people read it; the kind itself where there is only one of its kind.
        cases: that it holds.
    """

    kind: str
    name: str
    cases: tuple[Judged, ...]


def slices(scores: Scores) -> Iterator[Slice]:
    """Every slice that has cases."""
    yield Slice("overall", "overall", scores.cases)
    for kind, key in (
        ("modality", lambda case: case.cell.modality.value),
        ("cluster", lambda case: case.cell.cluster),
        ("cell", lambda case: str(case.cell)),
        ("", lambda case: "abnormal" if case.abnormal else "normal"),
    ):
        shelves: dict[str, list[Judged]] = defaultdict(list)
        for case in scores.cases:
            shelves[key(case)].append(case)
        yield from (Slice(kind or name, name, tuple(shelf)) for name, shelf in sorted(shelves.items()))


def summarize(scores: Scores) -> dict[str, Any]:
    """The summary, as summary.json holds it."""
    metrics = {name: _metrics(scores, name) for name in scores.systems}
    return {
        "format": _FORMAT,
        "split": scores.split,
        "cases_digest": scores.cases_digest,
        "clusters_digest": scores.clusters_digest,
        "prompt_version": scores.prompt_version,
        "interval": round(1 - 2 * TAIL, 4),
        "resamples": RESAMPLES,
        "abnormal_rule": RULE,
        "slices": [_slice(scores, one, metrics) for one in slices(scores)],
    }


def _slice(scores: Scores, one: Slice, metrics: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    total = sum(case.weight for case in one.cases)
    answered = {
        name: [case for case in one.cases if case.id in system.scores] for name, system in scores.systems.items()
    }
    told = {name: _plain(scores, name, cases) for name, cases in answered.items() if cases}
    for (name, kind, metric), found in _estimates(scores, answered, metrics).items():
        told[name].setdefault(kind, {})[metric] = _json(found)
    return {
        "kind": one.kind,
        "name": one.name,
        "cases": len(one.cases),
        "groups": len({case.group for case in one.cases}),
        "reports": round(total, 6),
        "cells": len({case.cell for case in one.cases}),
        "reference": {
            "words": _spread([case.words for case in one.cases]),
            "forms": {form: sum(case.weight for case in one.cases if case.form == form) / total for form in FORMS},
        },
        "systems": told,
    }


def _plain(scores: Scores, name: str, cases: Sequence[Judged]) -> dict[str, Any]:
    """Counts and spreads of one system, without intervals."""
    rows = [scores.systems[name].scores[case.id] for case in cases]
    total = sum(case.weight for case in cases)

    def share(key: str) -> float:
        return sum(case.weight * row.get(key, 0.0) for case, row in zip(cases, rows, strict=True)) / total

    own, theirs = sum(row.get("words", 0.0) for row in rows), sum(case.words for case in cases)
    return {
        "cases": len(cases),
        "groups": len({case.group for case in cases}),
        "forms": {form: share(FORM + form) for form in FORMS},
        "words": _spread([row.get("words", 0.0) for row in rows]),
        "words_to_reference": own / theirs if theirs else None,
        "seconds": _spread([row.get("seconds", 0.0) for row in rows]),
        "tokens": _spread([row.get("tokens", 0.0) for row in rows]),
        "empty": sum(not row.get("words", 1.0) for row in rows),
        "cut": sum(bool(row.get("cut", 0.0)) for row in rows),
        "copied": sum(bool(row.get("copied", 0.0)) for row in rows),
        "checks": {check.name: sum(bool(row.get(CHECK + check.name, 0.0)) for row in rows) for check in CHECKS},
    }


_Key = tuple[str, str, str]


def _estimates(
    scores: Scores, answered: Mapping[str, Sequence[Judged]], metrics: Mapping[str, Sequence[str]]
) -> dict[_Key, Estimate]:
    """(system, "traffic" | "macro" | "minus_base", metric) -> estimate.

    Columns over the same cases go through one bootstrap together: that is what makes it fast.
    """
    lots: dict[tuple[bool, tuple[str, ...]], dict[_Key, list[float]]] = defaultdict(dict)
    known = {case.id: case for cases in answered.values() for case in cases}
    base = scores.systems[BASE].scores if BASE in scores.systems else {}
    for name, cases in answered.items():
        rows = scores.systems[name].scores
        for metric in metrics[name]:
            ids = tuple(case.id for case in cases if metric in rows[case.id])
            values = [rows[i][metric] for i in ids]
            if not ids:
                continue
            lots[False, ids][name, "traffic", metric] = values
            if len({known[i].cell for i in ids}) > 1:
                lots[True, ids][name, "macro", metric] = values
            both = tuple(i for i in ids if metric in base.get(i, ()))
            if name != BASE and both:
                lots[False, both][name, "minus_base", metric] = [rows[i][metric] - base[i][metric] for i in both]
    made = {}
    for (macro, ids), columns in lots.items():
        cases = [known[i] for i in ids]
        weights = _even(cases) if macro else [case.weight for case in cases]
        groups = [case.group for case in cases]
        table = np.array(list(columns.values())).T
        found = bounds(table, groups, weights, tail=TAIL, resamples=RESAMPLES, seed=0)
        for at, key in enumerate(columns):
            ends = (float(found.mean[at]), float(found.low[at]), float(found.high[at]))
            made[key] = Estimate(*ends, len(cases), len(set(groups)))
    return made


def _even(cases: Sequence[Judged]) -> list[float]:
    """Weights by which every cell counts the same."""
    sums: dict[Cell, float] = defaultdict(float)
    for case in cases:
        sums[case.cell] += case.weight
    return [case.weight / sums[case.cell] for case in cases]


def _metrics(scores: Scores, name: str) -> list[str]:
    columns = {column for row in scores.systems[name].scores.values() for column in row}
    return [*(name for name in _OWN if name in columns), *sorted(c for c in columns if c.startswith(PREFIX))]


def _spread(values: Sequence[float]) -> dict[str, float]:
    middle, high = np.percentile(values, [50, 95])
    return {"mean": float(np.mean(values)), "p50": float(middle), "p95": float(high)}


def _json(found: Estimate) -> dict[str, Any]:
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in asdict(found).items()}

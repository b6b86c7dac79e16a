"""Meta-gates: is the evaluation itself worth anything? They refuse it before anybody is judged.

Each is a pure function that gives what is wrong, in words and numbers that quote no report, or None.
`refuse` is the one entry point. All of these have happened in published work: style scores that stood
at 0.0 for everybody, prompts scored along with the answer (where an empty answer gets 0.93), test
reports that stand in training.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np

from radimpress.eval.cases import Case
from radimpress.eval.metrics.rouge import ROUGE, rouge
from radimpress.eval.predict import Predictions
from radimpress.eval.score import METRICS, Scores
from radimpress.reports.errors import FindingsError, GateError
from radimpress.reports.prompt import SYSTEM, render
from radimpress.reports.report import Report

_SHUFFLED_CASES = 200
_SHUFFLED_TIMES = 3
_SHUFFLED_LEAST = 8
_ONE_SIDED = 1.645
# One model's echo is that model's fault (the leak check notes it); every fifth text is the evaluation's.
_PROMPT_SHARE = 0.2
_WHOLE = 60


def refuse(
    cases: Sequence[Case],
    predictions: Sequence[Predictions],
    scores: Scores,
    train: Sequence[Report],
    *,
    tokens: Callable[[str], int] | None = None,
    limit: int | None = None,
) -> None:
    """Refuses an evaluation that measures nothing; call it after scoring and before saving scores.json.

    Args:
        cases: the held-out cases.
        predictions: of every system, trivial baselines too; those with a base digest are models.
        scores: what `score` made of them.
        train: the reports that adapters were fitted on, without augmentation.
        tokens: how many tokens the model's own conversation around a prompt takes; None leaves the
            length out.
        limit: tokens that a prompt may have: the model's context less what it may write.

    Raises:
        GateError: begins with the name of the meta-gate, as in "meta-gate constant: ...".
    """
    models = [written for written in predictions if written.base_digest]
    for name, problem in (
        ("leakage", leakage(cases, train)),
        ("length", too_long(cases, tokens, limit)),
        ("prompt", prompt_inside(cases, models)),
        ("empty", empty_scores(cases, models, scores)),
        ("constant", constant(scores)),
        ("shuffled", shuffled_alike(cases, models)),
    ):
        if problem:
            raise GateError(f"meta-gate {name}: {problem}")


def leakage(cases: Sequence[Case], train: Sequence[Report]) -> str | None:
    """Test reports that stand in training: the same id, patient, or findings and impression.

    An impression alone may stand in both: radiologists repeat themselves.
    """
    tests = [case.report for case in cases]
    for what, key in (("id", _identity), ("patient", _patient), ("findings and impression", _text)):
        known = {key(report) for report in train} - {None}
        both = sum(key(report) in known for report in tests)
        if both:
            return f"{both} of {len(tests)} test reports stand in training by {what}"
    return None


def too_long(cases: Sequence[Case], tokens: Callable[[str], int] | None, limit: int | None) -> str | None:
    """Reports whose prompt the model cannot read whole."""
    if tokens is None or limit is None:
        return None
    longest, over = 0, 0
    for case in cases:
        try:
            count = tokens(render(case.report))
        except FindingsError:
            count = limit + 1
        longest, over = max(longest, count), over + (count > limit)
    return f"{over} of {len(cases)} prompts are beyond {limit} tokens, the longest has {longest}" if over else None


def prompt_inside(cases: Sequence[Case], models: Sequence[Predictions]) -> str | None:
    """The prompt within what is scored: in the references, or in what a model is said to have written."""
    reports = {case.report.id: case.report for case in cases}
    inside = sum(_holds_findings(case.report.impression, case.report) for case in cases)
    if inside > _PROMPT_SHARE * len(cases):
        return f"{inside} of {len(cases)} references hold their own findings"
    for written in models:
        inside = sum(_holds_prompt(row.impression, reports[row.case]) for row in written.rows if row.case in reports)
        if inside > _PROMPT_SHARE * len(written.rows):
            return f"{inside} of {len(written.rows)} impressions of {written.system} hold the prompt"
    return None


def empty_scores(cases: Sequence[Case], models: Sequence[Predictions], scores: Scores) -> str | None:
    """An empty impression that scores: in the metric itself, or in the scores that were given."""
    best = max((value for case in _sample(cases) for value in rouge("", case.report.impression).values()), default=0.0)
    if best > 0:
        return f"an empty impression scores {best:.3f}"
    for written in models:
        given = scores.systems[written.system].scores
        for row in written.rows:
            if row.impression.strip():
                continue
            for metric in METRICS:
                if given.get(row.case, {}).get(metric, 0.0) > 0:
                    value = given[row.case][metric]
                    return f"{written.system} wrote nothing for a case that scores {value:.3f} in {metric}"
    return None


def constant(scores: Scores) -> str | None:
    """A metric that is the same in every impression of every model."""
    models = [system for system in scores.systems.values() if system.base_digest]
    for metric in METRICS:
        values = [row[metric] for system in models for row in system.scores.values() if metric in row]
        if len(values) > 1 and max(values) - min(values) < 1e-12:
            return f"{metric} is {values[0]:.4f} in all {len(values)} impressions: it measures nothing"
    return None


def shuffled_alike(cases: Sequence[Case], models: Sequence[Predictions], *, seed: int = 0) -> str | None:
    """Whether no model scores higher against its own references than against other cases' references.

    At most 200 cases a model, three other references each, the mean of ROUGE-1/2/L; one model whose own
    references are above the others' (one-sided, 5%) is enough, for a model may well write nonsense.
    Fewer than 8 cases, or references that are all alike, tell nothing and are left alone.
    """
    references = {case.report.id: case.report.impression for case in cases}
    if len(set(references.values())) < _SHUFFLED_LEAST:
        return None
    told = []
    for written in models:
        rows = [row for row in written.rows if row.case in references and row.impression.strip()]
        if len(rows) < _SHUFFLED_LEAST:
            continue
        chance = random.Random(f"{seed}/{written.system}")
        chance.shuffle(rows)
        pool = list(references.values())
        gains = []
        for row in rows[:_SHUFFLED_CASES]:
            own = references[row.case]
            others = [other for other in chance.sample(pool, min(len(pool), 2 * _SHUFFLED_TIMES)) if other != own]
            if others:
                strange = [_mean_rouge(row.impression, other) for other in others[:_SHUFFLED_TIMES]]
                gains.append(_mean_rouge(row.impression, own) - float(np.mean(strange)))
        if len(gains) < _SHUFFLED_LEAST:
            continue
        mean, error = float(np.mean(gains)), float(np.std(gains, ddof=1)) / len(gains) ** 0.5
        if mean - _ONE_SIDED * error > 0:
            return None
        told.append(f"{written.system} {mean:+.3f}")
    return f"own references score no higher than other cases': {', '.join(told)}" if told else None


def _identity(report: Report) -> tuple[str, str]:
    return (report.source, report.id)


def _patient(report: Report) -> tuple[str, str] | None:
    return (report.source, report.patient) if report.patient else None


def _text(report: Report) -> tuple[str, str]:
    return (_plain(report.findings), _plain(report.impression))


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _holds_findings(reference: str, report: Report) -> bool:
    findings = _plain(report.findings)
    return len(findings) >= _WHOLE and findings in _plain(reference)


def _holds_prompt(impression: str, report: Report) -> bool:
    text = _plain(impression)
    return _plain(SYSTEM) in text or f"findings: {_plain(report.findings)}" in text or _plain(render(report)) in text


def _sample(cases: Sequence[Case]) -> Sequence[Case]:
    return cases if len(cases) <= _SHUFFLED_CASES else random.Random(0).sample(list(cases), _SHUFFLED_CASES)


def _mean_rouge(impression: str, reference: str) -> float:
    found = rouge(impression, reference)
    return sum(found[kind] for kind in ROUGE) / len(ROUGE)

"""A whole run of two clinics, as the page's tests show it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from radimpress.clustering.cell import Cell
from radimpress.clustering.clusters import Clusters
from radimpress.clustering.features import NAMES
from radimpress.clustering.values import Point, Tried
from radimpress.eval.baselines import CONSTANT, LEAD, NEAREST
from radimpress.eval.cases import Case
from radimpress.eval.certificate import Certificate, certify
from radimpress.eval.gate import Rule, judge, judge_overall
from radimpress.eval.page import Answer, Tale
from radimpress.eval.predict import BASE, Prediction, Predictions
from radimpress.eval.score import Scores, score
from radimpress.reports.funnel import Door, Funnel, Thresholds
from radimpress.reports.report import Modality, Report
from radimpress.reports.split import Split

EVIL = "<script>alert('findings & more')</script>"
CLUSTER_OF = {"alder": "list", "elm <b>": "telegraphic"}


def _report(number: int, clinic: str, modality: Modality) -> Report:
    return Report(
        id=f"r{number}",
        clinic=clinic,
        modality=modality,
        findings=f"{EVIL} The left knee number {number} is intact.",
        impression=f"1. Intact left knee {number}.\n2. No fracture.",
    )


def _predictions(system: str, cases: list[Case], digest: str = "", base: str = "b" * 64) -> Predictions:
    rows = [Prediction(c.report.id, f"{system}: {EVIL}\n1. Knee {n}.", "length", 9) for n, c in enumerate(cases)]
    return Predictions(system, digest, base, tuple(rows))


def _certificates(scores: Scores, rule: Rule) -> list[Certificate]:
    certificates = []
    for name in ("unified", "cluster-list"):
        overall = judge_overall(scores, name, BASE, rule)
        certificates.append(certify(scores, name, judge(scores, name, {}, BASE, rule), overall, rule))
    return certificates


@pytest.fixture(scope="module")
def tale() -> Tale:
    """A run of two clinics and twelve cases, whose texts try to be markup."""
    places = zip(CLUSTER_OF, (Modality.MR, Modality.CT), strict=True)
    reports = [_report(n, clinic, modality) for n, (clinic, modality) in enumerate(6 * [*places])]
    doors = {Door.NO_CLINIC: 1, Door.DUPLICATE: 1, Door.KEPT: len(reports)}
    funnel = Funnel(Thresholds(), {door: doors.get(door, 0) for door in Door})
    profile = dict.fromkeys(NAMES, 0.5)
    clusters = Clusters(
        clinics=CLUSTER_OF,
        profiles=dict.fromkeys(CLUSTER_OF, profile),
        embedder="all-MiniLM-L6-v2",
        data="d" * 64,
        why="2 clusters have the best silhouette, 0.61",
        tried=(Tried(method="ward", number=2, silhouette=0.61, stability=0.97, chosen=True),),
        points=tuple(Point(clinic=clinic, x=n, y=-n) for n, clinic in enumerate(CLUSTER_OF)),
    )
    cases = [Case(r, Cell(r.modality, CLUSTER_OF[r.clinic]), f"patient/{r.id}", 1.0) for r in reports]
    own = [case for case in cases if case.cell.cluster == "list"]
    predictions = [
        _predictions(BASE, cases),
        _predictions("unified", cases, "1" * 64),
        _predictions("cluster-list", own, "2" * 64),
        *(_predictions(name, cases, base="") for name in (CONSTANT, LEAD, NEAREST)),
    ]
    # Every prediction carries a number of its own, or the scorer refuses a metric that never varies.
    predictions = [
        replace(
            p, rows=tuple(replace(row, impression=row.impression + n % 4 * " left") for n, row in enumerate(p.rows))
        )
        for p in predictions
    ]
    scores = score(cases, predictions, clusters, "1")
    return Tale(
        source="synthetic, seed 7",
        base="smollm2-135m-instruct",
        honest_word="A small model: a demonstration, not medicine.",
        funnel=funnel,
        parts=Split(tuple(reports[:6]), tuple(reports[6:8]), tuple(reports[8:])),
        clusters=clusters,
        histories={
            "unified": [{"step": 0, "validation": 2.5}, {"step": 1, "loss": 2.0}, {"step": 1, "validation": 1.25}]
        },
        cases=cases,
        predictions=predictions,
        scores=scores,
        certificates=_certificates(scores, Rule(minimum=5)),
        routes={Cell(Modality.MR, "list"): "unified@1"},
        digests={"unified@1": "1" * 64},
        table=3,
        answers=[
            Answer(
                clinic="alder",
                cell="MR/list",
                impression=f"1. Served {EVIL}\n2. Second line.",
                reference="1. Intact.",
                adapter="unified@1",
                digest="1" * 64,
                reason="cell",
                table=3,
                milliseconds=1234.5,
                noticed=("laterality",),
            )
        ],
        seconds=125.0,
    )

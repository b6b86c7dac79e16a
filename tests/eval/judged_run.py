"""A judged run on disk, as `eval run` and `gate` leave it: four slices, texts that try to be markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from radimpress.clustering.cell import Cell
from radimpress.clustering.clusters import Clusters, load_clusters
from radimpress.clustering.features import NAMES
from radimpress.eval.cases import Case, cases_digest
from radimpress.eval.certificate import certify, decode_certificate
from radimpress.eval.gate import Rule, SliceRule, judge, judge_overall
from radimpress.eval.gather import Judgement, gather
from radimpress.eval.predict import BASE, Prediction, Predictions
from radimpress.eval.score import load_scores, score
from radimpress.eval.waiver import make_waiver
from radimpress.reports.files import load_reports, write_atomic, write_reports, write_rows
from radimpress.reports.prompt import PROMPT_VERSION
from radimpress.reports.report import Modality, Report

EVIL = "</script><script>document.title='stolen'</script><img src=x onerror=\"document.title='stolen'\">"
OLD, NEW = "unified-1", "unified-2"
# Two UTF-16 units and one character: what a browser and Python count differently.
WIDE = "\N{LUNGS}"
CLINICS = {"alder": "list", "elm <b>": "telegraphic"}
WAIVED = Cell(Modality.CT, "telegraphic")
SIDES = ("left", "right")


def judged_run(folder: Path, count: int = 24, cluster: str | None = None) -> Judgement:
    """Writes the run's files into `folder` and gathers them again.

    MR/list passes against OLD; in MR/telegraphic, against base, a hard check fires on r1, which was cut off; in
    CT the candidate leaves most words out: CT/list is worse than OLD, CT/telegraphic has too few cases and a
    waiver. Of each sixteen MR impressions of the candidate, the last two are of the other side. With
    `cluster`, the candidate is that cluster's alone.
    """
    clusters = Clusters(
        clinics=CLINICS,
        profiles=dict.fromkeys(CLINICS, dict.fromkeys(NAMES, 0.5)),
        embedder="none",
        data="d" * 64,
        why="made by hand",
    )
    places = [(clinic, modality) for modality in (Modality.MR, Modality.CT) for clinic in CLINICS]
    reports = [_report(number, *places[number % 4]) for number in range(count)]
    cases = [Case(r, Cell(r.modality, CLINICS[r.clinic]), f"patient/{r.id}", 1.0) for r in reports]
    written = [
        _predictions(BASE, "", [f"{EVIL} Words of {case.report.modality}." for case in cases], cases),
        _predictions(OLD, "1" * 64, [case.report.impression.replace("small", "a") for case in cases], cases),
        replace(
            _predictions(NEW, "2" * 64, [_candidate(n, case) for n, case in enumerate(cases)], cases), cluster=cluster
        ),
    ]
    own = [case for case in cases if cluster in (None, case.cell.cluster)]
    asked = {case.report.id for case in own}
    written[-1] = replace(written[-1], rows=tuple(row for row in written[-1].rows if row.case in asked))
    scores = score(cases, written, clusters, PROMPT_VERSION)
    rule = Rule(minimum=5, resamples=1000, slices={str(WAIVED): SliceRule(minimum=10**6)})
    verdicts = judge(scores, NEW, {Cell(Modality.MR, "list"): OLD, Cell(Modality.CT, "list"): OLD}, BASE, rule)
    certificate = certify(scores, NEW, verdicts, judge_overall(scores, NEW, BASE, rule), rule)
    key = Ed25519PrivateKey.generate()
    if cluster is None:
        waiver = make_waiver(WAIVED, "Dr. <i>Who</i>", "read them all", certificate.judgement, key, days=9)
        certificate = certificate.waived(waiver)
    for one in written:
        write_predictions(folder, one, own if one.system == NEW else cases)
    write_reports(folder / "dataset" / "test.jsonl", reports)
    clusters.save(folder / "clusters.json")
    scores.save(folder / "eval" / "scores.json")
    write_atomic(folder / "certificate.json", certificate.encode())
    return read_run(folder)


def read_run(folder: Path) -> Judgement:
    """What the files in `folder` make."""
    return gather(
        decode_certificate((folder / "certificate.json").read_bytes()),
        load_scores(folder / "eval" / "scores.json"),
        load_reports(folder / "dataset" / "test.jsonl"),
        load_clusters(folder / "clusters.json"),
        folder / "eval" / "predictions",
    )


def write_predictions(folder: Path, written: Predictions, cases: Sequence[Case]) -> None:
    """predictions/<system>.jsonl, as `predict` writes it."""
    head = {
        "system": written.system,
        "digest": written.digest,
        "base_digest": written.base_digest,
        "prompt_version": PROMPT_VERSION,
        "max_tokens": 64,
        "cases": cases_digest(cases),
        "prompts": "",
    }
    rows = [head, *map(asdict, written.rows)]
    write_rows(folder / "eval" / "predictions" / f"{written.system}.jsonl", rows)


def _report(number: int, clinic: str, modality: Modality) -> Report:
    side = SIDES[number // 4 % 2]
    return Report(
        id=f"r{number}",
        clinic=clinic,
        modality=modality,
        exam="Chest",
        findings=f"There is a small {side} pleural effusion of {number} mm. {EVIL}",
        impression=f"1. Probable small {side} pleural effusion of {number} mm.\n2. No fracture. {EVIL}",
    )


def _candidate(number: int, case: Case) -> str:
    own = case.report.impression
    if case.cell.modality is Modality.CT:
        return own[: len(own) // 3]
    if number // 4 % 4 == 3:
        side = SIDES[number // 4 % 2]
        return f"{WIDE} " + own.replace(side, SIDES[1 - SIDES.index(side)])
    return own


def _predictions(system: str, digest: str, texts: Sequence[str], cases: Sequence[Case]) -> Predictions:
    rows = [
        Prediction(case.report.id, text, "length" if number == 1 else "stop", 9)
        for number, (case, text) in enumerate(zip(cases, texts, strict=True))
    ]
    return Predictions(system, digest, "b" * 64, tuple(rows))

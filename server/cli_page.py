"""`radimpress eval page`: one judgement as a page that a radiologist reads, with the cases it rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radimpress.clustering.clusters import load_clusters
from radimpress.eval.certificate import decode_certificate
from radimpress.eval.gather import gather
from radimpress.eval.judgement import write_judgement
from radimpress.eval.score import load_scores
from radimpress.reports.errors import NotFoundError
from radimpress.reports.prepare import load_part
from radimpress.server.console import OUT, track
from radimpress.server.options import ClustersFile, Dataset


def page(
    dataset: Dataset,
    folder: Annotated[Path, typer.Option("--eval", help="Folder that `eval run` wrote.")] = Path("eval"),
    clusters: ClustersFile = Path("clusters.json"),
    certificate: Annotated[Path, typer.Option(help="What `gate` wrote.")] = Path("certificate.json"),
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("judgement.html"),
) -> None:
    """Writes verdicts, notices and cases as one HTML file that fetches nothing; it holds report texts."""
    try:
        judged = decode_certificate(certificate.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(f"{certificate}: no such file") from None
    scores = load_scores(folder / "scores.json")
    reports = load_part(dataset, scores.split)
    made = gather(judged, scores, reports, load_clusters(clusters), folder / "predictions")
    write_judgement(out, made, track)
    OUT.print(f"{out}: {judged.adapter} on {len(made.cases)} cases", markup=False, highlight=False)

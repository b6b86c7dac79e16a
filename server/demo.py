"""`radimpress demo`: the main job, end to end; nothing but the steps in a row."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from radimpress.eval.certificate import Certificate
from radimpress.eval.page import Answer, Tale, write_page
from radimpress.eval.predict import BASE
from radimpress.reports.files import write_json
from radimpress.reports.report import Report
from radimpress.reports.split import Split
from radimpress.server import steps
from radimpress.server.client import Client
from radimpress.server.console import OUT, step, table, track
from radimpress.server.engines.opening import open_engine
from radimpress.server.engines.writer import EngineWriter
from radimpress.server.messages import cell_of
from radimpress.server.recipe import Recipe
from radimpress.server.registry import Registry
from radimpress.server.rollout.plan import uses
from radimpress.server.routes import Reason, RouteTable
from radimpress.server.serve import serving
from radimpress.server.settings import load_settings
from radimpress.server.telemetry import log
from radimpress.trainer.bases import find_base
from radimpress.v1 import impression_pb2

COUNT, SEED = 3000, 7
_ASKED = 10


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the demo keeps what; everything a person can open."""

    root: Path

    @property
    def bundles(self) -> Path:
        """The adapters."""
        return self.root / "bundles"

    @property
    def registry(self) -> Path:
        """The registry's database."""
        return self.root / "registry.db"


def demo(root: Path, files: Sequence[Path], recipe: Recipe) -> Path:
    """Runs every step into `root` and gives the page; steps whose inputs are the same are reused."""
    began = time.monotonic()
    paths = Paths(root)
    base = find_base(recipe.base)

    step(1, "Reports")
    source = [str(file) for file in files]
    if not files:
        steps.make_reports(root / "reports.jsonl", COUNT, SEED, track)
        files, source = [root / "reports.jsonl"], [f"synthetic, seed {SEED}"]
    prepared = steps.prepare(files, root / "dataset", recipe, track)
    funnel, parts = prepared.funnel, steps.load_split(root / "dataset")
    table(
        f"funnel of {funnel.total} reports", ("reports", "door"), ((n, door.value) for door, n in funnel.counts.items())
    )
    OUT.print(f"train {len(parts.train)}, validation {len(parts.validation)}, test {len(parts.test)}, by patient")
    if prepared.clinic_column != "clinic":
        OUT.print(f"[yellow]There is no clinic column: {prepared.clinic_column} stands for the clinic.[/yellow]")

    step(2, "Clusters of clinics that write alike")
    clusters = steps.cluster(parts, root / "clusters.json", recipe, track)
    table(clusters.why, ("clinic", "cluster"), clusters.clinics.items())

    step(3, f"Base model {base.name}, and adapters")
    planned, bundles = steps.train(parts, clusters, paths.bundles, recipe, track)
    for cluster in planned.left_out:
        OUT.print(f"cluster {cluster} gets no adapter of its own; the unified adapter stands for it")
    table(
        "adapters",
        ("adapter", "reports", "validation loss", "digest"),
        ((b.name, b.manifest["data"]["reports"], _losses(b.manifest["history"]), b.digest[:16]) for b in bundles),
    )

    step(4, "Evaluation on held-out reports")
    settings = load_settings(
        listen="127.0.0.1:0",
        registry=f"sqlite:///{paths.registry}",
        bundles=paths.bundles,
        base=recipe.base,
        max_tokens=recipe.eval.max_tokens,
    )
    engine = open_engine(settings, track)
    try:
        evaluation = steps.evaluate(parts, clusters, bundles, EngineWriter(engine), root / "eval", recipe, track)
        _show_scores(evaluation)

        step(5, f"Gate, at least {recipe.gate.minimum} cases a slice, and promotion")
        registry = _fresh_registry(settings.registry, paths)
        registry.adopt(clusters)
        certificates: list[Certificate] = []
        for bundle in bundles:
            out = root / "certificates" / f"{bundle.name}.json"
            certificate = steps.gate(
                evaluation.scores, bundle.name, registry.table(), recipe.gate, out, bundles=paths.bundles
            )
            certificates.append(certificate)
            adapter = registry.register(bundle.path.relative_to(paths.bundles).as_posix())
            if certificate.passed:
                made = registry.promote(adapter, out.read_bytes())
                OUT.print(f"{adapter} passed {_count(certificate)}: route table {made.number}")
            else:
                OUT.print(f"{adapter} passed {_count(certificate)}: the route table stays {registry.table().number}")
        _show_routes(registry.table(), evaluation)

        step(6, "Serving over gRPC, and asking as a client would")
        # The server's line of each request would stand between the answers.
        log.lines(logging.WARNING)
        with serving(settings, engine, registry) as address, Client(address, timeout=120) as client:
            OUT.print(f"serving on {address}")
            answers = [_ask(client, report) for report in _choose(parts, _ASKED)]
        OUT.print("stopped")
        final = registry.table()
        registry.close()
    finally:
        engine.close()

    page = root / "index.html"
    seconds = time.monotonic() - began
    tale = Tale(
        source=", ".join(source),
        base=base.name,
        honest_word=base.honest_word,
        funnel=funnel,
        parts=parts,
        clusters=clusters,
        histories={bundle.name: bundle.manifest["history"] for bundle in bundles},
        cases=evaluation.cases,
        predictions=evaluation.predictions,
        scores=evaluation.scores,
        certificates=tuple(certificates),
        routes={cell: entry.serving for cell, entry in final.entries.items()},
        digests={str(adapter): adapter.digest for _, adapter in uses(final)},
        table=final.number,
        answers=tuple(answers),
        seconds=seconds,
    )
    write_page(page, tale)
    write_json(root / "answers.json", [answer.as_json() for answer in answers])
    OUT.print(f"\nDone in {seconds:.0f} s. Open [bold]{page}[/bold]")
    if base.honest_word:
        OUT.print(f"[yellow]{base.honest_word}[/yellow]")
    return page


def _losses(history: Sequence[dict[str, float]]) -> str:
    ends = [row["validation"] for row in history if "validation" in row]
    return " -> ".join(f"{value:.2f}" for value in ends)


def _show_scores(evaluation: steps.Evaluation) -> None:
    scores = evaluation.scores
    rows = []
    for name in scores.systems:
        means = [scores.mean(name, metric) for metric in ("rouge1", "rouge2", "rougeL", "style")]
        cells = [f"{mean.mean:.3f} [{mean.low:.3f}, {mean.high:.3f}]" for mean in means if mean]
        rows.append([name, len(scores.systems[name].scores), *cells])
    title = "means and 90% intervals, weighted by traffic"
    table(title, ("system", "cases", "ROUGE-1", "ROUGE-2", "ROUGE-L", "style"), rows)
    gain = scores.difference("unified", "base", "rougeL")
    if gain:
        OUT.print(f"unified - base, ROUGE-L: {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}], {gain.cases} cases")


def _show_routes(routes: RouteTable, evaluation: steps.Evaluation) -> None:
    rows = []
    for cell in evaluation.scores.cells:
        adapter = routes.entry(cell).adapter
        rows.append([cell, adapter or BASE, adapter.digest[:16] if adapter else ""])
    table(f"route table {routes.number}", ("slice", "adapter", "digest"), rows)


def _count(certificate: Certificate) -> str:
    return f"{len(certificate.passed)} of {len(certificate.verdicts)} slices"


def _fresh_registry(url: str, paths: Paths) -> Registry:
    """A demonstration begins with an empty registry; a site's own is never removed by anything."""
    for suffix in ("", "-wal", "-shm"):
        paths.registry.with_name(paths.registry.name + suffix).unlink(missing_ok=True)
    return Registry(url, paths.bundles)


def _choose(parts: Split, count: int) -> list[Report]:
    """Held-out reports of as many different modalities and clinics as there are."""
    chosen: list[Report] = []
    left = list(parts.test)
    while left and len(chosen) < count:
        best = min(
            left,
            key=lambda r: (sum(r.modality == c.modality for c in chosen), sum(r.clinic == c.clinic for c in chosen)),
        )
        chosen.append(best)
        left.remove(best)
    return chosen


def _ask(client: Client, report: Report) -> Answer:
    began = time.monotonic()
    given = client.generate(
        findings=report.findings,
        modality=report.modality.value,
        clinic=report.clinic,
        exam=report.exam,
        indication=report.indication,
        comparison=report.comparison,
        request_id=report.id,
    )
    seconds = time.monotonic() - began
    who = given.provenance
    reason = Reason[impression_pb2.RouteReason.Name(who.reason).removeprefix("ROUTE_REASON_")]
    answer = Answer(
        clinic=report.clinic,
        cell=str(cell_of(who.cell)),
        impression=given.text,
        reference=report.impression,
        adapter=f"{who.adapter}@{who.version}" if who.version else who.adapter,
        digest=who.digest,
        reason=reason.value,
        table=who.route_table,
        milliseconds=seconds * 1000,
        noticed=tuple(finding.check for finding in given.check_findings),
    )
    OUT.print(f"\n[bold]{answer.clinic} {answer.cell}[/bold] {answer.adapter} {answer.digest[:16] or '-'}", end=" ")
    OUT.print(f"({answer.reason}, table {answer.table}, {answer.milliseconds:.0f} ms)")
    OUT.print(answer.impression, markup=False)
    return answer

"""`radimpress eval checks`: what the rule checks notice in impressions, and what the checks are worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from radimpress.eval.checks import CHECKS, annotate
from radimpress.eval.corruptions import CORRUPTIONS
from radimpress.eval.measure import ALL, Share, Worth, measure, negation_right
from radimpress.eval.negspacy import negspacy_right
from radimpress.reports.errors import ConfigError, InputError
from radimpress.reports.read import read_archive
from radimpress.reports.report import Report
from radimpress.reports.synthetic import synthesize
from radimpress.server.console import OUT, table, track

_SYNTHETIC = 2000


def checks(
    file: Annotated[Path | None, typer.Argument(help="Reports with impressions to check (.jsonl, .csv).")] = None,
    measured: Annotated[bool, typer.Option("--measure", help="Measure the checks instead.")] = False,
    reports: Annotated[
        list[Path] | None, typer.Option(help="Reports to measure on; may be repeated. Without: synthetic ones.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the corruptions, and of synthetic reports.")] = 0,
    negspacy: Annotated[bool, typer.Option(help="Read the negation test set with negspacy too; downloads.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Shows what the checks notice in a file's impressions, or with --measure how often they err."""
    if measured:
        if file is not None:
            raise InputError("FILE", "is not read with --measure; name it by --reports")
        _measure(reports or [], seed, negspacy=negspacy, as_json=as_json)
    elif file is None:
        raise InputError("FILE", "is missing; name reports to check, or say --measure")
    else:
        _annotate(file, as_json=as_json)


def _annotate(file: Path, *, as_json: bool) -> None:
    pairs = [report for report in read_archive([file]).reports if report.impression]
    rows = [
        {"id": report.id, "check": check, "message": notice.message, "start": notice.start, "stop": notice.stop}
        for report in track(pairs, "checks", len(pairs))
        for check, notice in annotate(report, report.impression).items()
    ]
    if as_json:
        OUT.print_json(json.dumps({"reports": len(pairs), "noticed": rows}))
        return
    columns = ("id", "check", "message", "start", "stop")
    table(f"{len(rows)} noticed in {len(pairs)} impressions", columns, (list(row.values()) for row in rows))


def _measure(files: list[Path], seed: int, *, negspacy: bool, as_json: bool) -> None:
    read = read_archive(files).reports if files else tuple(synthesize(_SYNTHETIC, seed, 0.0))
    pairs: list[Report] = [report for report in read if report.impression]
    if not pairs:
        raise InputError("reports", "hold no impression to measure on")
    worth = measure(pairs, seed, track)
    right: dict[str, Any] = {"ours": negation_right()}
    if negspacy:
        try:
            theirs, ours = negspacy_right(track)
            right |= {"negspacy_absent_or_not": theirs, "ours_absent_or_not": ours}
        except ConfigError as error:
            right["negspacy_skipped"] = str(error)
    if as_json:
        OUT.print_json(json.dumps({"reports": len(pairs), **_as_dict(worth), "negation_right": right}))
        return
    labels = {check.name: f"{check.name} ({check.label})" if check.label else check.name for check in CHECKS}
    table(
        f"Noticed in {len(pairs)} reference impressions, with Wilson 95% intervals",
        ("check", "modality", "noticed", "of", "share", "interval"),
        (
            (labels[name] if at == ALL else "", at, *_cells(share))
            for name, by in worth.false.items()
            for at, share in by.items()
        ),
    )
    checked = {corruption.name: corruption.check for corruption in CORRUPTIONS}
    table(
        "Seeded corruptions noticed by their check, of those that apply",
        ("corruption", "check", "noticed", "of", "share", "interval"),
        ((name, checked[name], *_cells(by[ALL])) for name, by in worth.recall.items()),
    )
    OUT.print(f"{worth.milliseconds:.2f} ms of processor time for all checks of one impression, in the median")
    table(
        "Negation test set",
        ("who", "right"),
        ((who, f"{x:.3f}" if isinstance(x, float) else x) for who, x in right.items()),
    )


def _cells(share: Share) -> tuple[object, ...]:
    low, high = share.interval
    return share.hits, share.cases, f"{100 * share.value:.1f}%", f"{100 * low:.1f}% {100 * high:.1f}%"


def _as_dict(worth: Worth) -> dict[str, Any]:
    def plain(shares: dict[str, dict[str, Share]]) -> dict[str, Any]:
        return {
            name: {
                at: {"hits": share.hits, "cases": share.cases, "share": share.value, "interval": share.interval}
                for at, share in by.items()
            }
            for name, by in shares.items()
        }

    return {
        "false_positives": plain(worth.false),
        "recall": plain(worth.recall),
        "milliseconds": worth.milliseconds,
    }

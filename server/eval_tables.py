"""What `radimpress eval run` shows of summary.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from radimpress.eval.metrics.neural import PREFIX
from radimpress.server.console import OUT, table

_NAMES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
_MAIN = ("rouge1", "rouge2", "rougeL", "style")


def show(summary: Mapping[str, Any]) -> None:
    """Prints the summary's tables: systems, slices, form and length, checks."""
    overall = summary["slices"][0]
    systems = overall["systems"]
    words = f"{summary['interval']:.0%} intervals; {overall['cases']} cases of {overall['groups']} groups"
    neural = sorted({m for system in systems.values() for m in system["traffic"] if m.startswith(PREFIX)})
    for kind, title in (("traffic", "every report counts the same"), ("macro", "every slice counts the same")):
        if any(kind in system for system in systems.values()):
            rows = list(_system_rows(systems, kind, (*_MAIN, *neural)))
            head = ("system", "cases", *(_NAMES.get(name, name) for name in (*_MAIN, *neural)))
            table(f"{kind}: {title}; {words}", head, rows)
    _slices(summary["slices"], list(systems))
    _habits(overall)
    names = list(next(iter(systems.values()))["checks"])
    rows = [[name, system["cases"], *(system["checks"][check] for check in names)] for name, system in systems.items()]
    table("cases on which a check fired", ("system", "cases", *names), rows)
    OUT.print(f"Abnormal: {summary['abnormal_rule']}.", style="dim")


def _system_rows(systems: Mapping[str, Any], kind: str, metrics: Sequence[str]) -> Iterator[list[object]]:
    for name, system in systems.items():
        yield [name, system["cases"], *(_interval(system.get(kind, {}).get(metric)) for metric in metrics)]


def _slices(slices: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    rows = []
    for one in slices:
        found = [one["systems"].get(name, {}).get("traffic", {}).get("rougeL") for name in names]
        rows.append([one["name"], one["cases"], *map(_interval, found)])
    table("ROUGE-L by slice, every report counts the same", ("slice", "cases", *names), rows)


def _habits(overall: Mapping[str, Any]) -> None:
    reference = overall["reference"]
    rows: list[list[object]] = [
        ["reference", *(f"{share:.0%}" for share in reference["forms"].values()), f"{reference['words']['mean']:.1f}"]
    ]
    for name, system in overall["systems"].items():
        seconds, ratio = system["seconds"], system["words_to_reference"]
        rows.append(
            [
                name,
                *(f"{share:.0%}" for share in system["forms"].values()),
                f"{system['words']['mean']:.1f}" + (f" (x {ratio:.2f})" if ratio else ""),
                *(system[key] for key in ("empty", "cut", "copied")),
                f"{seconds['p50']:.2f} / {seconds['p95']:.2f}" if seconds["p95"] else "",
            ]
        )
    head = (*reference["forms"], "words", "empty", "cut", "copied", "seconds, half / 95%")
    table("form, length and latency", ("system", *head), [row + [""] * (len(head) + 1 - len(row)) for row in rows])


def _interval(found: Mapping[str, float] | None) -> str:
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]" if found else "-"

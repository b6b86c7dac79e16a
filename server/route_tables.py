"""What the commands show of route tables: one as rows, and a change of two as a matrix of modality and cluster."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from radimpress.clustering.cell import ANY, Cell
from radimpress.server.console import OUT, table
from radimpress.server.rollout.plan import Change, changes
from radimpress.server.routes import Entry, RouteTable


def show_table(routes: RouteTable) -> None:
    """Prints who serves each slice, what is on trial there, and what a person opened."""
    entries = sorted(routes.entries.items())
    rows = [
        (cell, entry.serving, entry.adapter.digest if entry.adapter else "", entry.trial or "")
        for cell, entry in entries
    ]
    table(f"route table {routes.number}: {routes.cause}", ("slice", "adapter", "digest", "on trial"), rows)
    _show_waivers(routes.entries)
    OUT.print("Every other slice is served by the base model.")


def show_changes(before: RouteTable, after: RouteTable, title: str) -> None:
    """Prints every slice after a change, by modality and cluster; what changes stands out."""
    changed = {change.cell: change for change in changes(before, after)}
    cells = {*before.entries, *after.entries}
    modalities = sorted({cell.modality for cell in cells})
    # The slice of unknown clinics last: it is no cluster's.
    clusters = [*sorted({*after.clinics.values(), *(cell.cluster for cell in cells)} - {ANY}), ANY]

    def words(cell: Cell) -> Text:
        if cell in changed:
            return Text(_change(changed[cell]), style="bold")
        entry = after.entry(cell)
        return Text(f"{entry.serving}, {entry.trial}" if entry.trial else entry.serving)

    rows = [(modality, *(words(Cell(modality, cluster)) for cluster in clusters)) for modality in modalities]
    table(title, ("modality", *clusters), rows)
    _show_waivers({cell: after.entries[cell] for cell in changed if cell in after.entries})
    OUT.print(f"slices that change: {len(changed)}; those that are not shown are served by the base model")


def _change(change: Change) -> str:
    """As in "base -> unified@1", or "base, unified@1 canary 10%"."""
    who = change.after if change.before == change.after else f"{change.before} -> {change.after}"
    return f"{who}, {change.trial}" if change.trial else who


def _show_waivers(entries: Mapping[Cell, Entry]) -> None:
    for cell, entry in sorted(entries.items()):
        for waiver in filter(None, (entry.waiver, entry.trial.waiver if entry.trial else "")):
            OUT.print(f"{cell} was not passed by the gate: {waiver}", markup=False)

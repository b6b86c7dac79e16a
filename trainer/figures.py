"""The figures of runs side by side; each is a plotly figure that knows nothing of HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import cycle
from typing import Any

import plotly.graph_objects as go

from radimpress.clustering.figures import PALETTE, ROW, dress
from radimpress.trainer.record import ALL, Run

# Colours come again after these; then the line's kind tells runs apart.
_DASHES = ("solid", "dash", "dot", "dashdot")
# More points than these of one line cannot be seen apart, and make a page heavy.
_POINTS = 1000


def curves(runs: Sequence[Run], name: str, unit: str, *, times: float = 1.0, validated: bool = False) -> Any:
    """One figure of the record by step, a run a line, and where asked diamonds of the validation loss."""
    figure = go.Figure()
    for run, look in zip(runs, _looks(), strict=False):
        points = _thinned(run.series(name))
        figure.add_scatter(
            x=[step for step, _ in points],
            y=[value * times for _, value in points],
            name=escape(run.label),
            legendgroup=escape(run.label),
            mode="lines" if len(points) > 1 else "markers",
            line=look,
            marker={"color": look["color"], "size": 8},
            hovertemplate=f"{escape(run.label)}<br>step %{{x}}: %{{y:.4g}}<extra></extra>",
        )
        if validated:
            figure.add_scatter(
                x=[step for step, _ in run.validations],
                y=[value * times for _, value in run.validations],
                name=escape(run.label),
                legendgroup=escape(run.label),
                showlegend=False,
                cliponaxis=False,
                mode="markers",
                marker={
                    "color": look["color"],
                    "size": 11,
                    "symbol": "diamond",
                    "line": {"color": "white", "width": 1},
                },
                hovertemplate=f"{escape(run.label)}, validation<br>step %{{x}}: %{{y:.4g}}<extra></extra>",
            )
    figure.update_xaxes(title_text="optimiser step", rangemode="tozero")
    figure.update_yaxes(title_text=unit, rangemode="tozero", exponentformat="e")
    return dress(figure, 300 + 24 * len(runs), legend=True)


def written(runs: Sequence[Run], score: str) -> Any:
    """Mean of a score of what was written for validation: modalities from above, a run a bar."""
    shown = [run for run in runs if run.written]
    scores = {run.label: run.written["scores"] for run in shown if run.written}
    modalities = sorted({name for one in scores.values() for name in one if name != ALL})
    figure = go.Figure()
    for run, look in zip(runs, _looks(), strict=False):
        own = scores.get(run.label)
        if own is None:
            continue
        rows = [(name, own[name]) for name in (ALL, *modalities) if name in own]
        figure.add_bar(
            x=[one[score] for _, one in rows],
            y=[name for name, _ in rows],
            orientation="h",
            name=escape(run.label),
            marker_color=look["color"],
            customdata=[one["reports"] for _, one in rows],
            hovertemplate=f"{escape(run.label)}, %{{y}}: %{{x:.3f}} of %{{customdata}} reports<extra></extra>",
        )
    figure.update_layout(barmode="group")
    figure.update_xaxes(title_text="mean, 0 to 1", range=[0, 1])
    figure.update_yaxes(type="category", autorange="reversed")
    return dress(figure, 130 + (1 + len(modalities)) * (ROW + 10 * len(shown)), legend=True)


def _looks() -> Iterable[dict[str, str]]:
    return ({"color": colour, "dash": dash} for dash in cycle(_DASHES) for colour in PALETTE)


def _thinned(points: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """At most so many points that a screen can show them, evenly taken, the last one among them."""
    every = -(-len(points) // _POINTS)
    return points if every <= 1 else [*points[:-1:every], points[-1]]


def costs(labels: Sequence[str], values: Sequence[float], unit: str) -> Any:
    """A bar a run, from above."""
    figure = go.Figure(
        go.Bar(
            x=list(values),
            y=[escape(label) for label in labels],
            orientation="h",
            text=[f"{value:,.2f}" for value in values],
            textposition="outside",
            cliponaxis=False,
            marker_color=PALETTE[0],
            hovertemplate=f"%{{y}}: %{{x:,.4g}} {escape(unit)}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text=unit, range=[0, 1.25 * max([*values, 1e-9])], nticks=5)
    figure.update_yaxes(type="category", autorange="reversed")
    return dress(figure, 90 + (ROW + 8) * len(labels))

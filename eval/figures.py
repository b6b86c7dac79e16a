"""The figures of a run; each is a plotly figure made of plain values and knows nothing of HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import cycle
from typing import Any

import plotly.graph_objects as go

from radimpress.clustering.figures import PALETTE, ROW, dress
from radimpress.eval.certificate import Certificate
from radimpress.eval.gate import Outcome, Verdict

_MARKS = {
    Outcome.PASS: ("circle", "#0b6b3a"),
    Outcome.REGRESSION: ("x", "#a3200d"),
    Outcome.INSUFFICIENT: ("diamond-open", "#6b5600"),
}
_LABEL = 30


def bars(counts: Mapping[str, int], accent: str, unit: str) -> Any:
    """Horizontal bars in the order given, from above; the one named `accent` is set off."""
    figure = go.Figure(
        go.Bar(
            x=list(counts.values()),
            y=[_label(name) for name in counts],
            orientation="h",
            text=[f"{count:,}" for count in counts.values()],
            textposition="outside",
            cliponaxis=False,
            marker_color=[PALETTE[0] if name == accent else "#8aa4b8" for name in counts],
            hovertemplate=f"%{{y}}: %{{x:,}} {escape(unit)}<extra></extra>",
        )
    )
    figure.update_yaxes(type="category", autorange="reversed", automargin=True)
    figure.update_xaxes(title_text=unit, range=[0, 1.18 * max([1, *counts.values()])], nticks=5)
    return dress(figure, 90 + (ROW + 8) * len(counts))


def losses(histories: Mapping[str, Sequence[Mapping[str, float]]]) -> Any:
    """Training loss by step, and the validation loss at both ends, an adapter a colour."""
    figure = go.Figure()
    for (adapter, history), colour in zip(histories.items(), cycle(PALETTE), strict=False):
        training = {"mode": "lines", "line": {"color": colour, "width": 2}}
        ends = {
            "mode": "lines+markers",
            "line": {"color": colour, "width": 1, "dash": "dot"},
            "marker": {"size": 12, "symbol": "diamond", "line": {"color": "white", "width": 1}},
        }
        for key, what, style in (("loss", "training", training), ("validation", "validation", ends)):
            rows = [row for row in history if key in row]
            figure.add_scatter(
                x=[row["step"] for row in rows],
                y=[row[key] for row in rows],
                name=escape(adapter),
                legendgroup=escape(adapter),
                showlegend=key == "loss",
                cliponaxis=False,
                hovertemplate=f"{escape(adapter)}, {what}<br>step %{{x}}: %{{y:.3f}}<extra></extra>",
                **style,
            )
    figure.update_xaxes(title_text="optimiser step", rangemode="tozero")
    figure.update_yaxes(title_text="cross-entropy a token", rangemode="tozero")
    return dress(figure, 400 + 24 * len(histories), legend=True)


def forest(certificates: Iterable[Certificate]) -> Any:
    """Each judged slice's difference with its interval, against zero and the margin allowed."""
    certificates = tuple(certificates)
    judged = [
        (certificate.adapter, verdict, verdict.difference)
        for certificate in certificates
        for verdict in certificate.verdicts
        if verdict.difference
    ]
    labels = [_place(verdict, adapter) for adapter, verdict, _ in judged]
    figure = go.Figure()
    for outcome, (symbol, colour) in _MARKS.items():
        chosen = [row for row in judged if row[1].outcome is outcome]
        means = [difference.mean for _, _, difference in chosen]
        figure.add_scatter(
            x=means,
            y=[_place(verdict, adapter) for adapter, verdict, _ in chosen],
            mode="markers",
            name=outcome.value,
            marker={"symbol": symbol, "color": colour, "size": 9},
            error_x={
                "array": [difference.high - difference.mean for _, _, difference in chosen],
                "arrayminus": [difference.mean - difference.low for _, _, difference in chosen],
                "color": colour,
                "thickness": 1.4,
                "width": 3,
            },
            text=[escape(verdict.why) for _, verdict, _ in chosen],
            hovertemplate="%{y}<br>%{text}<extra></extra>",
        )
    figure.add_vline(x=0, line_color="#444", line_width=1)
    for margin in sorted({certificate.rule.margin for certificate in certificates}):
        figure.add_vline(x=-margin, line_color="#a3200d", line_width=1, line_dash="dash")
    figure.update_xaxes(title_text="ROUGE-L, candidate - incumbent", nticks=6)
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=labels[::-1],
        range=[-0.6, len(labels) - 0.4],
        tickfont_size=11,
    )
    return dress(figure, 130 + 21 * len(labels), legend=True)


def _place(verdict: Verdict, adapter: str) -> str:
    return escape(f"{verdict.cell} · {adapter}")


def _label(text: str) -> str:
    return "<br>".join(escape(line) for line in textwrap.wrap(text, _LABEL)) or "-"

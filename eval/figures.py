"""The page's figures; each is a plotly figure made of plain values and knows nothing of HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import cycle
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from radimpress.clustering.clusters import Clusters
from radimpress.eval.certificate import Certificate
from radimpress.eval.gate import Outcome, Verdict

# Okabe and Ito's palette, without yellow: told apart with any colour vision, on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#56B4E9", "#E69F00", "#555555")
_SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "pentagon", "hexagram", "hourglass")
_MARKS = {
    Outcome.PASS: ("circle", "#0b6b3a"),
    Outcome.REGRESSION: ("x", "#a3200d"),
    Outcome.INSUFFICIENT: ("diamond-open", "#6b5600"),
}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
_INK = "#1d2733"
_ROW = 30
_LABEL = 30


def library() -> str:
    """The source of plotly.js, which every figure of a page shares."""
    source: str = get_plotlyjs()
    return source


def division(figure: Any, name: str) -> str:
    """A figure as an HTML division that needs `library` before it."""
    config = {"responsive": True, "displayModeBar": False}
    html: str = figure.to_html(
        full_html=False, include_plotlyjs=False, div_id=name, default_height="100%", config=config
    )
    return html


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
    return _dress(figure, 90 + (_ROW + 8) * len(counts))


def cluster_map(clusters: Clusters) -> Any:
    """The bags of reports on their first two principal components."""
    colours = _colours(clusters.names)
    figure = go.Figure()
    symbols = cycle(_SYMBOLS)
    for clinic, cluster in _by_cluster(clusters):
        points = [point for point in clusters.points if point.clinic == clinic]
        name = f"{escape(clinic)} · {escape(cluster)}"
        figure.add_scatter(
            x=[point.x for point in points],
            y=[point.y for point in points],
            mode="markers",
            name=name,
            marker={"color": colours[cluster], "symbol": next(symbols), "size": 10, "opacity": 0.8},
            hovertemplate=f"{name}<extra></extra>",
        )
    figure.update_xaxes(title_text="first principal component")
    figure.update_yaxes(title_text="second principal component")
    return _dress(figure, 460 + 8 * len(clusters.clinics), legend=True)


def profiles(clusters: Clusters) -> Any:
    """What each clinic's impressions look like: clinic by style feature."""
    clinics = [clinic for clinic, _ in _by_cluster(clusters)]
    features = list(dict.fromkeys(name for clinic in clinics for name in clusters.profiles[clinic]))
    values = [[clusters.profiles[clinic].get(name) for name in features] for clinic in clinics]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=[name.replace("_", " ") for name in features],
            y=[f"{escape(clinic)} · {escape(clusters.clinics[clinic])}" for clinic in clinics],
            zmin=0,
            zmax=1,
            # Pale at both ends, so that dark numbers are read on every cell.
            colorscale=[[0, "#f4f8fb"], [1, "#69aede"]],
            textfont_color=_INK,
            showscale=False,
            texttemplate="%{z:.2f}",
            xgap=2,
            ygap=2,
            hovertemplate="%{y}, %{x}: %{z:.2f}<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", tickangle=-45, automargin=True, showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", automargin=True, showgrid=False)
    return _dress(figure, 130 + (_ROW + 4) * len(clinics))


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
    return _dress(figure, 400 + 24 * len(histories), legend=True)


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
    return _dress(figure, 130 + 21 * len(labels), legend=True)


def _place(verdict: Verdict, adapter: str) -> str:
    return escape(f"{verdict.cell} · {adapter}")


def _by_cluster(clusters: Clusters) -> list[tuple[str, str]]:
    pairs = sorted((cluster, clinic) for clinic, cluster in clusters.clinics.items())
    return [(clinic, cluster) for cluster, clinic in pairs]


def _colours(names: Sequence[str]) -> dict[str, str]:
    return dict(zip(names, cycle(PALETTE), strict=False))


def _label(text: str) -> str:
    return "<br>".join(escape(line) for line in textwrap.wrap(text, _LABEL)) or "-"


def _dress(figure: Any, height: int, *, legend: bool = False) -> Any:
    """What all figures look like; the legend lies above, so that a narrow screen keeps the width."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        autosize=True,
        margin={"l": 10, "r": 12, "t": 12, "b": 10},
        font={"family": _FONT, "size": 13, "color": _INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=legend,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "xanchor": "left", "font": {"size": 12}},
        hoverlabel={"align": "left"},
        dragmode=False,
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True, ticklabelstandoff=6)
    return figure

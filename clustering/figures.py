"""The figures of clusters, and what all pages' figures share; each is a plotly figure that knows nothing of HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from itertools import cycle
from math import cos, sin, tau
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from radimpress.clustering.clusters import Clusters
from radimpress.clustering.values import Member
from radimpress.reports.markup import Html, el

# Okabe and Ito's palette, without yellow: told apart with any colour vision, on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#56B4E9", "#E69F00", "#555555")
INK = "#1d2733"
ROW = 30
_SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "pentagon", "hexagram", "hourglass")
_GREY = "#8a949e"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
# Of a circle that holds 95% of a round normal distribution, in its standard deviations.
_CIRCLE = 2.45
_TURNS = [tau * at / 24 for at in range(25)]
# More names on a map, more columns of a table, hide each other.
_NAMED, _COLUMNS = 30, 12
NOBODY = "in no cluster"


def library() -> str:
    """The source of plotly.js, which every figure of a page shares."""
    source: str = get_plotlyjs()
    return source


def shown(figure: Any, name: str, caption: str, kind: str = "") -> Html:
    """A figure with its caption; the page needs `library` before it."""
    config = {"responsive": True, "displayModeBar": False}
    html: str = figure.to_html(
        full_html=False, include_plotlyjs=False, div_id=name, default_height="100%", config=config
    )
    box = el("div", el("div", Html(html), style=f"height: {figure.layout.height}px"), class_=kind)
    return el("figure", box, el("figcaption", caption))


def cluster_map(clusters: Clusters) -> Any:
    """Clinics on their first two principal components, each in a circle that holds 95% of its bootstrap fits.

    Small marks are bags of a clinic's reports. Names stand where there are few clinics.
    """
    figure = go.Figure()
    placed = {clinic: member for clinic, member in clusters.members.items() if member.place}
    few = len(clusters.profiles) <= _NAMED
    for key, title, look in _looks(clusters):
        if few:
            _bags(figure, clusters, key, look, alone=not placed)
        _clinics(figure, {c: m for c, m in placed.items() if (clusters.of(c) or "") == key}, title, look, few)
    figure.update_xaxes(title_text="first principal component of style", zeroline=False)
    figure.update_yaxes(title_text="second", zeroline=False, scaleanchor="x", scaleratio=1)
    return dress(figure, 520, legend=True)


def _looks(clusters: Clusters) -> Iterable[tuple[str, str, dict[str, str]]]:
    """Key, title, colour and symbol of each cluster, and last of the clinics that are in none."""
    for name, colour, symbol in zip(clusters.names, cycle(PALETTE), cycle(_SYMBOLS), strict=False):
        yield name, clusters.title(name), {"color": colour, "symbol": symbol}
    yield "", NOBODY, {"color": _GREY, "symbol": "circle-open"}


def _bags(figure: Any, clusters: Clusters, key: str, look: Mapping[str, str], *, alone: bool) -> None:
    points = [point for point in clusters.points if (clusters.of(point.clinic) or "") == key]
    if points:
        figure.add_scatter(
            x=[point.x for point in points],
            y=[point.y for point in points],
            mode="markers",
            name=escape(clusters.title(key)),
            showlegend=alone,
            marker={**look, "size": 10 if alone else 5, "opacity": 0.8 if alone else 0.3},
            text=[escape(point.clinic) for point in points],
            hovertemplate="%{text}, a bag of its reports<extra></extra>",
        )


def _clinics(figure: Any, members: Mapping[str, Member], title: str, look: Mapping[str, str], few: bool) -> None:
    if not members:
        return
    x: list[float | None] = []
    y: list[float | None] = []
    for member in members.values():
        # None lifts the pen.
        x += [*(round(member.x + _CIRCLE * member.spread * cos(turn), 4) for turn in _TURNS), None]
        y += [*(round(member.y + _CIRCLE * member.spread * sin(turn), 4) for turn in _TURNS), None]
    circles = {"mode": "lines", "fill": "toself", "line": {"color": look["color"], "width": 1}, "opacity": 0.3}
    figure.add_scatter(x=x, y=y, hoverinfo="skip", showlegend=False, **circles)
    figure.add_scatter(
        x=[member.x for member in members.values()],
        y=[member.y for member in members.values()],
        mode="markers+text" if few else "markers",
        name=escape(title),
        text=[escape(clinic) for clinic in members],
        # In turns, as the names of clinics that lie together would hide each other.
        textposition=["top center" if at % 2 == 0 else "bottom center" for at in range(len(members))],
        textfont={"size": 12},
        customdata=[[member.reports, round(100 * member.sure)] for member in members.values()],
        marker={**look, "size": 11 if few else 8, "line": {"color": "white", "width": 1}},
        hovertemplate=f"%{{text}} · {escape(title)}<br>%{{customdata[0]:,}} reports read, "
        "%{customdata[1]}% sure<extra></extra>",
    )


def profiles(clusters: Clusters) -> Any:
    """What impressions look like: style feature by clinic, or by cluster where there are many clinics."""
    if len(clusters.profiles) <= _COLUMNS:
        order = sorted(clusters.profiles, key=lambda clinic: (clusters.of(clinic) or "~", clinic))
        columns = {_beside(clusters, clinic): clusters.profiles[clinic] for clinic in order}
    else:
        columns = {escape(clusters.title(name)): clusters.clusters[name].adjusted for name in clusters.names}
    features = list(dict.fromkeys(name for column in columns.values() for name in column))
    figure = go.Figure(
        go.Heatmap(
            z=[[column.get(name) for column in columns.values()] for name in features],
            x=list(columns),
            y=[name.replace("_", " ") for name in features],
            zmin=0,
            zmax=1,
            # Pale at both ends, so that dark numbers are read on every cell.
            colorscale=[[0, "#f4f8fb"], [1, "#69aede"]],
            textfont_color=INK,
            showscale=False,
            texttemplate="%{z:.2f}",
            xgap=2,
            ygap=2,
            hovertemplate="%{x}, %{y}: %{z:.2f}<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", side="top", automargin=True, showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", automargin=True, showgrid=False)
    return dress(figure, 110 + 24 * len(features))


def _beside(clusters: Clusters, clinic: str) -> str:
    name = clusters.of(clinic)
    return f"{escape(clinic)}<br>{escape(clusters.title(name) if name else '-')}"


def dendrogram(clusters: Clusters) -> Any:
    """How clinics join into clusters, the likest first (Ward 1963)."""
    from scipy.cluster.hierarchy import dendrogram as lay_out

    drawn = lay_out([list(row) for row in clusters.merges], no_plot=True)
    leaves = [clusters.leaves[at] for at in drawn["leaves"]]
    size = 11 if len(leaves) > _NAMED else 16
    figure = go.Figure()
    x: list[float | None] = []
    y: list[float | None] = []
    for heights, places in zip(drawn["dcoord"], drawn["icoord"], strict=True):
        x += [*heights, None]
        y += [*places, None]
    line = {"color": INK, "width": 1}
    figure.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False)
    # scipy sets leaves at 5, 15, 25 and so on.
    where = {clinic: 10 * at + 5 for at, clinic in enumerate(leaves)}
    for key, title, look in _looks(clusters):
        inside = [clinic for clinic in leaves if (clusters.of(clinic) or "") == key]
        if inside:
            figure.add_scatter(
                x=[0] * len(inside),
                y=[where[clinic] for clinic in inside],
                mode="markers",
                name=escape(title),
                marker={**look, "size": size / 2 + 3},
                text=[escape(clinic) for clinic in inside],
                hovertemplate=f"%{{text}} · {escape(title)}<extra></extra>",
                cliponaxis=False,
            )
    figure.update_xaxes(title_text="distance at which they join", rangemode="tozero", zeroline=False)
    figure.update_yaxes(
        tickvals=list(where.values()),
        ticktext=[escape(clinic) for clinic in leaves],
        tickfont_size=min(12, size),
        range=[10 * len(leaves) + 2, -2],
        showgrid=False,
        zeroline=False,
    )
    return dress(figure, 110 + (size + 2) * len(leaves), legend=True)


def dress(figure: Any, height: int, *, legend: bool = False) -> Any:
    """What all figures look like; the legend lies above, so that a narrow screen keeps the width."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        autosize=True,
        margin={"l": 10, "r": 12, "t": 12, "b": 10},
        font={"family": _FONT, "size": 13, "color": INK},
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

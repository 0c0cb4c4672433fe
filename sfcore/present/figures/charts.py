"""Charts about one distortion: its split into parts, object by object, and the ranking of heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import plotly.graph_objects as go

from sfcore.colours import NEUTRAL, head_colour
from sfcore.tasks.base import Part

Figure: TypeAlias = go.Figure


def plain(figure: Figure, height: int, **layout: Any) -> Figure:
    """The look that all charts share: no background of their own, thin grid, no room wasted."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"size": 13},
        hoverlabel={"font": {"size": 13}},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "title": None},
    )
    figure.update_xaxes(gridcolor="rgba(138,147,163,0.22)", zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor="rgba(138,147,163,0.22)", zeroline=False, automargin=True)
    figure.update_layout(**layout)
    return figure


def split_bars(
    names: Sequence[str], parts: Sequence[Part], values: Mapping[str, Sequence[float]], row: int = 30
) -> Figure:
    """Stacked bars: one row an object, one colour a part; lengths are shares of the distortion score.

    Args:
        names: of the rows, from top to bottom.
        parts: of the distortion.
        values: of each row, by part.
        row: height of a row in pixels.
    """
    figure = go.Figure()
    for part in parts:
        figure.add_bar(
            y=list(names),
            x=list(values[part.name]),
            name=part.name,
            orientation="h",
            marker_color=part.colour,
            hovertemplate="%{y}: " + part.name + " %{x:.2f}<extra></extra>",
        )
    total = np.sum([list(v) for v in values.values()], axis=0)
    for name, value in zip(names, total, strict=True):
        figure.add_annotation(x=value, y=name, text=f"{value:.2f}", showarrow=False, xanchor="left", xshift=6)
    most = max(float(np.max(total, initial=0.0)), 1e-6)
    plain(figure, 46 + row * max(len(names), 1), barmode="stack", bargap=0.35, showlegend=False)
    figure.update_xaxes(range=[0, most * 1.6], title=None, showticklabels=False, showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def ranking(
    scores: Mapping[str, float], spread: Mapping[str, tuple[float, float]], order: Sequence[str], chosen: str
) -> Figure:
    """Heads by the distortion that equal noise on each causes, most sensitive first.

    Args:
        scores: mean distortion of each head.
        spread: its 5th and 95th percentile over reruns.
        order: the detector's heads in the order of its table, which gives each its colour.
        chosen: the head drawn at full strength.
    """
    names = sorted(scores, key=lambda name: scores[name], reverse=True)
    values = [scores[n] for n in names]
    figure = go.Figure(
        go.Bar(
            y=names,
            x=values,
            orientation="h",
            marker={
                "color": [head_colour(order.index(n)) for n in names],
                "opacity": [1.0 if n == chosen else 0.55 for n in names],
            },
            error_x={
                "array": [spread[n][1] - scores[n] for n in names],
                "arrayminus": [scores[n] - spread[n][0] for n in names],
                "symmetric": False,
                "color": NEUTRAL,
                "thickness": 1.2,
                "width": 4,
            },
            hovertemplate="%{y}: %{x:.2f} mean<extra></extra>",
        )
    )
    plain(figure, 56 + 32 * len(names), showlegend=False, bargap=0.35)
    figure.update_xaxes(title="distortion per image", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure

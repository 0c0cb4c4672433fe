"""Noise–score curves of all heads, with bands and where quantized models stand on them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from app.figures.charts import Figure, plain
from app.figures.colours import CALIBRATED, MOVED, head_colour, head_dash, rgba
from sfcore.sensitivity.curves import Curve, Curves

STANDING = {"calibrated": (CALIBRATED, "diamond"), "tuned": (MOVED, "star")}


def noise_score(
    curves: Curves,
    logarithmic: bool = True,
    standing: Mapping[str, Mapping[str, float]] | None = None,
    height: int = 470,
) -> Figure:
    """One line a head with its 5 to 95 % band, on noise levels in percent of the head's RMS.

    Args:
        logarithmic: both axes.
        standing: noise level of each head of quantized models, by "calibrated" and "tuned".
    """
    figure = go.Figure()
    for place, curve in enumerate(curves.curves.values()):
        _band(figure, curve, place, logarithmic)
    for place, curve in enumerate(curves.curves.values()):
        _line(figure, curve, place)
    for model, levels in (standing or {}).items():
        _stand(figure, curves, model, levels, logarithmic)
    plain(figure, height, hovermode="closest")
    kind = "log" if logarithmic else "linear"
    figure.update_xaxes(type=kind, title="noise level (RMS error, % of the head's RMS)", ticksuffix=" %")
    figure.update_yaxes(type=kind, title="Lane Distortion Score per image", rangemode="tozero")
    if logarithmic:
        top = max(float(curve.high.max()) for curve in curves.curves.values())
        figure.update_yaxes(range=[-2, np.log10(max(top, 0.1)) + 0.1], dtick=1)
        figure.update_xaxes(dtick=1)
    return figure


def _floor(values: np.ndarray, logarithmic: bool) -> np.ndarray:
    """A score of 0 has no place on a logarithmic axis: it is drawn at its lower end."""
    return np.maximum(values, 1e-3) if logarithmic else values


def _band(figure: Figure, curve: Curve, place: int, logarithmic: bool) -> None:
    x = 100 * curve.noise
    figure.add_scatter(
        x=np.r_[x, x[::-1]],
        y=_floor(np.r_[curve.high, curve.low[::-1]], logarithmic),
        fill="toself",
        fillcolor=rgba(head_colour(place), 0.13),
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=curve.head,
    )


def _line(figure: Figure, curve: Curve, place: int) -> None:
    levels = np.geomspace(curve.noise[0], curve.noise[-1], 120)
    style = {"color": head_colour(place), "dash": head_dash(place), "width": 2.5}
    figure.add_scatter(
        x=100 * levels,
        y=curve.at(levels),
        mode="lines",
        line=style,
        name=curve.head,
        legendgroup=curve.head,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=100 * curve.noise,
        y=curve.score,
        mode="markers",
        marker={"color": head_colour(place), "size": 7},
        customdata=np.stack([curve.low, curve.high], 1),
        hovertemplate=f"<b>{curve.head}</b><br>noise %{{x:.3g}} %<br>distortion %{{y:.2f}}"
        "<br>5 to 95 %: %{customdata[0]:.2f} to %{customdata[1]:.2f}<extra></extra>",
        showlegend=False,
        legendgroup=curve.head,
    )


def _stand(figure: Figure, curves: Curves, model: str, levels: Mapping[str, float], logarithmic: bool) -> None:
    colour, symbol = STANDING[model]
    heads = [head for head in curves.curves if head in levels]
    figure.add_scatter(
        x=[100 * levels[head] for head in heads],
        y=_floor(np.array([curves.curves[head](levels[head]) for head in heads]), logarithmic),
        mode="markers",
        marker={"symbol": symbol, "size": 15, "color": colour, "line": {"width": 1.5, "color": "#FFFFFF"}},
        name=model,
        customdata=heads,
        hovertemplate=f"<b>{model}: %{{customdata}}</b><br>noise %{{x:.3g}} %<br>distortion %{{y:.2f}}<extra></extra>",
    )

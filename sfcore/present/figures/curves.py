"""Noise–score curves: of all heads of a detector, where quantized models stand on them, and of several detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sfcore.colours import CALIBRATED, MOVED, head_colour, head_dash, rgba
from sfcore.present.figures.charts import Figure, plain
from sfcore.sensitivity.curves import Curve, Curves

STANDING = {"calibrated": (CALIBRATED, "diamond"), "tuned": (MOVED, "star")}
LOWEST = 0.01  # distortion at the lower end of a logarithmic axis
NOISE = "noise level (RMS error, % of the head's RMS)"


def noise_score(
    curves: Curves,
    logarithmic: bool = True,
    standing: Mapping[str, Mapping[str, float]] | None = None,
    selected: Mapping[str, Sequence[str]] | None = None,
    images: Sequence[str] | None = None,
    height: int = 470,
) -> Figure:
    """One line a head with its 5 to 95 % band, on noise levels in percent of the head's RMS.

    Args:
        logarithmic: both axes.
        standing: noise level of each head of quantized models, by "calibrated" and "tuned".
        selected: the heads that are ringed where each of those models stands.
        images: names of the measured images; each is drawn as a faint point at every level.
    """
    figure = go.Figure()
    _heads(figure, curves, logarithmic, images)
    for model, levels in (standing or {}).items():
        if selected:
            _ring(figure, curves, model, {head: levels[head] for head in selected[model]}, logarithmic)
        _stand(figure, curves, model, levels, logarithmic)
    plain(figure, height, hovermode="closest")
    _axes(figure, [curves], logarithmic)
    figure.update_xaxes(title=NOISE)
    figure.update_yaxes(title=f"{curves.score} per image")
    return figure


def side_by_side(detectors: Mapping[str, Curves], logarithmic: bool = True, across: int = 3) -> Figure:
    """The curves of several detectors, each in a chart of its own on axes that all share.

    Args:
        across: charts in a row at most.
    """
    rows = -(-len(detectors) // across)
    columns = -(-len(detectors) // rows)
    height = 90 + 340 * rows
    figure = make_subplots(
        rows, columns, subplot_titles=list(detectors), shared_xaxes="all", shared_yaxes="all",
        horizontal_spacing=0.025, vertical_spacing=130 / height,
    )  # fmt: skip
    legends = {}
    for place, curves in enumerate(detectors.values()):
        row, column = place // columns + 1, place % columns + 1
        legend = f"legend{place + 2}"  # the theme colours the first in another way than the others
        _heads(figure, curves, logarithmic, None, row=row, col=column, legend=legend)
        box = figure.get_subplot(row, column)
        legends[legend] = {
            "x": box.xaxis.domain[0], "y": box.yaxis.domain[1], "xanchor": "left", "yanchor": "bottom",
            "orientation": "h", "bgcolor": "rgba(0,0,0,0)", "font": {"size": 12},
        }  # fmt: skip
    plain(figure, height, hovermode="closest", margin={"l": 8, "r": 8, "t": 80, "b": 8})
    figure.update_layout(legends)
    figure.update_annotations(yshift=46, font={"size": 14})  # titles stand above the legends
    figure.update_xaxes(showticklabels=True)
    _axes(figure, list(detectors.values()), logarithmic)
    figure.update_xaxes(title="noise level", row=rows)
    figure.update_yaxes(title="distortion per image", col=1)
    return figure


def _axes(figure: Figure, each: Sequence[Curves], logarithmic: bool) -> None:
    """One scale for all charts of a figure."""
    kind = "log" if logarithmic else "linear"
    top = max(float(curve.high.max()) for curves in each for curve in curves.curves.values())
    figure.update_xaxes(type=kind, ticksuffix=" %")
    figure.update_yaxes(type=kind, range=[0, 1.05 * max(top, LOWEST)])
    if logarithmic:
        figure.update_yaxes(range=[np.log10(LOWEST), np.log10(max(top, 0.1)) + 0.1], dtick=1)
        figure.update_xaxes(dtick=1)


def _heads(figure: Figure, curves: Curves, logarithmic: bool, images: Sequence[str] | None, **where: object) -> None:
    """Band, points of single images and line of every head; bands lie under all lines."""
    for place, curve in enumerate(curves.curves.values()):
        _band(figure, curve, place, logarithmic, **where)
    for place, curve in enumerate(curves.curves.values()):
        if images:
            _scatter(figure, curve, place, images, logarithmic)
        _line(figure, curve, place, **where)


def _floor(values: np.ndarray, logarithmic: bool) -> np.ndarray:
    """A score of 0 has no place on a logarithmic axis: it is drawn at its lower end."""
    return np.maximum(values, LOWEST) if logarithmic else values


def _band(figure: Figure, curve: Curve, place: int, logarithmic: bool, **where: object) -> None:
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
        **where,
    )


def _scatter(figure: Figure, curve: Curve, place: int, images: Sequence[str], logarithmic: bool) -> None:
    """Each image's mean at each level; heads stand a little apart, so that none hides another."""
    levels, count = curve.images.shape
    figure.add_scatter(
        x=np.repeat(100 * curve.noise * 1.05 ** ((place % 4) - 1.5), count),
        y=_floor(curve.images.ravel(), logarithmic),
        mode="markers",
        marker={"color": head_colour(place), "size": 4.5, "opacity": 0.4},
        customdata=np.stack([np.tile(images, levels), np.repeat([f"{100 * n:.3g}" for n in curve.noise], count)], 1),
        hovertemplate=f"<b>%{{customdata[0]}}</b>, {curve.head}<br>noise %{{customdata[1]}} % of RMS"
        "<br>distortion %{y:.2f}<extra></extra>",
        showlegend=False,
        legendgroup=curve.head,
    )


def _line(figure: Figure, curve: Curve, place: int, **where: object) -> None:
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
        **where,
    )
    figure.add_scatter(
        x=100 * curve.noise,
        y=curve.score,
        mode="markers",
        marker={"color": head_colour(place), "size": 7},
        customdata=np.stack([curve.low, curve.high], 1),
        hovertemplate=f"<b>{curve.head}</b><br>noise %{{x:.3g}} % of RMS<br>distortion %{{y:.2f}}"
        "<br>5 to 95 %: %{customdata[0]:.2f} to %{customdata[1]:.2f}<extra></extra>",
        showlegend=False,
        legendgroup=curve.head,
        **where,
    )


def _points(curves: Curves, levels: Mapping[str, float], logarithmic: bool) -> dict[str, object]:
    """Where heads at some noise levels stand on their curves."""
    scores = np.array([curves.curves[head](level) for head, level in levels.items()])
    return {"x": [100 * level for level in levels.values()], "y": _floor(scores, logarithmic), "mode": "markers"}


def _stand(figure: Figure, curves: Curves, model: str, levels: Mapping[str, float], logarithmic: bool) -> None:
    colour, symbol = STANDING[model]
    known = {head: levels[head] for head in curves.curves if head in levels}
    figure.add_scatter(
        **_points(curves, known, logarithmic),
        marker={"symbol": symbol, "size": 14, "color": colour, "line": {"width": 1.5, "color": "#FFFFFF"}},
        name=model,
        customdata=list(known),
        cliponaxis=False,
        hovertemplate=f"<b>%{{customdata}}, {model}</b><br>noise %{{x:.3g}} % of RMS<br>distortion %{{y:.2f}}"
        "<extra></extra>",
    )


def _ring(figure: Figure, curves: Curves, model: str, levels: Mapping[str, float], logarithmic: bool) -> None:
    """A ring around the heads that would be selected."""
    figure.add_scatter(
        **_points(curves, levels, logarithmic),
        marker={"symbol": "circle-open", "size": 27, "color": STANDING[model][0], "line": {"width": 3}},
        name=f"selected, {model}",
        cliponaxis=False,
        hoverinfo="skip",
    )

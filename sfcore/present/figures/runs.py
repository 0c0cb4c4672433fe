"""Pictures of runs: losses, noise levels and selection while tuning, and the map over k and λ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from sfcore.colours import CALIBRATED, MOVED, head_colour, head_dash
from sfcore.present.figures.charts import Figure, plain

Points = tuple[Sequence[float], Sequence[float]]  # iterations, values


def losses(points: Points, height: int = 270) -> Figure:
    """The objective while tuning: each step faint, its running mean over it."""
    steps, values = (np.asarray(p, float) for p in points)
    figure = go.Figure()
    figure.add_scatter(
        x=steps, y=values, mode="lines", line={"color": CALIBRATED, "width": 1}, opacity=0.5, name="each step"
    )
    figure.add_scatter(
        x=steps, y=_smooth(values), mode="lines", line={"color": MOVED, "width": 2.5}, name="running mean"
    )
    plain(figure, height)
    figure.update_xaxes(title="iteration")
    if len(values) and values.min() > 0:
        _log_axis(figure, values)
    figure.update_yaxes(title="loss")
    return figure


def held_back(points: Points, height: int = 270) -> Figure:
    """Distortion on the held-back images; the best state is kept."""
    steps, values = points
    figure = go.Figure(
        go.Scatter(
            x=list(steps),
            y=list(values),
            mode="lines+markers",
            line={"color": MOVED, "width": 2.5},
            name="held-back images",
        )
    )
    if len(values):
        best = int(np.argmin(values))
        figure.add_scatter(
            x=[steps[best]], y=[values[best]], mode="markers", name="best, kept",
            marker={"symbol": "star", "size": 15, "color": MOVED, "line": {"width": 1.5, "color": "#FFFFFF"}},
        )  # fmt: skip
    plain(figure, height)
    figure.update_xaxes(title="iteration")
    figure.update_yaxes(title="distortion per image", rangemode="tozero")
    return figure


def noise_over_time(levels: Mapping[str, Points], order: Sequence[str], height: int = 270) -> Figure:
    """The quantized model's noise level on each head, in percent of the head's RMS."""
    figure = go.Figure()
    for head, (steps, values) in sorted(levels.items(), key=lambda item: order.index(item[0])):
        place = order.index(head)
        line = {"color": head_colour(place), "dash": head_dash(place), "width": 2.5}
        smooth = 100 * _smooth(np.asarray(values, float), 0.02)
        figure.add_scatter(x=list(steps), y=smooth, mode="lines", line=line, name=head)
    plain(figure, height)
    figure.update_xaxes(title="iteration")
    every = [100 * v for _, values in levels.values() for v in values if v > 0]
    if every:
        _log_axis(figure, np.asarray(every), " %")
    figure.update_yaxes(title="noise level")
    return figure


def selection_timeline(selected: Sequence[tuple[int, int, tuple[str, ...]]], order: Sequence[str]) -> Figure:
    """Which heads were tuned on when: one row a head, a bar where it was selected.

    Args:
        selected: (first iteration, last iteration, heads) of each stretch.
    """
    figure = go.Figure()
    for place, head in enumerate(order):
        spans = [(start, end) for start, end, heads in selected if head in heads]
        figure.add_bar(
            y=[head] * max(len(spans), 1),
            base=[start for start, _ in spans] or [0],
            x=[end - start for start, end in spans] or [0],
            orientation="h",
            marker_color=head_colour(place),
            hovertemplate="%{y}: from iteration %{base}<extra></extra>",
            showlegend=False,
        )
    plain(figure, 70 + 30 * len(order), barmode="overlay", bargap=0.3)
    figure.update_xaxes(title="iteration", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def k_lambda(
    cells: Mapping[tuple[int, float], float],
    title: str,
    best_is_low: bool = True,
    runs: Mapping[tuple[int, float], str] | None = None,
) -> Figure:
    """A value for each pair of k and λ that was run, as a map; pairs not run stay empty.

    Args:
        runs: the name of the run that a click on each pair answers with, as its ``customdata``.
    """
    ks = sorted({k for k, _ in cells})
    lams = sorted({lam for _, lam in cells})
    values = [[cells.get((k, lam)) for lam in lams] for k in ks]
    text = [["" if v is None else f"{v:.2f}" for v in row] for row in values]
    figure = go.Figure(
        go.Heatmap(
            z=values, x=[f"λ = {lam:g}" for lam in lams], y=[f"k = {k}" for k in ks], text=text, texttemplate="%{text}",
            colorscale="Cividis", reversescale=best_is_low, xgap=3, ygap=3,
            colorbar={"title": {"text": title}, "thickness": 12},
            hovertemplate="%{y}, %{x}: %{z:.3f}<extra></extra>",
        )
    )  # fmt: skip
    if runs:
        _clickable(figure, cells, runs)
    plain(figure, 110 + 56 * len(ks), showlegend=False)
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(showgrid=False)
    return figure


def _clickable(figure: Figure, cells: Mapping[tuple[int, float], float], runs: Mapping[tuple[int, float], str]) -> None:
    """Unseen markers over the cells, because a click on a heat map selects nothing."""
    figure.add_scatter(
        x=[f"λ = {lam:g}" for _, lam in runs],
        y=[f"k = {k}" for k, _ in runs],
        mode="markers",
        marker={"symbol": "square", "size": 44, "opacity": 0},
        customdata=list(runs.values()),
        text=[f"{cells[pair]:.3f}" for pair in runs],
        hovertemplate="%{y}, %{x}: %{text}<br>click to open %{customdata}<extra></extra>",
    )


def _log_axis(figure: Figure, values: np.ndarray, unit: str = "") -> None:
    """A logarithmic axis labelled at round numbers, more of them where it is short."""
    low, high = np.log10(values.min()), np.log10(values.max())
    digits = (1, 2, 5) if high - low > 1 else (1, 1.5, 2, 3, 4, 5, 7)
    ticks = [digit * 10.0**decade for decade in range(int(np.floor(low)), int(np.ceil(high)) + 1) for digit in digits]
    figure.update_yaxes(type="log", tickvals=ticks, ticktext=[f"{tick:g}{unit}" for tick in ticks])


def _smooth(values: np.ndarray, share: float = 0.05) -> np.ndarray:
    """Running mean over a share of the series, narrower at its ends."""
    width = max(1, int(len(values) * share))
    sums = np.r_[0.0, np.cumsum(values)]
    index = np.arange(len(values))
    low, high = np.maximum(index - width, 0), np.minimum(index + width + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)

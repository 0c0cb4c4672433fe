"""Pictures of searches: trials as lines over parallel axes, and as points over two of them.

Both are drawn as SVG, so that they are saved whole, open where there is no WebGL, and have lines that answer a click.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from sfcore.colours import NEUTRAL
from sfcore.present.figures.charts import Figure, plain

SCALE = [[0.0, "#2E8FD0"], [0.5, "#CC79A7"], [1.0, "#E69F00"]]  # least distortion first; seen on light and dark
DONE, HOPELESS, GOING = "done", "stopped early", "going on"
SCORE = "distortion"


@dataclass(frozen=True)
class Dimension:
    """An axis of a picture.

    Attributes:
        title: over it.
        texts: its values as people write them, evenly apart from the lowest to the highest; empty for a range.
        low, high, log: of a range.
    """

    title: str
    texts: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    log: bool = False

    def place(self, value: object) -> float:
        """Where a value is, from 0 to 1."""
        if self.texts:
            return self.texts.index(str(value)) / (len(self.texts) - 1) if len(self.texts) > 1 else 0.5
        low, high, at = (math.log(x) if self.log else x for x in (self.low, self.high, float(str(value))))
        return (at - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[tuple[float, str]]:
        """Places and what stands there."""
        if self.texts:
            return [(self.place(text), text) for text in self.texts]
        steps = [place / 4 for place in range(5)]
        values = [
            self.low * (self.high / self.low) ** step if self.log else self.low + step * (self.high - self.low)
            for step in steps
        ]
        return [(step, f"{value:.3g}") for step, value in zip(steps, values, strict=True)]


@dataclass(frozen=True)
class Tried:
    """A trial.

    Attributes:
        run: its name, with which a click answers.
        values: one for each axis.
        distortion: that it ended with, or the least so far.
        state: DONE, HOPELESS or GOING.
    """

    run: str
    values: tuple[object, ...]
    distortion: float
    state: str


def parallel(axes: Sequence[Dimension], trials: Sequence[Tried], height: int = 360) -> Figure:
    """A line a trial over the axes, the last of which is the distortion; those stopped early are grey and dashed.

    Args:
        trials: those that have a distortion; one that goes on is dotted.
    """
    figure = go.Figure()
    values = [trial.distortion for trial in trials]
    last = Dimension(SCORE, (), min(values, default=0.0), max(values, default=1.0))
    every = [*axes, last]
    best = _best(trials)
    for trial in sorted(trials, key=lambda each: (each.state == DONE, -each.distortion)):
        colour = _colour(trial, trials)
        dash = {DONE: "solid", HOPELESS: "dash", GOING: "dot"}[trial.state]
        figure.add_scatter(
            x=list(range(len(every))),
            y=[axis.place(value) for axis, value in zip(every, (*trial.values, trial.distortion), strict=True)],
            mode="lines+markers",
            line={"color": colour, "width": 5 if trial is best else 2, "dash": dash},
            marker={"size": 9 if trial is best else 6, "color": colour},
            opacity=1.0 if trial.state == DONE else 0.7,
            customdata=[trial.run] * len(every),
            hovertemplate=_hover(axes, trial),
            showlegend=False,
        )
    plain(figure, height, hovermode="closest")
    for place, axis in enumerate(every):
        _rule(figure, place, axis, side="left" if place == len(axes) else "right")
    figure.update_xaxes(range=[-0.3, len(every) - 0.7], visible=False, fixedrange=True)
    figure.update_yaxes(range=[-0.08, 1.18], visible=False, fixedrange=True)
    return figure


def _rule(figure: Figure, place: int, axis: Dimension, side: str) -> None:
    """One of the parallel axes; its values end at it, or begin there."""
    line = {"color": NEUTRAL, "width": 1}
    figure.add_shape(type="line", x0=place, x1=place, y0=0, y1=1, line=line, layer="below")
    figure.add_annotation(x=place, y=1.1, text=f"<b>{axis.title}</b>", showarrow=False)
    for at, text in axis.ticks():
        figure.add_annotation(
            x=place, y=at, text=text, showarrow=False, xanchor=side, xshift=-9 if side == "right" else 9,
            bgcolor="rgba(138,147,163,0.28)", borderpad=1, font={"size": 12},
        )  # fmt: skip


def pairs(across: Dimension, up: Dimension, trials: Sequence[Tried], places: tuple[int, int]) -> Figure:
    """A point a trial over two axes, coloured by its distortion; those stopped early are grey crosses.

    Args:
        trials: those that have a distortion; one that goes on is a ring. Where several meet, the best is on top; the
            best of all has a star.
        places: of the two axes among the values of a trial.
    """
    discrete = bool(across.texts and up.texts)
    done = [trial.distortion for trial in trials if trial.state == DONE]
    best = _best(trials)
    figure = go.Figure()
    for state, symbol in ((HOPELESS, "x"), (GOING, "circle-open"), (DONE, "square" if discrete else "circle")):
        chosen = sorted((t for t in trials if t.state == state), key=lambda each: -each.distortion)
        if chosen:
            written = discrete and state == DONE
            figure.add_scatter(
                x=[across.place(trial.values[places[0]]) for trial in chosen],
                y=[up.place(trial.values[places[1]]) for trial in chosen],
                mode="markers+text" if written else "markers", name=state, showlegend=state != DONE,
                marker=_markers(chosen, state, symbol, done, discrete), customdata=[trial.run for trial in chosen],
                text=["★ " * (trial is best) + f"{trial.distortion:.2f}" for trial in chosen] if written else None,
                textfont={"color": "#101010", "size": 12},
                hovertext=[f"{trial.run}: {trial.distortion:.3f}, {state}<br>click to open" for trial in chosen],
                hoverinfo="text",
            )  # fmt: skip
    if best and not discrete:
        figure.add_scatter(
            x=[across.place(best.values[places[0]])], y=[up.place(best.values[places[1]])], mode="markers",
            name=f"least: {best.distortion:.2f}", hoverinfo="skip",
            marker={"symbol": "star", "size": 15, "color": "#FFFFFF", "line": {"width": 1, "color": "#333333"}},
        )  # fmt: skip
    plain(figure, max(300, 120 + 60 * len(up.texts)))
    _axis(figure.update_xaxes, across)
    _axis(figure.update_yaxes, up)
    return figure


def _markers(
    trials: Sequence[Tried], state: str, symbol: str, done: Sequence[float], discrete: bool
) -> Mapping[str, object]:
    if state != DONE:
        return {"symbol": symbol, "size": 14, "color": NEUTRAL, "line": {"width": 2}}
    return {
        "symbol": symbol, "size": 50 if discrete else 18, "color": [trial.distortion for trial in trials],
        "colorscale": SCALE, "cmin": min(done), "cmax": max(done), "showscale": True,
        "colorbar": {"title": {"text": SCORE}, "thickness": 12},
    }  # fmt: skip


def _axis(update: Callable[..., object], axis: Dimension) -> None:
    ticks = axis.ticks()
    update(
        title=axis.title, tickvals=[place for place, _ in ticks], ticktext=[text for _, text in ticks],
        range=[-0.15, 1.15], showgrid=not axis.texts,
    )  # fmt: skip


def _best(trials: Sequence[Tried]) -> Tried | None:
    return min((trial for trial in trials if trial.state == DONE), key=lambda each: each.distortion, default=None)


def _colour(trial: Tried, trials: Sequence[Tried]) -> str:
    """Of a trial among those that are done; grey for others."""
    if trial.state != DONE:
        return NEUTRAL
    values = [each.distortion for each in trials if each.state == DONE]
    low, high = min(values), max(values)
    place = (trial.distortion - low) / (high - low) if high > low else 0.0
    colour: str = sample_colorscale(SCALE, [place])[0]
    return colour


def _hover(axes: Sequence[Dimension], trial: Tried) -> str:
    parts = [f"{axis.title} {_short(value)}" for axis, value in zip(axes, trial.values, strict=True)]
    return f"<b>{trial.run}</b><br>{', '.join(parts)}<br>{SCORE} {trial.distortion:.3f}, {trial.state}<extra></extra>"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

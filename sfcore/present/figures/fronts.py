"""What bits cost against what they buy: the front of allocations, with uniform schemes beside it."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sfcore.colours import FULL, MOVED, NEUTRAL
from sfcore.present.figures.charts import Figure, plain
from sfcore.quant.front import Axis, Point
from sfcore.tasks.base import Words

CHOSEN = "bits chosen here"
TITLES: dict[Axis, tuple[str, float]] = {"bops": ("billion bit operations an image", 1e9), "size": ("kB", 1e3)}


def front_chart(
    points: Sequence[Point], words: Words, axis: Axis = "bops", here: tuple[float, float, float] | None = None
) -> Figure:
    """Distortion and agreement over bit operations or size; a point answers a click with its place in ``points``.

    Args:
        axis: what is on the horizontal axes.
        here: bit operations or bytes, distortion and F1 of the bits that are chosen at present.
    """
    title, scale = TITLES[axis]
    figure = make_subplots(1, 2, horizontal_spacing=0.09)
    for uniform, name, colour, dash, symbol in (
        (False, "allocated", MOVED, "solid", "circle"),
        (True, "uniform", NEUTRAL, "dot", "diamond"),
    ):
        own = sorted((p.takes(axis), place) for place, p in enumerate(points) if p.uniform == uniform)
        chosen = [(points[place], place) for _, place in own]
        for column, values in ((1, [p.judged.distortion for p, _ in chosen]), (2, [p.judged.f1 for p, _ in chosen])):
            figure.add_trace(
                go.Scatter(
                    x=[p.takes(axis) / scale for p, _ in chosen], y=values, name=name, mode="lines+markers",
                    line={"color": colour, "dash": dash}, marker={"size": 10, "symbol": symbol},
                    customdata=[place for _, place in chosen], text=[_text(p) for p, _ in chosen],
                    hovertemplate="%{text}<extra></extra>", showlegend=column == 1, legendgroup=name,
                ), 1, column,
            )  # fmt: skip
    for column in (1, 2) if here else ():
        value = here[column] if here else 0.0
        star = {"symbol": "star", "size": 15, "color": FULL, "line": {"width": 1, "color": "#333"}}
        figure.add_trace(
            go.Scatter(
                x=[here[0] / scale if here else 0.0], y=[value], mode="markers", name=CHOSEN, marker=star,
                legendgroup=CHOSEN, showlegend=column == 1, hovertemplate=f"{CHOSEN}: %{{y:.3g}}<extra></extra>",
            ), 1, column,
        )  # fmt: skip
    plain(figure, 330)
    figure.update_xaxes(title=title)
    figure.update_yaxes(title=words.score, rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="agreement F1", range=[0, 1.03], row=1, col=2)
    return figure


def _text(point: Point) -> str:
    made, judged = point.allocation, point.judged
    kind = made.scheme.base if point.uniform else "allocated"
    return (
        f"<b>{kind}</b><br>{made.cost.average_weight_bits:.2f} bits a weight, "
        f"{made.cost.average_activation_bits:.2f} an activation<br>{made.cost.operations} bit operations, "
        f"{made.size_bytes / 1e6:.3g} MB<br>distortion {judged.distortion:.2f}, F1 {judged.f1:.3f}"
    )

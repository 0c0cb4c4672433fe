"""Pictures of what engines make of a quantized network: beside its own noise, and how long they take."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sfcore.colours import FULL, MOVED, NEUTRAL, rgba
from sfcore.deployment.parity import SIMULATION, Parity
from sfcore.present.figures.charts import Figure, plain

BROKEN = "#D55E00"  # an engine that does not keep its promise; its mark is another one, too
KINDS = {"quantized": MOVED, "fp32": FULL}  # of a file, as :class:`Parity` names its latencies
THREADS = {"": "one thread", ", all threads": "all threads"}
ROW = 34  # pixels


def noise_floor(parity: Parity) -> Figure:
    """Each engine's distortion against full precision, and how far the simulation lies from itself.

    The band is as wide on both sides of the simulation as its own farthest variant lies from it.
    """
    figure, again = go.Figure(), {f"other {name}": found for name, found in parity.repeatability.items()}
    promised = parity.engines[SIMULATION].distortion
    floor = max((found.distortion for found in again.values()), default=0.0)
    kept, broken = ({n: a for n, a in parity.engines.items() if parity.keeps(n) is good} for good in (True, False))
    for name, found, marker in (
        ("against full precision", kept, {"color": MOVED, "size": 13, "symbol": "circle"}),
        ("promise not kept", broken, {"color": BROKEN, "size": 13, "symbol": "x"}),
        ("simulation against itself", again, {"color": NEUTRAL, "size": 11, "symbol": "diamond"}),
    ):
        figure.add_scatter(
            x=[each.distortion for each in found.values()], y=list(found), name=name, mode="markers", marker=marker,
            cliponaxis=False, hovertemplate="%{y}: %{x:.2f}<extra></extra>", showlegend=bool(found),
        )  # fmt: skip
    rows = [*parity.engines, *again]
    band = {"y0": len(again) - 0.5, "y1": len(rows) - 0.5, "line_width": 0, "layer": "below"}
    figure.add_shape(x0=max(promised - floor, 0.0), x1=promised + floor, fillcolor=rgba(MOVED, 0.22), **band)
    most = max(promised + floor, *(found.distortion for found in parity.engines.values()))
    plain(figure, 90 + ROW * len(rows))
    figure.update_xaxes(title="distortion per image", range=[-0.04 * (most or 1.0), 1.06 * (most or 1.0)])
    figure.update_yaxes(categoryorder="array", categoryarray=rows[::-1])
    return figure


def latency(parity: Parity) -> Figure:
    """Median milliseconds of an image by engine, with a whisker up to the 95th percentile."""
    figure = make_subplots(
        1, len(THREADS), shared_yaxes=True, horizontal_spacing=0.05, subplot_titles=list(THREADS.values())
    )
    names = list(parity.latency)
    for column, suffix in enumerate(THREADS, 1):
        for kind, colour in KINDS.items():
            found = [parity.latency[name][kind + suffix] for name in names]
            whisker = {
                "array": [each.p95_ms - each.median_ms for each in found], "arrayminus": [0.0] * len(found),
                "symmetric": False, "color": NEUTRAL, "thickness": 1.4, "width": 4,
            }  # fmt: skip
            figure.add_trace(
                go.Bar(
                    x=[each.median_ms for each in found], y=names, orientation="h", name=kind, marker_color=colour,
                    error_x=whisker, legendgroup=kind, showlegend=column == 1,
                    hovertemplate="%{y}, " + kind + ": %{x:.1f} ms<extra></extra>",
                ), 1, column,
            )  # fmt: skip
    plain(figure, 110 + 2 * ROW * len(names), barmode="group", bargap=0.3)
    figure.update_layout(margin={"t": 24}, legend={"y": 1.12})
    figure.update_annotations(font_size=13)
    figure.update_xaxes(title="ms an image", rangemode="tozero", matches="x")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure
